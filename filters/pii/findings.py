"""Find personal data in a text with presidio's recognizers.

    Finder(("email", "phone")).find("Write to bob@mail.example.com")     # [Finding(9, 29, 'email', 1.0)]

The kernel `personal_hints` finds the kinds of which the text has a part that every finding contains. Other recognizers
are skipped. Without `evidence`, the findings equal those of presidio's AnalyzerEngine with these recognizers and no
language model. Words around a finding ("SSN:", "call") don't raise its score, because presidio needs a model's lemmas
for that. With `evidence` our own rules look at the form of a finding and at the words around it, and decide whether it
counts. The time is linear in the length of the text, except for a bounded number of tries at phone numbers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import regex

from corpus.imports import without_heavy
from filters.pii.evidence import is_address, is_card, mail_start
from filters.pii.phone_evidence import PHONE_DIGITS, may_be_proven, phones
from filters.pii.phone_numbers import PhoneFinder, own_span
from filters.url.public_suffixes import domain_parser
from native import kernels

with without_heavy():  # presidio would load transformers
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

Spans = Iterator[tuple[int, int]]

# This is presidio's pattern for e-mail addresses, in parts. The whole pattern searches from every word boundary and
# takes quadratic time (14 s for 16 kB of "a-" before an @). Here a search starts at each @.
_NAME_CHARS = r"!#$%&'*+\-/=?^_`{|}~\w"
_AT = regex.compile(r"@(?=\w)")
_LAST_OF_NAME = regex.compile(rf"[{_NAME_CHARS}]")
_NAME_RUN = regex.compile(rf"[{_NAME_CHARS}.]++", regex.REVERSE)
_NAME_START = regex.compile(rf"\b[{_NAME_CHARS}]")
_MAIL_HOST = regex.compile(r"@\w++(?:-++\w++)*+(?:\.\w++(?:-++\w++)*+)++")

_IP_CORE = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:")
"""A part that every IP address contains."""

_SPACE = re.compile(r"\s")

MOST_STRETCHES = 50_000
"""The most stretches of a text that a recognizer reads.

Each takes 30 to 60 µs, and a page of "::1 " has a million of them.
"""


class Finding(NamedTuple):
    """A stretch of a text, the kind of data in it, and presidio's score."""

    start: int
    end: int
    kind: str
    score: float


class Finder:
    """A search for some kinds of personal data. `unsearched` counts the characters that the last search left out."""

    def __init__(
        self,
        kinds: Sequence[str],
        score_threshold: float = 0.0,
        phone_regions: Iterable[str] = PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS,
        phone_tries: int = 10_000,
        evidence: bool = True,
    ) -> None:
        _never_log_or_time_out()
        self.unsearched = 0
        self._threshold = score_threshold
        self._patterns = [
            (kind, recognizer(), where) for kind, (recognizer, where) in _PATTERNS.items() if kind in kinds
        ]
        # our own parser, because presidio's downloads the suffix list at run time
        self._domains = domain_parser() if "email" in kinds else None
        self._evidence = evidence
        self._phones = PhoneFinder(phone_regions, PHONE_DIGITS.start if evidence else 0) if "phone" in kinds else None
        self._phone_tries = phone_tries

    def find(self, text: str) -> list[Finding]:
        """Return the findings whose score reaches the threshold, by falling score and then by position.

        Findings may overlap.
        """
        results = EntityRecognizer.remove_duplicates(list(self._results(text)))
        return [Finding(*self._own_span(text, result), result.entity_type, result.score) for result in results]

    @staticmethod
    def _own_span(text: str, result: RecognizerResult) -> tuple[int, int]:
        span = result.start, result.end
        return own_span(text, *span) if result.entity_type == "phone" else span

    def _results(self, text: str) -> Iterator[RecognizerResult]:
        self.unsearched = 0
        if self._domains and "@" in text:
            for start, end in _mails(text):
                own = mail_start(text, start, end) if self._evidence else start
                # the domain has a known public suffix
                if own is not None and self._domains.extract_str(text[own:end]).fqdn:
                    yield RecognizerResult("email", own, end, EntityRecognizer.MAX_SCORE)
        clusters, kinds = kernels.personal_hints(text)
        for kind, recognizer, where in self._patterns:
            if kind not in kinds:
                continue
            counts = _EVIDENCE.get(kind) if self._evidence else None
            for number, (start, end) in enumerate(where(text)):
                if number == MOST_STRETCHES:
                    self.unsearched = len(text) - start
                    break
                for result in recognizer.analyze(text[start:end], [], None):
                    span = start + result.start, start + result.end
                    if result.score >= self._threshold and (counts is None or counts(text, *span)):
                        yield RecognizerResult(kind, *span, result.score)
        if self._phones and self._threshold <= PhoneRecognizer.SCORE:
            may_count = may_be_proven if self._evidence else None
            valid, unsearched = self._phones.find(text, self._phone_tries, clusters, may_count)
            self.unsearched = max(self.unsearched, unsearched)
            spans: Iterable[tuple[int, int]] = valid
            if self._evidence:
                spans = phones(text, [own_span(text, *span) for span in valid], self._phones.is_grouped, clusters)
            for start, end in spans:
                yield RecognizerResult("phone", start, end, PhoneRecognizer.SCORE)


def _mails(text: str) -> Spans:
    """Yield the matches of presidio's pattern. The domain is not checked."""
    done = 0
    for sign in _AT.finditer(text):
        middle = sign.start()
        if middle == done or not _LAST_OF_NAME.match(text, middle - 1):
            continue
        host = _MAIL_HOST.match(text, middle)
        run = _NAME_RUN.search(text, done, middle)
        start = _NAME_START.search(text, run.start(), middle) if host and run else None
        if host and start:
            done = host.end()
            yield start.start(), done


def _addresses(text: str) -> Spans:
    """Yield the stretches between whitespace that contain the core of an IP address."""
    done = 0
    for core in _IP_CORE.finditer(text):
        if core.start() >= done:
            start = core.start()
            while start > done and not text[start - 1].isspace():
                start -= 1
            end = _SPACE.search(text, core.end())
            done = end.start() if end else len(text)
            yield start, done


def _all(text: str) -> Spans:
    yield 0, len(text)


_PATTERNS: dict[str, tuple[Callable[[], PatternRecognizer], Callable[[str], Spans]]] = {
    "ip_address": (IpRecognizer, _addresses),
    "credit_card": (CreditCardRecognizer, _all),
    "iban": (IbanRecognizer, _all),
    "us_ssn": (UsSsnRecognizer, _all),
    "crypto": (CryptoRecognizer, _all),
}

_EVIDENCE: dict[str, Callable[[str, int, int], bool]] = {"ip_address": is_address, "credit_card": is_card}
"""The rules that decide which findings of a kind count."""


def _never_log_or_time_out() -> None:
    """Switch off presidio's logs, which quote the text, and its time limits, which make findings depend on the load."""
    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL + 1)
    for module in (pattern_recognizer, iban_recognizer):
        module.REGEX_TIMEOUT_SECONDS = None
