"""Findings of personal data in a text, by presidio's recognizers, each run only where it can find something.

    Finder(("email", "phone")).find("Write to bob@mail.example.com")     # [Finding(9, 29, 'email', 1.0)]

presidio's own recognizers decide. In front of each stands a test for what its patterns can't do without, so what is
found equals what presidio's AnalyzerEngine finds with these recognizers and no language model. Words around a finding
("SSN:", "call") raise no score here: presidio needs a model's lemmas for that. All is linear in the length of the
text, apart from a bounded number of tries at phone numbers.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import regex
from presidio_analyzer import EntityRecognizer, PatternRecognizer, RecognizerResult, pattern_recognizer
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
    UsSsnRecognizer,
)
from presidio_analyzer.predefined_recognizers.generic import iban_recognizer
from tldextract import TLDExtract

from filters.pii.phone_numbers import PhoneFinder

Spans = Iterator[tuple[int, int]]

# presidio's pattern for e-mail addresses in parts. As one pattern it searches for a name from every word boundary and
# takes quadratic time (14 s for 16 kB of "a-" before an @); here a search starts at each @.
_NAME_CHARS = r"!#$%&'*+\-/=?^_`{|}~\w"
_AT = regex.compile(r"@(?=\w)")
_LAST_OF_NAME = regex.compile(rf"[{_NAME_CHARS}]")
_NAME_RUN = regex.compile(rf"[{_NAME_CHARS}.]++", regex.REVERSE)
_NAME_START = regex.compile(rf"\b[{_NAME_CHARS}]")
_MAIL_HOST = regex.compile(r"@\w++(?:-++\w++)*+(?:\.\w++(?:-++\w++)*+)++")

# What a finding can't do without.
_IP_CORE = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:")
_CARD_CORE = regex.compile(r"\d{4}[- ]?\d{3,4}[- ]?\d{3,4}[- ]?\d{3}")
_IBAN_CORE = re.compile(r"[A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]{4}")
_SSN_CORE = re.compile(r"[0-9]{3}[- .]?[0-9]{2}[- .]?[0-9]{4}")
_CRYPTO_CORE = re.compile(r"(?:[bB][cC]1|[13])\w{25}")

_SPACE = re.compile(r"\s")

MOST_STRETCHES = 50_000
"""Stretches of one text that a recognizer is shown, 30 to 60 µs each: a page of "::1 " has a million of them."""


class Finding(NamedTuple):
    """A stretch of a text, what it is, and how sure that is (presidio's score)."""

    start: int
    end: int
    kind: str
    score: float


class Finder:
    """Finds some kinds of personal data. `unsearched` is the number of characters that the last search left out."""

    def __init__(
        self,
        kinds: Sequence[str],
        score_threshold: float = 0.0,
        phone_regions: Iterable[str] = PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS,
        phone_tries: int = 10_000,
    ) -> None:
        _never_log_or_time_out()
        self.unsearched = 0
        self._threshold = score_threshold
        self._patterns = [
            (kind, recognizer(), where) for kind, (recognizer, where) in _PATTERNS.items() if kind in kinds
        ]
        self._mail_domain = _mail_domains() if "email" in kinds else None
        self._phones = PhoneFinder(phone_regions) if "phone" in kinds else None
        self._phone_tries = phone_tries

    def find(self, text: str) -> list[Finding]:
        """All findings of at least the threshold, highest score first, then by place. They may overlap."""
        return [
            Finding(result.start, result.end, result.entity_type, result.score)
            for result in EntityRecognizer.remove_duplicates(list(self._results(text)))
        ]

    def _results(self, text: str) -> Iterator[RecognizerResult]:
        self.unsearched = 0
        if self._mail_domain and "@" in text:
            for start, end in _mails(text):
                if self._mail_domain(text[start:end]):
                    yield RecognizerResult("email", start, end, EntityRecognizer.MAX_SCORE)
        for kind, recognizer, where in self._patterns:
            for number, (start, end) in enumerate(where(text)):
                if number == MOST_STRETCHES:
                    self.unsearched = len(text) - start
                    break
                for result in recognizer.analyze(text[start:end], [], None):
                    if result.score >= self._threshold:
                        yield RecognizerResult(kind, start + result.start, start + result.end, result.score)
        if self._phones and self._threshold <= PhoneRecognizer.SCORE:
            spans, unsearched = self._phones.find(text, self._phone_tries)
            self.unsearched = max(self.unsearched, unsearched)
            for start, end in spans:
                yield RecognizerResult("phone", start, end, PhoneRecognizer.SCORE)


def is_public(address: str) -> bool:
    """Whether an address that presidio found (maybe with a prefix length or a zone) belongs to the public internet."""
    return ipaddress.ip_interface(address).ip.is_global


def _mails(text: str) -> Spans:
    """What presidio's pattern matches, whether or not the domain exists."""
    done = 0
    for at in _AT.finditer(text):
        middle = at.start()
        if middle == done or not _LAST_OF_NAME.match(text, middle - 1):
            continue
        host = _MAIL_HOST.match(text, middle)
        run = _NAME_RUN.search(text, done, middle)
        start = _NAME_START.search(text, run.start(), middle) if host and run else None
        if host and start:
            done = host.end()
            yield start.start(), done


def _mail_domains() -> Callable[[str], bool]:
    """presidio's check of an address: its domain has a known public suffix, here by the list in the package.

    presidio's own fetches the list from the network when it runs, and writes it to a cache.
    """
    extract = TLDExtract(cache_dir=None, suffix_list_urls=())
    extract.extract_str("a.example")  # it parses the list at its first use
    return lambda address: extract.extract_str(address).fqdn != ""


def _addresses(text: str) -> Spans:
    """The stretches without whitespace that hold the core of an IP address, which has none."""
    done = 0
    for core in _IP_CORE.finditer(text):
        if core.start() >= done:
            start = core.start()
            while start > done and not text[start - 1].isspace():
                start -= 1
            end = _SPACE.search(text, core.end())
            done = end.start() if end else len(text)
            yield start, done


def _all_with(core: re.Pattern[str] | regex.Pattern[str]) -> Callable[[str], Spans]:
    """The whole text, if it holds `core`."""

    def where(text: str) -> Spans:
        if core.search(text):
            yield 0, len(text)

    return where


_PATTERNS: dict[str, tuple[Callable[[], PatternRecognizer], Callable[[str], Spans]]] = {
    "ip_address": (IpRecognizer, _addresses),
    "credit_card": (CreditCardRecognizer, _all_with(_CARD_CORE)),
    "iban": (IbanRecognizer, _all_with(_IBAN_CORE)),
    "us_ssn": (UsSsnRecognizer, _all_with(_SSN_CORE)),
    "crypto": (CryptoRecognizer, _all_with(_CRYPTO_CORE)),
}


def _never_log_or_time_out() -> None:
    """presidio's log messages quote the text, and its time limits would make findings depend on the machine's load."""
    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL + 1)
    for module in (pattern_recognizer, iban_recognizer):
        module.REGEX_TIMEOUT_SECONDS = None
