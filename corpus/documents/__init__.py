"""Rows of parquet and JSON Lines, and HTML files, as records."""
