"""Phone numbers in a text: what presidio's PhoneRecognizer finds, with the work that its regions repeat done once.

presidio runs `phonenumbers.PhoneNumberMatcher` over the text once per region. What the matcher makes of a candidate
depends on little: its characters, whether a letter or currency sign touches it, whether ":00" follows. So candidates
are searched for once, and the verdicts on them remembered: years and prices are most of them, and come again on every
page. The matcher's own code decides, so the spans are the very same ones; 0.3 ms for a page of 5,000 characters in
place of 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberMatch, PhoneNumberMatcher
from phonenumbers.phonenumbermatcher import _PATTERN, _TIME_STAMPS_SUFFIX
from phonenumbers.phonenumberutil import _PLUS_CHARS_PATTERN, _SECOND_NUMBER_START_PATTERN, COUNTRY_CODE_TO_REGION_CODE

from corpus.errors import ConfigError

MAX_TRIES = 65_535
"""Wrong numbers after which phonenumbers gives up on a text."""

LEAST_DIGITS = 4
"""The shortest numbers of any country (Germany, Tristan da Cunha …); a test holds phonenumbers' data to it."""

LEAST_INTERNATIONAL = 6
"""A digit to call abroad, one of a country's code, and the shortest number."""

LENIENCY = 1
"""presidio's: numbers that exist in their country's plan."""

_ANY_NUMBER = PhoneNumber()
_REMEMBERED = 1 << 15  # candidates, some 15 MB
_SOON = 3  # characters behind a candidate that can matter: ":00" makes a time stamp of a date


class _Verdict(NamedTuple):
    span: tuple[int, int] | None
    tries: int


class PhoneFinder:
    """Finds phone numbers as they are written in some regions, or anywhere with a plus."""

    def __init__(self, regions: Iterable[str]) -> None:
        self._regions = tuple(regions)
        self._judge = lru_cache(_REMEMBERED)(self._judge_anew)

    def find(self, text: str, max_tries: int = MAX_TRIES) -> tuple[set[tuple[int, int]], int]:
        """The spans that are a number in any region, and the characters at the end that were not searched in all.

        It gives up after `max_tries` numbers and wrong numbers in a region; phonenumbers counts the wrong ones only.
        """
        found: set[tuple[int, int]] = set()
        unsearched = 0
        left = dict.fromkeys(range(len(self._regions)), max_tries)
        # Regions go through the text together; one that found a number within a candidate goes on where that ends,
        # the others behind the candidate.
        waiting = {0: list(left)}
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
            verdicts = self._judge(
                text[start:end],
                start > 0 and _is_attached(text[start - 1]),
                _after(text[end : end + _SOON]),
            )
            for region in regions:
                span, tries = verdicts[region]
                left[region] -= tries
                if span:
                    left[region] -= 1
                    found.add((start + span[0], start + span[1]))
                if left[region] > 0:
                    waiting.setdefault(start + span[1] if span else end, []).append(region)
                else:
                    unsearched = max(unsearched, len(text) - end)
        return found, unsearched

    def _judge_anew(self, candidate: str, attached: bool, after: str) -> tuple[_Verdict, ...]:
        before = "a" if attached else " "
        verdicts = []
        for region in self._regions:
            matcher = _Matcher(before + candidate + after, region, leniency=LENIENCY, max_tries=MAX_TRIES)
            match = matcher._extract_match(candidate, 1)
            tries = MAX_TRIES - matcher._max_tries
            verdicts.append(_Verdict((match.start - 1, match.end - 1), tries) if match else _Verdict(None, tries + 1))
        return tuple(verdicts)


class _Matcher(PhoneNumberMatcher):
    """phonenumbers' matcher, which parses nothing that is too short to be a number.

    A valid number has a length that its country allows: four digits or more, and without + or the prefix of an
    international call as many as numbers of the region have. Letters count, for "ext" can be dialled.
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
    """Whether a part of a text is a number as it stands, given whether something is attached to it."""
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
    """The digits of the shortest number that is written as in `region`, without its country's code."""
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
        raise ConfigError(f"phonenumbers knows no region '{region}'.", "Give ISO 3166 codes, such as GB.")
    return plan


def _after(text: str) -> str:
    """The little of what follows a candidate that its verdict depends on."""
    if _TIME_STAMPS_SUFFIX.match(text):
        return ":00"
    return "a" if text and _is_attached(text[0]) else " "


@lru_cache(1 << 12)
def _is_attached(char: str) -> bool:
    """Whether a number next to `char` is none, as in "abc8005001234" and "€123"."""
    return bool(PhoneNumberMatcher._is_invalid_punctuation_symbol(char) or PhoneNumberMatcher._is_latin_letter(char))
