"""Everything that is printed: messages on stderr, texts for people and JSON for programs on stdout. `console.py` prints
tables and styled texts.

What is printed may contain names of files, texts of pages and answers of servers. Characters that control a terminal
are replaced here. A lint rule forbids `print` elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# JSON itself escapes the characters before these
_UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f\u2028\u2029\u200e\u200f\u061c{_BIDI}]")


def plain(text: str, keep_lines: bool = False) -> str:
    """Replace control and bidirectional characters, because a terminal would act on them."""
    kept = "\n\t" if keep_lines else ""
    return "".join(
        c if c in kept or (c.isprintable() and c not in _BIDI) else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def say(text: str) -> None:
    """Print a text on stderr, as one or more lines. If stderr is closed, print nothing."""
    try:
        print(plain(text, keep_lines=True), file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def show(text: str, end: str = "\n") -> None:
    """Print a text for people on stdout, as one or more lines."""
    print(plain(text, keep_lines=True), end=end, flush=True)


def show_json(data: Any, before: str = "", end: str = "\n") -> None:
    """Print data on stdout as a line of JSON.

    Characters that control a terminal are escaped, which does not change any value.
    """
    ascii_only = (sys.stdout.encoding or "").lower() != "utf-8"
    text = json.dumps(data, ensure_ascii=ascii_only)
    print(before + _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text), end=end, flush=True)
