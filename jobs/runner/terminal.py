"""Untrusted text on a terminal."""

from __future__ import annotations

import os
import sys


def plain(text: str, keep_lines: bool = False) -> str:
    """Replace control and bidirectional characters, as a terminal would obey them."""
    kept = "\n\t" if keep_lines else ""
    return "".join(
        c if c in kept or (c.isprintable() and c not in _BIDI) else "\N{REPLACEMENT CHARACTER}" for c in text
    )


_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def say(text: str) -> None:
    """Print a text on stderr as a line or several. This is the only place that does, so no name of a file or of a
    server can give the terminal orders. If stderr is closed, the work goes on in silence."""
    try:
        print(plain(text, keep_lines=True), file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
