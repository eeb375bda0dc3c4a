"""Which of many patterns an attribute's value matches, with one search for a literal part of each.

    values = Values()
    values.add_pattern(1, "^nav|side-?bar")
    values["navigation"]  # 1
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

MAX_REMEMBERED = 20_000
"""Values after which the memory starts anew: at some 150 bytes each, 3 MB."""

MAX_LENGTH = 200
"""Characters of a value beyond which it is not remembered."""

_PIECE = re.compile(r"\\?.", re.DOTALL)


class Values(dict[str, int]):
    """Value to bits, filled as values are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._any = 0
        self._equal: dict[str, int] = {}
        self._patterns: list[tuple[int, str, Callable[[str], Any]]] = []
        self._find: Callable[[str], list[str]] | None = None
        self._by_literal: dict[str, list[tuple[int, Callable[[str], Any]]]] = {}

    def add_any(self, bit: int) -> None:
        """A bit that every value has."""
        self._any |= bit

    def add_value(self, bit: int, value: str) -> None:
        """A bit that this value has."""
        self._equal[value] = self._equal.get(value, 0) | bit

    def add_pattern(self, bit: int, pattern: str, flags: int = 0, *, lower: bool = False) -> None:
        """A bit that values have in which (`lower`: in whose lower case) this regular expression is found."""
        for alternative in _alternatives(pattern):
            search: Callable[[str], Any] = re.compile(alternative, flags).search
            if lower:
                search = _in_lower_case(search)
            self._patterns += [(bit, literal.lower(), search) for literal in _literals(alternative)]

    def __missing__(self, value: str) -> int:
        bits = self._any | self._equal.get(value, 0)
        if self._patterns:
            bits |= self._matching(value)
        if len(value) <= MAX_LENGTH:
            if len(self) >= MAX_REMEMBERED:
                self.clear()
            self[value] = bits
        return bits

    def _matching(self, value: str) -> int:
        bits = 0
        if not value.isascii():
            # letters beyond ASCII may count as equal to one of it without case, but not in lower case
            for bit, _, search in self._patterns:
                if search(value):
                    bits |= bit
            return bits
        if self._find is None:
            self._prepare()
        assert self._find
        for literal in self._find(value.lower()):
            for bit, search in self._by_literal[literal]:
                if not bits & bit and search(value):
                    bits |= bit
        return bits

    def _prepare(self) -> None:
        """Only literals that hold no other one are looked for: at one place there can be but one of them."""
        for _, literal, _ in sorted(self._patterns, key=lambda entry: len(entry[1])):
            if not any(shorter in literal for shorter in self._by_literal):
                self._by_literal[literal] = []
        for bit, literal, search in self._patterns:
            shortest = next(shorter for shorter in self._by_literal if shorter in literal)
            self._by_literal[shortest].append((bit, search))
        self._find = re.compile(f"(?=({_trie(list(self._by_literal))}))").findall


def _in_lower_case(search: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda value: search(value.lower())


def _alternatives(pattern: str) -> Iterator[str]:
    """The parts of a pattern between its outermost bars."""
    depth = start = 0
    for found in _PIECE.finditer(pattern):
        piece = found[0]
        depth += (piece in ("(", "[")) - (piece in (")", "]"))
        if piece == "|" and depth == 0:
            yield pattern[start : found.start()]
            start = found.end()
    yield pattern[start:]


_TOKEN = re.compile(
    r"""
      (?P<group>\((?:\?[:!=])?(?P<inside>(?:[^()]|\([^()]*\))*)\)) (?P<optional>[?*])?
    | (?P<other>\[[^\]]*\](?:[?*+]|\{[\d,]*\})? | \\[a-zA-Z] | [\^$.])
    | (?P<plain>\\.|[^\\()\[\]{}|?*+]) (?P<times>[?*+]|\{[\d,]*\})?
    """,
    re.VERBOSE,
)


def _literals(alternative: str) -> list[str]:
    """Strings of which one is in whatever an alternative matches.

    That is its longest run of plain characters outside of groups, else such a string of each alternative in a group.
    """
    runs = [""]
    groups = []
    at = 0
    while at < len(alternative):
        token = _TOKEN.match(alternative, at)
        if token is None:
            raise ValueError(f"unknown regular expression of trafilatura: {alternative!r}")
        at = token.end()
        if token["plain"] and not token["times"]:
            runs[-1] += token["plain"][-1]
            continue
        runs.append("")
        if token["group"] and not token["optional"] and token["group"][:3] not in ("(?!", "(?="):
            groups.append(token["inside"])
    longest = max(runs, key=len)
    if longest:
        return [longest]
    if not groups:
        raise ValueError(f"no literal part in a regular expression of trafilatura: {alternative!r}")
    return [literal for inner in _alternatives(groups[0]) for literal in _literals(inner)]


def _trie(words: list[str]) -> str:
    """A pattern of these words, none of which begins with another, that tells them apart letter by letter."""
    branches: dict[str, list[str]] = {}
    for word in words:
        branches.setdefault(word[0], []).append(word[1:])
    parts = [re.escape(first) + (_trie(rest) if rest != [""] else "") for first, rest in branches.items()]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"
