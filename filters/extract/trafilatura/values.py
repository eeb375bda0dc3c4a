"""Match an attribute's value against many patterns. Only patterns that share a word with the value are tried.

    values = ValueFlags()
    values.add_pattern(1, "^nav|side-?bar")
    values["navigation"]  # 1

Class names and ids consist of few words, and most sites use the same ones. So a new value costs 1.5 µs; all patterns
one by one would cost 25 µs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

MAX_REMEMBERED = 50_000
"""The number of values, and of words, that are remembered before the memory is cleared.

At some 150 bytes each, they take 7 MB.
"""

MAX_LENGTH = 200
"""A longer value is not remembered."""

Test = tuple[int, Callable[[str], Any]]

_WORDS = re.compile("[a-z]+", re.IGNORECASE | re.ASCII).findall


class ValueFlags(dict[str, int]):
    """A map from a value to bits. An entry is made when a value is first looked up."""

    def __init__(self) -> None:
        super().__init__()
        self._any = 0
        self._equal: dict[str, int] = {}
        self._all: list[Test] = []
        self._words = _WordFlags()

    def add_any(self, bit: int) -> None:
        """Give this bit to every value."""
        self._any |= bit

    def add_value(self, bit: int, value: str) -> None:
        """Give this bit to one value."""
        self._equal[value] = self._equal.get(value, 0) | bit

    def add_pattern(self, bit: int, pattern: str, *, any_case: bool = False, lower: bool = False) -> None:
        """Give this bit to values that contain a match of a regular expression.

        `lower` searches the lower case of a value, for a pattern in lower case.
        """
        search = re.compile(pattern, re.IGNORECASE if any_case else 0).search
        self._all.append((bit, (lambda value: search(value.lower())) if lower else search))
        self._words.add(bit, pattern, any_case or lower)

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
            # if case is ignored, some letters beyond ASCII equal an ASCII letter, but not in lower case
            for bit, search in self._all:
                if search(value):
                    bits |= bit
        if len(value) <= MAX_LENGTH:
            if len(self) >= MAX_REMEMBERED:
                self.clear()
            self[value] = bits
        return bits


class _WordFlags(dict[str, tuple[int, list[Test]]]):
    """A map from a word to the bits of each ASCII value with this word, and to the tests that such a value may pass."""

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


_TIMES = r"(?:[?*+]|\{[\d,]*\})"
_GROUP = r"\((?:[^()]|\([^()]*\))*\)"
_BREAK = rf"{_GROUP}[?*]?|(?:\[[^\]]*\]|\\.|[^a-zA-Z()\[\]{{}}|?*+]){_TIMES}?|[a-zA-Z]{_TIMES}"
"""The parts of a pattern between strings of letters: groups, sets, signs, and letters that may repeat or be absent."""


def _alternatives(pattern: str) -> Iterator[str]:
    """Split a pattern at its outermost bars."""
    depth = start = 0
    for found in re.finditer(r"\\?.", pattern):
        depth += (found[0] in ("(", "[")) - (found[0] in (")", "]"))
        if found[0] == "|" and depth == 0:
            yield pattern[start : found.start()]
            start = found.end()
    yield pattern[start:]


def _literals(alternative: str) -> list[str]:
    """Return strings of letters. Each match of the alternative contains one of them.

    This is the longest string outside of groups. Without such a string, it is the longest string of each alternative in
    the first group.
    """
    known = re.fullmatch(rf"(?:[a-zA-Z]|{_BREAK})*", alternative)
    longest = max(re.split(_BREAK, alternative), key=len)
    if known and longest:
        return [longest]
    group = re.search(rf"(?!\(\?[!=])({_GROUP})(?![?*])", alternative)
    if not known or group is None:
        raise ValueError(f"unknown regular expression of trafilatura: {alternative!r}")
    inner = group[1][1:-1].removeprefix("?:")
    return [literal for one in _alternatives(inner) for literal in _literals(one)]
