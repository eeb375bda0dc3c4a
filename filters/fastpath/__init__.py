"""Trafilatura 2.3.1's precision mode with faster parts: see `filters.trafilatura_fast`, the only way in."""
