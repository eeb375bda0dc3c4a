"""The patterns of attributes' values as plain phrases, which a kernel finds in one pass.

    values = ValueFlags()
    values.add_pattern(1, "^nav|side-?bar")
    values.phrases[False]  # {("\\x02nav", ""): 1, ("sidebar", ""): 1, ("side-bar", ""): 1}
    values.bits("navigation")  # 1

The regular expressions themselves are searched only in values beyond ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

BEGIN, END, BLANK = "\x02", "\x03", "\t"
"""What stands for the begin and the end of a value in phrases, and for whitespace other than a space."""

Phrase = tuple[str, str]
"""A phrase, and what must not follow it."""


class ValueFlags:
    """The bits of values: `any` of all values, `whole` of single values, and `phrases` of ASCII values that contain one
    of them. Letters of phrases under True match in any case."""

    def __init__(self) -> None:
        self.any = 0
        self.whole: dict[str, int] = {}
        self.phrases: dict[bool, dict[Phrase, int]] = {False: {}, True: {}}
        self._tests: list[tuple[int, Callable[[str], Any]]] = []

    def add_any(self, bit: int) -> None:
        """Give this bit to every value."""
        self.any |= bit

    def add_value(self, bit: int, value: str) -> None:
        """Give this bit to one value."""
        self.whole[value] = self.whole.get(value, 0) | bit

    def add_pattern(self, bit: int, pattern: str, *, any_case: bool = False, lower: bool = False) -> None:
        """Give this bit to values that contain a match of a regular expression.

        `lower` searches the lower case of a value, for a pattern in lower case. Raises ValueError if the expression has
        parts of another kind than those of trafilatura's expressions.
        """
        search = re.compile(pattern, re.IGNORECASE if any_case else 0).search
        self._tests.append((bit, (lambda value: search(value.lower())) if lower else search))
        phrases = self.phrases[any_case or lower]
        for phrase in phrases_of(pattern):
            phrases[phrase] = phrases.get(phrase, 0) | bit

    def bits(self, value: str) -> int:
        """Return the bits of any value. If case is ignored, some letters beyond ASCII equal an ASCII letter, but not in
        lower case, so phrases do not tell."""
        bits = self.any | self.whole.get(value, 0)
        for bit, search in self._tests:
            if not bits & bit and search(value):
                bits |= bit
        return bits


_PART = re.compile(
    r"""(?:\((?:\?:)?(?!\?)(?P<group>(?:[^()]|\([^()]*\))*)\)
      | \[(?P<set>[^\]^-]*-?[^\]^-]*)\]
      | \\(?P<sign>[^a-zA-Z0-9]) | (?P<blank>\\s)
      | (?P<begin>\^) | (?P<end>\$)
      | (?P<character>[^\\()\[\]{}|?*+.]))
    (?P<times>\?|\{0,(?P<most>\d)\})?""",
    re.VERBOSE,
)
_NOT_BEFORE = re.compile(r"\(\?!(\w+)\)$")


def phrases_of(pattern: str) -> list[Phrase]:
    """Return the phrases of which a match of a regular expression has one. Raises ValueError for an unknown form."""
    found = []
    for alternative in alternatives(pattern):
        group = re.fullmatch(r"(\^?)\(\?:(.*)\)", alternative)
        inner = [group[1] + one for one in alternatives(group[2])] if group else []
        if "(?!" in "".join(inner):
            found += [phrase for one in inner for phrase in phrases_of(one)]
            continue
        begin = _NOT_BEFORE.sub("", alternative)
        if begin != alternative and not begin.startswith("^"):
            raise ValueError(f"unknown regular expression of trafilatura: {alternative!r}")
        unless = _NOT_BEFORE.findall(alternative)
        found += [(text, unless[0] if unless else "") for text in _texts(begin)]
    return found


def _texts(alternative: str) -> list[str]:
    """Return the texts that an alternative without further conditions matches."""
    parts: list[list[str]] = []
    at = 0
    while at < len(alternative):
        part = _PART.match(alternative, at)
        if part is None:
            raise ValueError(f"unknown regular expression of trafilatura: {alternative!r}")
        at = part.end()
        if part["group"] is not None:
            texts = [text for one in alternatives(part["group"]) for text in _texts(one)]
        elif part["set"] is not None:
            texts = list(part["set"])
        else:
            one = part["sign"] or part["character"]
            texts = [one] if one else [" ", BLANK] if part["blank"] else [BEGIN] if part["begin"] else [END]
        if part["times"]:
            times = range(int(part["most"] or 1) + 1)
            texts = ["".join(chosen) for count in times for chosen in product(texts, repeat=count)]
        parts.append(texts)
    return list(map("".join, product(*parts)))


def alternatives(pattern: str) -> Iterator[str]:
    """Split a pattern at its outermost bars."""
    depth = start = 0
    for found in re.finditer(r"\\?.", pattern):
        depth += (found[0] in ("(", "[")) - (found[0] in (")", "]"))
        if found[0] == "|" and depth == 0:
            yield pattern[start : found.start()]
            start = found.end()
    yield pattern[start:]
