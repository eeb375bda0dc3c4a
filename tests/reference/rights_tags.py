"""Quick tests for the declarations of a page, as regular expressions. The oracle of the kernels."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CODED_NAME = re.compile(rb"""(?:name|equiv|property)\s*=\s*["']?[^"'<>]{0,60}&#""")
_VALUES = re.compile(rb"noai|noml|noimageai|noindex|none|tdm-|&#")
_META = re.compile(rb"<(meta[^<]*)")
_LICENSE = re.compile(
    rb"""(?:\b(?:rel|itemprop|property|name)\s*=\s*["']?[^"'<>]{0,60}|creativecommons\.org/)l\Z""", re.IGNORECASE
)
_KEY = re.compile(rb'"license"\s{0,9}:')


def may_opt_out(markup: bytes, names: Sequence[bytes]) -> bool:
    return any(
        (any(name in tag for name in names) or _CODED_NAME.search(tag)) and _VALUES.search(tag)
        for tag in _META.findall(markup.lower())
    )


def may_license(markup: bytes) -> bool:
    return any(
        _LICENSE.search(markup, max(0, found.start() - 100), found.start()) or _KEY.match(markup, found.start() - 2)
        for found in re.finditer(rb"icense", markup)
    )
