"""What `filters.extract.structure.scan` gives, by patterns and arrays."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from filters.extract.structure import SURE_DEPTH, Structure

LONG_TAG = 1000
"""Attributes are counted in tags of this many bytes or more."""

_LT, _SLASH = ord("<"), ord("/")
_TAG = re.compile(rb"[a-zA-Z][^<>]{%d,}" % (LONG_TAG - 2))
# The name is optional. If it were required, the search would start at each blank of a run: 10 minutes for 1 MB of
# blanks in a tag.
_ATTRIBUTE = re.compile(rb"""[\s/]++([^\s/=]++(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s"']++))?)?""")

_HIDDEN = re.compile(rb"<(script|style|!--)")

_FLAT = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "rp", "rt",
    "script", "style", "title", "path", "circle", "rect", "use", "line", "polygon", "ellipse", "stop",
]  # fmt: skip
"""The elements that do not count as nesting: they hold no other elements, end by themselves, or are written <path/>."""

_LETTERS = np.zeros(256, np.int32)
"""A map from a byte to 5 bits: letters without case, one value for digits, one for signs in names, 0 for the rest."""
_LETTERS[list(b"abcdefghijklmnopqrstuvwxyz")] = _LETTERS[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")] = range(1, 27)
_LETTERS[list(b"0123456789")] = 27
_LETTERS[list(b"-:_")] = 28

_STEPS = np.ones(1 << 15, np.int8)
"""A map from the first three letters of a name to 1 if the element nests, else to 0."""
_STEPS[: 1 << 10] = 0
_STEPS[27 << 10 :] = 0
for _name in _FLAT:
    _first, _second, _third = (int(_LETTERS[byte]) for byte in _name.encode().ljust(3, b"\0")[:3])
    _STEPS[_first << 10 | _second << 5 | _third] = 0


def scan(body: bytes) -> Structure:
    """Measure a page in an ASCII-compatible charset."""
    data, starts = _starts(body)
    attributes = 0
    gaps = np.diff(starts, append=len(body))
    for start in starts[gaps >= LONG_TAG].tolist():
        if body.find(b">", start + 1, start + LONG_TAG) >= 0:
            continue  # a short tag before a long text
        if tag := _TAG.match(body, start + 1):
            attributes = max(attributes, sum(1 for found in _ATTRIBUTE.finditer(tag[0]) if found[1]))
    depth = _depth(data, starts)
    if depth > SURE_DEPTH:
        # scripts can write tags: 38 real pages were above 125, and all of them had 66 or less without their scripts
        depth = _depth(*_starts(_without_scripts(body)))
    return Structure(len(starts), attributes, depth)


def _starts(body: bytes) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the bytes, padded so that each "<" has four bytes after it, and the positions of the "<"."""
    data = np.frombuffer(body + b"\0\0\0\0" if b"<" in body[-4:] else body, np.uint8)
    return data, np.flatnonzero(data == _LT)


def _without_scripts(body: bytes) -> bytes:
    """Return the page without scripts, styles and comments, up to the first one that is not closed."""
    lower = body.lower()
    parts = []
    at = 0
    for found in _HIDDEN.finditer(lower):
        if found.start() < at:
            continue
        parts.append(body[at : found.start()])
        at = lower.find(b"-->" if found[1] == b"!--" else b"</" + found[1], found.end())
        if at < 0:
            return b"".join(parts)
    parts.append(body[at:])
    return b"".join(parts)


def _depth(data: np.ndarray[Any, Any], starts: np.ndarray[Any, Any]) -> int:
    """Return the highest level that open tags minus end tags reach."""
    if not len(starts):
        return 0
    at = starts + 1
    ends = data.take(at) == _SLASH  # `take` is several times as fast as []
    at += ends
    first, second, third = (_LETTERS.take(data.take(at + ahead)) for ahead in range(3))
    third *= second != 0
    steps = _STEPS.take(first << 10 | second << 5 | third).astype(np.int64)
    np.negative(steps, out=steps, where=ends)
    level = np.cumsum(steps)
    # an end tag without a start tag must not lower the level
    return int((level - np.minimum(np.minimum.accumulate(level), 0)).max())
