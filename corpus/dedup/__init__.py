"""Comparisons of documents and of lines, from signatures to verdicts: see `contract` and `phases`."""
