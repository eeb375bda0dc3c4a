"""Trafilatura 2.3.1's precision mode with faster parts: see `filters.extract.precision_mode`, the only way in."""
