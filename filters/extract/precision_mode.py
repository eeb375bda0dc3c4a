"""The text of `trafilatura.extract(html, favor_precision=True, include_comments=False)`, some three times as fast.

    text = extract(html)

It is for trafilatura 2.3.1 alone, whose functions it calls and whose lists it reads. With any other version, and for
a page on which something unforeseen happens, trafilatura itself is called: what it gives or raises is what counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

import trafilatura

VERSION = "2.3.1"

_log = logging.getLogger(__name__)


def extract(html: str, utf8: bytes | None = None) -> str | None:
    """The main text of a decoded page, None where trafilatura finds none. `utf8` is the page in UTF-8, for those who
    have it."""
    fast = _fast_extract()
    if fast is not None:
        try:
            return fast(html, utf8)
        except Exception as error:
            _log.debug("trafilatura itself takes a page, after %s", type(error).__name__)
    return plain_extract(html)


def plain_extract(html: str) -> str | None:
    """The same by trafilatura itself."""
    text: str | None = trafilatura.extract(html, favor_precision=True, include_comments=False, deduplicate=False)
    return text


def fits() -> bool:
    """Whether the installed trafilatura is the one that this is for."""
    version: str = trafilatura.__version__
    return version == VERSION


@cache
def _fast_extract() -> Callable[[str, bytes | None], str | None] | None:
    if not fits():
        return None
    # imported here because another version may have none of the names that it imports
    from filters.extract.trafilatura.sequence import extract

    return extract
