"""Find the phone numbers that presidio's PhoneRecognizer finds, but search the text once instead of once per region.

presidio runs `phonenumbers.PhoneNumberMatcher` over the text for each region. The matcher's decision about a candidate
depends only on the candidate's characters, on a letter or currency sign next to it, and on ":00" after it. So this
module searches for candidates once and remembers the decisions. Most candidates are years and prices, which occur again
on every page. The matcher's own code decides, so the spans are the same. A page of 5,000 characters takes 0.3 ms
instead of 3.2 ms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import regex
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberMatch, PhoneNumberMatcher
from phonenumbers.phonenumbermatcher import _PATTERN, _TIME_STAMPS_SUFFIX
from phonenumbers.phonenumberutil import _PLUS_CHARS_PATTERN, _SECOND_NUMBER_START_PATTERN, COUNTRY_CODE_TO_REGION_CODE

from corpus.errors import ConfigError

MAX_TRIES = 65_535
"""phonenumbers gives up on a text after this many wrong numbers."""

LEAST_DIGITS = 4
"""The length of the shortest numbers of any country (Germany, Tristan da Cunha …), checked by a test."""

LEAST_INTERNATIONAL = 6
"""The least number of digits with a prefix for calls abroad: one digit of the prefix, one of the country code, and the
shortest number.
"""

LENIENCY = 1
"""presidio's leniency: numbers must be valid in their country's numbering plan."""

EXACT_GROUPING = 3
"""phonenumbers' leniency for numbers whose groups are those of their country."""

_ANY_NUMBER = PhoneNumber()
_CLOSED_BY = {"(": ")", "[": "]", "（": "）", "［": "］"}
_PLUS = "+\uff0b"
_COUNTRY_CODE = regex.compile(r"(?:\+\d{1,3}|\(\+?\d{1,3}\))[ ]?\Z")
LONGEST_CODE = 7
"""The most characters of a country code in brackets, which belongs to the number after it."""
_REMEMBERED = 1 << 15  # the number of remembered candidates, some 15 MB
_BEFORE_DIGITS = 10  # the most characters before a candidate's first digit: two brackets or signs, four marks each
_MOST_TRIES = 8
"""No region tries so many numbers for each character of a candidate: six ways to divide it, with a few separators."""
_SOON = 3  # the number of characters after a candidate that matter: ":00" turns a date into a time stamp

Cluster = tuple[int, int, int]
"""Digits that are near each other: where they begin and end, and their number."""

MayCount = Callable[[str, int, int], bool]
"""Returns False for a candidate (text, start, end) in which no number counts."""


class _Decision(NamedTuple):
    span: tuple[int, int] | None
    tries: int


class PhoneFinder:
    """A search for phone numbers in the national form of some regions, and in international form with a plus.

    Candidates with fewer than `least_digits` digits are skipped.
    """

    def __init__(self, regions: Iterable[str], least_digits: int = 0) -> None:
        self._regions = tuple(regions)
        self._least_digits = least_digits
        self.is_grouped = lru_cache(_REMEMBERED)(self._is_grouped_anew)
        self._judge = lru_cache(_REMEMBERED)(self._judge_anew)

    def find(
        self,
        text: str,
        max_tries: int = MAX_TRIES,
        clusters: Sequence[Cluster] | None = None,
        may_count: MayCount | None = None,
    ) -> tuple[set[tuple[int, int]], int]:
        """Return the spans that are a number in any region, and the number of characters at the end that some region
        did not search.

        A region stops after `max_tries` numbers, right or wrong. phonenumbers counts only wrong numbers. `clusters` are
        the digits of the text, as the kernel `personal_hints` finds them. Without them, the whole text is searched.
        Candidates in which no number may count are skipped, since a decision takes half a millisecond. If so many are
        skipped that a region might have stopped, the text is searched again, with all candidates.
        """
        if may_count is not None:
            found, unsearched, tries = self._find(text, max_tries, clusters, may_count)
            if tries < max_tries:
                return found, unsearched
        return self._find(text, max_tries, clusters, None)[:2]

    def _find(
        self, text: str, max_tries: int, clusters: Sequence[Cluster] | None, may_count: MayCount | None
    ) -> tuple[set[tuple[int, int]], int, int]:
        """Return what `find` returns, and the most numbers that a region may have tried."""
        rich = [(begin, end) for begin, end, digits in clusters or () if digits >= self._least_digits]
        begins, ends = [max(0, begin - _BEFORE_DIGITS) for begin, _ in rich], [end for _, end in rich]

        def place(index: int) -> int:
            """Return where the next candidate with enough digits may begin."""
            if clusters is None:
                return index
            number = bisect_right(ends, index)
            return max(index, begins[number]) if number < len(rich) else len(text)

        found: set[tuple[int, int]] = set()
        unsearched = skipped = 0
        left = dict.fromkeys(range(len(self._regions)), max_tries)
        # The regions read the text together. If a region finds a number in a candidate, it continues after the number.
        # The other regions continue after the candidate.
        waiting = {place(0): list(left)}
        while waiting:
            index = min(waiting)
            regions = waiting.pop(index)
            match = _PATTERN.search(text, index)
            if match is None:
                continue
            start, end = match.span()
            second = _SECOND_NUMBER_START_PATTERN.search(match.group())
            if second:
                end = start + second.start()
            few = sum(map(str.isdigit, text[start:end])) < self._least_digits
            if few or (may_count is not None and not may_count(text, start, end)):
                skipped += 0 if few else _MOST_TRIES * (end - start)
                waiting.setdefault(place(end), []).extend(regions)
                continue
            attached = start > 0 and _is_attached(text[start - 1])
            decisions = self._judge(text[start:end], attached, _after(text[end : end + _SOON]))
            for region in regions:
                span, tries = decisions[region]
                left[region] -= tries
                if span:
                    left[region] -= 1
                    found.add((start + span[0], start + span[1]))
                if left[region] > 0:
                    waiting.setdefault(place(start + span[1] if span else end), []).append(region)
                else:
                    unsearched = max(unsearched, len(text) - end)
        return found, unsearched, skipped + max_tries - min(left.values(), default=max_tries)

    def _is_grouped_anew(self, number: str) -> bool:
        """Return True if the groups of a number are those of one of the regions."""
        matches = (PhoneNumberMatcher(number, region, leniency=EXACT_GROUPING) for region in self._regions)
        return any((match.start, match.end) == (0, len(number)) for matcher in matches for match in matcher)

    def _judge_anew(self, candidate: str, attached: bool, after: str) -> tuple[_Decision, ...]:
        before = "a" if attached else " "
        decisions = []
        for region in self._regions:
            matcher = _Matcher(before + candidate + after, region, leniency=LENIENCY, max_tries=MAX_TRIES)
            match = matcher._extract_match(candidate, 1)
            tries = MAX_TRIES - matcher._max_tries
            decisions.append(
                _Decision((match.start - 1, match.end - 1), tries) if match else _Decision(None, tries + 1)
            )
        return tuple(decisions)


def own_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span of the characters that belong to a number.

    "(1648" has a bracket that does not belong to it. In "+41 (0)38 549 02 90", the match "(0)38 549 02 90" lacks the
    country code.
    """
    while not (text[start].isdigit() or text[start] in _PLUS or _is_closed(text[start:end])):
        start += 1
    code = _COUNTRY_CODE.search(text, max(0, start - LONGEST_CODE), start) if text.startswith("(0)", start) else None
    return (code.start() if code else start), end


def _is_closed(number: str) -> bool:
    """Return True if the number begins with a bracket that it closes."""
    bracket = number[0]
    return bracket in _CLOSED_BY and number.count(bracket) == number.count(_CLOSED_BY[bracket])


class _Matcher(PhoneNumberMatcher):
    """phonenumbers' matcher, without parsing candidates that are too short.

    A valid number has a length that its country allows: at least four digits. Without a plus or the prefix for calls
    abroad, it has at least as many digits as the shortest number of the region. Letters count, because "ext" can be
    dialed.
    """

    def _parse_and_verify(self, candidate: str, offset: int) -> PhoneNumberMatch | None:
        end = offset + len(candidate)
        before = offset > 0 and _is_attached(self.text[offset - 1])
        after = end < len(self.text) and _is_attached(self.text[end])
        if _is_number(candidate, before, after, self.preferred_region):
            return PhoneNumberMatch(offset, candidate, _ANY_NUMBER)
        return None


@lru_cache(_REMEMBERED)
def _is_number(candidate: str, before: bool, after: bool, region: str) -> bool:
    """Return True if the candidate as a whole is a number. `before` and `after` tell if something is attached to it."""
    digits = sum(map(str.isalnum, candidate))
    if digits < LEAST_DIGITS:
        return False
    international = digits >= LEAST_INTERNATIONAL or _PLUS_CHARS_PATTERN.search(candidate)
    if not international and digits < least_digits(region):
        return False
    around = " a"
    matcher = PhoneNumberMatcher(around[before] + candidate + around[after], region, leniency=LENIENCY)
    return matcher._parse_and_verify(candidate, 1) is not None


@cache
def least_digits(region: str) -> int:
    """Return the length of the shortest number in the national form of `region`."""
    plan = _plan(region)
    siblings = map(_plan, COUNTRY_CODE_TO_REGION_CODE[plan.country_code or 0])
    shortest: int = min(
        length for sibling in siblings for length in getattr(sibling.general_desc, "possible_length", ())
    )
    added = sum(map(str.isdigit, plan.national_prefix_transform_rule or ""))
    return max(LEAST_DIGITS, shortest - added)


def _plan(region: str) -> PhoneMetadata:
    plan = PhoneMetadata.metadata_for_region(region)
    if plan is None:
        raise ConfigError(f"phonenumbers does not know the region '{region}'.", "Give ISO 3166 codes, such as GB.")
    return plan


def _after(text: str) -> str:
    """Return the part of the text after a candidate that matters for the decision."""
    if _TIME_STAMPS_SUFFIX.match(text):
        return ":00"
    return "a" if text and _is_attached(text[0]) else " "


@lru_cache(1 << 12)
def _is_attached(char: str) -> bool:
    """Return True if `char` next to a number makes it invalid, as in "abc8005001234" and "€123"."""
    return bool(PhoneNumberMatcher._is_invalid_punctuation_symbol(char) or PhoneNumberMatcher._is_latin_letter(char))
