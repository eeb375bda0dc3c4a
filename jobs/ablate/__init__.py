"""Comparisons of corpora: small models are trained on each, and their differences are judged."""
