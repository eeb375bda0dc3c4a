"""Untrusted text on a terminal."""

from __future__ import annotations


def plain(text: str, keep_lines: bool = False) -> str:
    """Replace control and bidirectional characters, as a terminal would obey them."""
    kept = "\n\t" if keep_lines else ""
    return "".join(
        c if c in kept or (c.isprintable() and c not in _BIDI) else "\N{REPLACEMENT CHARACTER}" for c in text
    )


_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
