"""Trafilatura 2.3.1's precision mode with faster parts. Use it through `filters.extract.precision_mode` only."""
