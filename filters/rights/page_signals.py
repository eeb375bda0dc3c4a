"""Opt-outs in the headers and meta tags of a page.

    signals_of({"x-robots-tag": "noai"}, [("gptbot", "noindex")], ("gptbot",))

The vocabulary of what is returned is fixed, so no text of a page gets into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

DIRECTIVES = {
    "noai": "noai", "noml": "noai", "noimageai": "noimageai", "noindex": "noindex", "none": "noindex",
}  # fmt: skip
"""The directives for robots that count, with what each means here. `none` is short for `noindex, nofollow`."""

EVERYONE = "*"
"""The name under which directives for all robots are stored."""

RESERVATION = "tdm-reservation"
_HEADER = "x-robots-tag"
_WORD = re.compile(r"[^\s,;]+")
_VALUED = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
"""The directives that have a value after a colon, so that they are not taken for the name of a robot."""


@dataclass(frozen=True)
class Signals:
    """The opt-outs of a page: the directives that apply, the reservation, and where each of them was found."""

    directives: frozenset[str]
    reservation: int | None
    """1 if text and data mining is reserved, 0 if it is declared free, None if nothing is declared."""
    declared: str
    """The declarations, such as "header *: noai; meta gptbot: noindex"."""


_NONE = Signals(frozenset(), None, "")
"""The signals of most pages."""


def signals_of(
    headers: Mapping[str, str], metas: Iterable[tuple[str, str]], agents: frozenset[str], site: int | None = None
) -> Signals:
    """Return the opt-outs for everyone and for the robots in `agents`, whose names are in lower case.

    `site` is the reservation in the site's tdmrep.json. A header counts more than this file, and a meta tag more than a
    header.
    """
    if metas == () and site is None and _HEADER not in headers and RESERVATION not in headers:
        return _NONE
    found = {("header", *one) for one in _header_directives(headers.get(_HEADER, ""))}
    tags = []
    for name, content in metas:
        if name == _HEADER:
            found |= {("meta", *one) for one in _header_directives(content)}
        elif name == RESERVATION:
            tags.append(content)
        else:
            agent = EVERYONE if name == "robots" else name
            found |= {("meta", agent, DIRECTIVES[word]) for word in _words(content) if word in DIRECTIVES}
    reserved = {"site": site, "header": _reservation(headers.get(RESERVATION, "")), "meta": _reservation(*tags)}
    found = {one for one in found if one[1] in agents or one[1] == EVERYONE}
    declared = [f"{where} {agent}: {word}" for where, agent, word in sorted(found)]
    declared += [f"{where} {RESERVATION}: {value}" for where, value in reserved.items() if value is not None]
    nearest = next((reserved[where] for where in ("meta", "header", "site") if reserved[where] is not None), None)
    return Signals(frozenset(word for _, _, word in found), nearest, "; ".join(declared))


def _words(text: str) -> Iterator[str]:
    return (word.lower() for word in _WORD.findall(text.replace('"', " ").replace("'", " ")))


def _header_directives(values: str) -> Iterator[tuple[str, str]]:
    """Yield (robot, directive) for each directive of X-Robots-Tag. Each line is a value of its own."""
    for value in values.split("\n"):
        agent = EVERYONE
        for word in _words(value):
            name, colon, rest = word.partition(":")
            if colon and name not in _VALUED and not name[:1].isdigit():  # 15:00 is a time
                agent, word = name or agent, rest
            if word in DIRECTIVES:
                yield agent, DIRECTIVES[word]


def _reservation(*values: str) -> int | None:
    """Return the value of tdm-reservation: 1 if any value is 1. Values other than 0 and 1 do not count, as the
    specification says."""
    found = [int(word) for value in values for word in _words(value) if word in ("0", "1")]
    return max(found, default=None)
