"""Which of many patterns an attribute's value matches, where only those are tried that share a word with it.

    values = Values()
    values.add_pattern(1, "^nav|side-?bar")
    values["navigation"]  # 1

Class names and ids are made of few words, which most sites share. So a value that was never seen costs 1.5 µs, where
the patterns one by one cost 25.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

MAX_REMEMBERED = 50_000
"""Values, and words, after which the memory starts anew: at some 150 bytes each, 7 MB."""

MAX_LENGTH = 200
"""Characters of a value beyond which it is not remembered."""

Test = tuple[int, Callable[[str], Any]]

_WORDS = re.compile("[a-z]+", re.IGNORECASE | re.ASCII).findall


class Values(dict[str, int]):
    """Value to bits, filled as values are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._any = 0
        self._equal: dict[str, int] = {}
        self._all: list[Test] = []
        self._words = _Words()

    def add_any(self, bit: int) -> None:
        """A bit that every value has."""
        self._any |= bit

    def add_value(self, bit: int, value: str) -> None:
        """A bit that this value has."""
        self._equal[value] = self._equal.get(value, 0) | bit

    def add_pattern(self, bit: int, pattern: str, *, any_case: bool = False) -> None:
        """A bit that values have in which this regular expression is found."""
        self._all.append((bit, re.compile(pattern, re.IGNORECASE if any_case else 0).search))
        self._words.add(bit, pattern, any_case)

    def add_lower(self, bit: int, pattern: str) -> None:
        """A bit that values have in whose lower case this regular expression, of lower case, is found."""
        search = re.compile(pattern).search
        self._all.append((bit, lambda value: search(value.lower())))
        self._words.add(bit, pattern, True)

    def __missing__(self, value: str) -> int:
        bits = self._any | self._equal.get(value, 0)
        if value.isascii():
            for word in _WORDS(value):
                sure, tests = self._words[word]
                bits |= sure
                for bit, search in tests:
                    if not bits & bit and search(value):
                        bits |= bit
        else:
            # letters beyond ASCII may count as equal to one of it without case, but not in lower case
            for bit, search in self._all:
                if search(value):
                    bits |= bit
        if len(value) <= MAX_LENGTH:
            if len(self) >= MAX_REMEMBERED:
                self.clear()
            self[value] = bits
        return bits


class _Words(dict[str, tuple[int, list[Test]]]):
    """Word to the bits of each ASCII value with this word, and the tests that may succeed on such a value."""

    def __init__(self) -> None:
        super().__init__()
        self._sure: list[tuple[int, str, bool]] = []
        self._tests: dict[str, list[Test]] = {}
        self._any_literal = re.compile("$^").search

    def add(self, bit: int, pattern: str, any_case: bool) -> None:
        for alternative in _alternatives(pattern):
            if alternative.isalpha():
                self._sure.append((bit, alternative, any_case))
                continue
            test = bit, re.compile(alternative, re.IGNORECASE if any_case else 0).search
            for literal in _literals(alternative):
                self._tests.setdefault(literal.lower(), []).append(test)
        literals = {literal.lower() for _, literal, _ in self._sure} | set(self._tests)
        self._any_literal = re.compile("|".join(sorted(literals))).search

    def __missing__(self, word: str) -> tuple[int, list[Test]]:
        lower = word.lower()
        bits = 0
        tests: list[Test] = []
        if self._any_literal(lower):
            for bit, literal, any_case in self._sure:
                if (literal.lower() in lower) if any_case else literal in word:
                    bits |= bit
            tests = [test for literal, tests in self._tests.items() if literal in lower for test in tests]
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        self[word] = bits, tests
        return self[word]


_TOKEN = re.compile(
    r"""
      (?P<group>\((?:\?[:!=])?(?P<inside>(?:[^()]|\([^()]*\))*)\)) (?P<optional>[?*])?
    | (?P<letter>[a-zA-Z]) (?P<times>[?*+]|\{[\d,]*\})?
    | (?: \[[^\]]*\] | \\. | [^()\[\]{}|?*+] ) (?:[?*+]|\{[\d,]*\})?
    """,
    re.VERBOSE,
)


def _alternatives(pattern: str) -> Iterator[str]:
    """The parts of a pattern between its outermost bars."""
    depth = start = 0
    for found in re.finditer(r"\\?.", pattern):
        depth += (found[0] in ("(", "[")) - (found[0] in (")", "]"))
        if found[0] == "|" and depth == 0:
            yield pattern[start : found.start()]
            start = found.end()
    yield pattern[start:]


def _literals(alternative: str) -> list[str]:
    """Letters of which one row is in whatever an alternative matches.

    That is its longest row of letters outside of groups, else such a row of each alternative in a group.
    """
    rows = [""]
    groups = []
    at = 0
    while at < len(alternative):
        token = _TOKEN.match(alternative, at)
        if token is None:
            raise ValueError(f"unknown regular expression of trafilatura: {alternative!r}")
        at = token.end()
        if token["letter"] and not token["times"]:
            rows[-1] += token["letter"]
            continue
        rows.append("")
        if token["group"] and not token["optional"] and not token["group"].startswith(("(?!", "(?=")):
            groups.append(token["inside"])
    longest = max(rows, key=len)
    if longest:
        return [longest]
    if not groups:
        raise ValueError(f"no letters in a regular expression of trafilatura: {alternative!r}")
    return [literal for inner in _alternatives(groups[0]) for literal in _literals(inner)]
