"""Personal data, replaced in the text.

Pii().check("Write to bob@mail.example.com").doc.text      # 'Write to <EMAIL>'
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from operator import itemgetter
from typing import TYPE_CHECKING

import xxhash

from corpus.errors import ConfigError, did_you_mean
from corpus.imports import without_heavy
from corpus.stage import Limit, Measured, Stage

if TYPE_CHECKING:
    from corpus.document import Document
    from filters.pii.findings import Finding

PATTERN_KINDS = ("email", "ip_address", "phone", "credit_card", "iban", "us_ssn", "crypto")
KINDS = (*PATTERN_KINDS, "person", "location", "organization", "nrp")
PHONE_REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")

FAKES = {
    "email": ("email@example.com", "firstname.lastname@example.org"),  # FineWeb's
    "ip_address": ("192.0.2.1", "192.0.2.99", "198.51.100.7", "198.51.100.42", "203.0.113.5", "203.0.113.200"),
    "phone": ("+1 202-555-0100", "+1 202-555-0147", "+1 202-555-0183", "+1 202-555-0199"),
    "credit_card": ("4111 1111 1111 1111", "5500 0000 0000 0004"),
    "iban": ("GB29 NWBK 6016 1331 9268 19", "DE89 3704 0044 0532 0130 00"),
    "us_ssn": ("078-05-1120", "219-09-9999"),
    "crypto": ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
}
"""Values that nobody has: reserved for documentation, for film, or printed as examples in the standards."""

_MAX_PASSES = 10
_SNAPSHOT = ".tld_set_snapshot"


class Pii(Stage):
    """Replaces personal data by what it is, `<EMAIL>`, or by made-up values; measures how often, by kind.

    By presidio-analyzer's recognizers, at presidio's scores:

        email          with a domain under a public suffix                                     1.0
        ip_address     IPv4 and IPv6, public ones only                                         0.6
        phone          valid in one of `phone_regions`, or anywhere when written with a plus   0.4
        credit_card    Luhn's check digit                                                      1.0
        iban           check digits and its country's format                                   1.0
        us_ssn         with separators ("123-45-6789")                                         0.5
        crypto         Bitcoin addresses with a valid checksum                                 1.0
        person, location, organization, nrp    with `ner_model` only                           0.85

    What scores below `score_threshold` stays: at 0.35 nine digits without separators, which might be an SSN (0.05), and
    the address "::" (0.1). presidio would raise these scores by words like "SSN" near by, with a language model; here
    words around a finding don't count. Findings that overlap are replaced as one, under the surest and then longest.
    The result is searched again until nothing is found, so the stage changes nothing the second time (names apart).

    `unsearched` counts characters, and a page with any is dropped: a text of more than `phone_tries` phone numbers and
    other numbers is not searched for phone numbers beyond them (presidio gives up silently after 65,535), one of more
    than 50,000 stretches that might be of a kind not for that kind beyond them, and one in which ten searches found
    something each counts whole.

    It does not cover: names, addresses, dates of birth and whatever else needs understanding (with `ner_model`: names,
    as far as the model goes); user names and handles; passwords, keys and tokens; ID, tax and licence numbers of any
    country, bank accounts without IBAN, number plates; phone numbers of other regions in national form, and numbers
    with letters; anything obfuscated ("bob at mail dot com") or broken over lines. It takes some version numbers for
    IP addresses ("1.2.3.4") and some numbers of other kinds for phone numbers.
    """

    name = "pii"
    source = "presidio-analyzer 2.2.366; datatrove 0.10.1 formatters/pii.py for the made-up e-mail addresses"

    email = Limit(of=int)
    ip_address = Limit(of=int)
    phone = Limit(of=int)
    credit_card = Limit(of=int)
    iban = Limit(of=int)
    us_ssn = Limit(of=int)
    crypto = Limit(of=int)
    person = Limit(of=int)
    location = Limit(of=int)
    organization = Limit(of=int)
    nrp = Limit(of=int)
    unsearched = Limit(max=0, of=int)

    def __init__(
        self,
        *,
        entities: Sequence[str] = PATTERN_KINDS,
        replacement: str = "placeholder",
        score_threshold: float = 0.35,
        phone_regions: Sequence[str] = PHONE_REGIONS,
        phone_tries: int = 10_000,
        ner_model: str = "",
    ) -> None:
        self.entities = entities
        """The kinds to replace; the others are not measured."""
        self.replacement = replacement
        """"placeholder", or "fake": the same value gets the same made-up one, in every document."""
        self.score_threshold = score_threshold
        """From which score on a finding counts; the scores are above."""
        self.phone_regions = phone_regions
        """ISO 3166 codes of the countries whose numbers are found without country code; presidio's."""
        self.phone_tries = phone_tries
        """Numbers in a text that are looked at, for each region: what a page of nothing but numbers may cost."""
        self.ner_model = ner_model
        """The folder of a spaCy model, for person, location, organization and nrp. Findings depend on its version."""

    def prepare(self) -> None:
        with without_heavy():
            from filters.pii.findings import Finder  # presidio takes a second to import: only for those who use it

        self._check_params()
        self.finder_ = Finder(self.entities, self.score_threshold, self.phone_regions, self.phone_tries)
        self.names_ = None
        if self.ner_model:
            with without_heavy():
                from filters.pii.names import NameFinder

            self.names_ = NameFinder(self.ner_model, self.entities)

    def resources(self) -> dict[str, str]:
        snapshot = (resources.files("tldextract") / _SNAPSHOT).read_bytes()
        digests = {"public_suffix_list": hashlib.sha256(snapshot).hexdigest()}
        if self.ner_model:
            with without_heavy():
                from filters.pii.names import model_digest

            digests["ner_model"] = model_digest(self.ner_model)
        return digests

    def apply(self, doc: Document) -> Iterator[Measured]:
        text, counts, unsearched = self._replaced(doc.text)
        for kind in KINDS:
            yield kind, counts[kind] if kind in self.entities else None
        yield "unsearched", unsearched
        if counts:
            doc.text = text

    def redact(self, text: str) -> str:
        return self._replaced(text)[0]

    def _replaced(self, text: str) -> tuple[str, Counter[str], int]:
        """The text without findings, how many there were of each kind, and the characters not searched."""
        counts: Counter[str] = Counter()
        findings = self._findings(text)
        if self.names_:
            placeholders = [match.span() for match in _PLACEHOLDER.finditer(text)]
            findings += (name for name in self.names_.find(text) if not _within(name, placeholders))
        for _ in range(_MAX_PASSES):
            unsearched = self.finder_.unsearched
            if not findings:
                return text, counts, unsearched
            done = 0
            parts: list[str] = []
            for start, end, kind in _merged(findings):
                counts[kind] += 1
                parts += text[done:start], self._substitute(kind, text[start:end])
                done = end
            text = "".join(parts) + text[done:]
            if unsearched:
                return text, counts, unsearched
            findings = self._findings(text)
        return text, counts, len(text) if findings else self.finder_.unsearched

    def _findings(self, text: str) -> list[Finding]:
        with without_heavy():
            from filters.pii.findings import is_public

        found = self.finder_.find(text)
        # a private address is no one's, and no phone number either
        private = [f[:2] for f in sorted(found) if f.kind == "ip_address" and not is_public(text[f.start : f.end])]
        if private:
            found = [f for f in found if not _within(f, private)]
        if found and self.replacement == "fake":
            fakes = [match.span() for match in _FAKE.finditer(text)]
            found = [f for f in found if not _within(f, fakes)]
        return found

    def _substitute(self, kind: str, value: str) -> str:
        if self.replacement == "fake" and kind in FAKES:
            fakes = FAKES[kind]
            return fakes[xxhash.xxh64_intdigest(value.encode("utf-8", "surrogatepass")) % len(fakes)]
        return f"<{kind.upper()}>"

    def _check_params(self) -> None:
        from phonenumbers import SUPPORTED_REGIONS

        if self.replacement not in ("placeholder", "fake"):
            raise ConfigError(f"pii.replacement = {self.replacement!r} is unknown.", 'Use "placeholder" or "fake".')
        _known("entities", self.entities, KINDS)
        _known("phone_regions", self.phone_regions, SUPPORTED_REGIONS)
        names = set(self.entities).difference(PATTERN_KINDS)
        if names and not self.ner_model:
            raise ConfigError(f"pii.entities = '{min(names)}' needs a language model.", "Set ner_model to its folder.")


_PLACEHOLDER = re.compile("<?(?:" + "|".join(KINDS).upper() + ")>?")
_FAKE = re.compile("|".join(re.escape(fake) for fakes in FAKES.values() for fake in fakes))


def _known(param: str, values: Iterable[str], known: Iterable[str]) -> None:
    for value in values:
        if value not in known:
            raise ConfigError(f"pii.{param} has no '{value}'.", did_you_mean(value, known))


def _merged(findings: Iterable[Finding]) -> Iterator[tuple[int, int, str]]:
    """Stretches of overlapping findings, in order, each under its surest, then longest, then first finding."""
    group: list[Finding] = []
    end = -1
    for finding in sorted(findings):
        if group and finding.start >= end:
            yield group[0].start, end, _best(group)
            group = []
        group.append(finding)
        end = max(end, finding.end) if len(group) > 1 else finding.end
    if group:
        yield group[0].start, end, _best(group)


def _best(group: list[Finding]) -> str:
    return min(group, key=lambda f: (-f.score, f.start - f.end, f.start, KINDS.index(f.kind))).kind


def _within(finding: Finding, spans: list[tuple[int, int]]) -> bool:
    """Whether the finding lies in one of the spans, which are in order."""
    at = bisect_right(spans, finding.start, key=itemgetter(0)) - 1
    return at >= 0 and finding.end <= spans[at][1]
