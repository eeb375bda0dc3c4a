"""Replace personal data in a text.

Pii().check("Write to bob@mail.example.com").doc.text      # 'Write to <EMAIL>'
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import xxhash

from corpus.errors import ConfigError, did_you_mean
from corpus.imports import without_heavy
from corpus.stage import Limit, Measured, Stage
from filters.url.public_suffixes import suffix_list_digest

if TYPE_CHECKING:
    from corpus.document import Document
    from filters.pii.findings import Finding
    from filters.pii.names import NameFinder

PATTERN_KINDS = ("email", "ip_address", "phone", "credit_card", "iban", "us_ssn", "crypto")
KINDS = (*PATTERN_KINDS, "person", "location", "organization", "nrp")
_UNUSED = (
    "spacy", "thinc", "presidio_analyzer.nlp_engine", "presidio_analyzer.input_validation",
    "presidio_analyzer.predefined_recognizers.generic.url_recognizer",
)  # fmt: skip
"""What the import of presidio takes most of its time for. Patterns work without it, and language models need it."""

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
"""Values that belong to nobody: reserved for documentation or film, or printed as examples in standards."""

_MAX_PASSES = 10


class Pii(Stage):
    """Replaces personal data by its kind, such as `<EMAIL>`, or by made-up values, and counts each kind.

    presidio-analyzer's recognizers find the data. The scores are presidio's:

        email          with a domain under a public suffix                                     1.0
        ip_address     IPv4 and IPv6, public ones only                                         0.6
        phone          valid in one of `phone_regions`, or anywhere when written with a plus   0.4
        credit_card    Luhn's check digit                                                      1.0
        iban           check digits and its country's format                                   1.0
        us_ssn         with separators ("123-45-6789")                                         0.5
        crypto         Bitcoin addresses with a valid checksum                                 1.0
        person, location, organization, nrp    with `ner_model` only                           0.85

    For presidio, every number that is valid in a country is a phone number, and German numbers may have four digits.
    With `evidence`, the form of a finding and the text around it decide too. A phone number has 7 to 15 digits and a
    proof:

        announced      a word ("tel", "call", "fax", in some 25 languages) stands directly before it, or a label after
                       it; such a number counts even if presidio does not find it
        near           such a word stands on its line, at most 40 characters before it
        abroad         it begins with a plus
        grouped        it has 9 digits or more, in groups as its country writes them: (212) 555-0143, 020 7946 0018

    Dates, years, versions, fractions, round amounts, and numbers after another word ("ISBN", "order no.", "§") are not
    phone numbers. An IP address does not count after a word such as "version" or as a part of a longer number. An IPv6
    address has at least three groups and is in 2000::/3, so "30::" and "a::b" do not count. A card has a network's
    prefix, length and groups. With 13 or 14 digits it needs a word such as "card" too. Handles ("@ann@social.example")
    and masked names are not e-mail addresses, and the path of a URL is not a part of one. Measured by
    benchmarks/pii.py:

                                                                   with evidence       presidio alone
        right of 300 phone numbers in real pages, read one by one  299 (at least 98%)  145 (48%)
        phone numbers found in such pages                          417                 774
        labelled phone numbers found in 1,000 made sentences       52 of 60            37 of 60
        numbers of other kinds taken for phone numbers there       0                   6
        right of all 276 e-mail addresses in real pages            275

    For the other kinds, `evidence` loses nothing except an IPv6 address in reserved space. Of presidio's 145 right
    phone numbers, `evidence` loses six, which stand alone in a form that is not their country's.

    Findings below `score_threshold` stay in the text. Two kinds score below the default: nine digits without
    separators, which may be an SSN (0.05), and the address "::" (0.1). Words near a finding, such as "SSN", don't
    raise a score: presidio needs a language model for that. Overlapping findings are replaced as one. The kind
    is that of the finding with the highest score, then of the longest finding. The result is searched again until
    nothing is found. So a second run of the stage changes nothing, except for names.

    `unsearched` counts the characters that were not searched. A page with such characters is dropped. The search for
    phone numbers stops after `phone_tries` numbers of any kind (presidio gives up silently after 65,535). The search
    for another kind stops after 50,000 stretches that may be of that kind. If ten searches in a row find something, the
    whole text counts.

    Not covered: names, addresses, dates of birth and other data that needs understanding (`ner_model` finds names, as
    far as the model can); user names and handles; passwords, keys and tokens; ID, tax and license numbers of any
    country, bank accounts without IBAN, number plates; phone numbers of other regions in national form that no word
    announces, and numbers with letters; obfuscated data ("bob at mail dot com") and data broken over lines. Some
    version numbers ("1.2.3.4") count as IP addresses. presidio knows no card numbers of 12 or 19 digits, and none with
    Mastercard's newer prefixes (2221 to 2720).
    """

    name = "pii"
    source = "presidio-analyzer 2.2.366; datatrove 0.10.1 formatters/pii.py for the made-up e-mail addresses"
    reads = ("text",)

    email = Limit(of=int)
    """The number of e-mail addresses replaced."""
    ip_address = Limit(of=int)
    """The number of public IP addresses replaced."""
    phone = Limit(of=int)
    """The number of phone numbers replaced."""
    credit_card = Limit(of=int)
    """The number of card numbers replaced."""
    iban = Limit(of=int)
    """The number of international bank account numbers replaced."""
    us_ssn = Limit(of=int)
    """The number of US social security numbers replaced."""
    crypto = Limit(of=int)
    """The number of Bitcoin addresses replaced."""
    person = Limit(of=int)
    """The number of names of persons that `ner_model` found and that were replaced."""
    location = Limit(of=int)
    """The number of places that `ner_model` found and that were replaced."""
    organization = Limit(of=int)
    """The number of organizations that `ner_model` found and that were replaced."""
    nrp = Limit(of=int)
    """The number of nationalities and religious or political groups that `ner_model` found and that were replaced."""
    unsearched = Limit(max=0, of=int)
    """The number of characters that were not searched."""

    def __init__(
        self,
        *,
        entities: Sequence[str] = PATTERN_KINDS,
        replacement: str = "placeholder",
        score_threshold: float = 0.35,
        phone_regions: Sequence[str] = PHONE_REGIONS,
        phone_tries: int = 10_000,
        evidence: bool = True,
        ner_model: str = "",
    ) -> None:
        self.entities = entities
        """The kinds to replace. Other kinds are not measured."""
        self.replacement = replacement
        """"placeholder", or "fake": equal values get equal made-up values, in every document."""
        self.score_threshold = score_threshold
        """The lowest score of a finding that counts."""
        self.phone_regions = phone_regions
        """The ISO 3166 codes of the countries whose numbers are found without a country code.

        The default is presidio's.
        """
        self.phone_tries = phone_tries
        """The most numbers of a text that are tested per region.

        The maximum limits the cost of a page full of numbers.
        """
        self.evidence = evidence
        """If false, presidio alone decides."""
        self.ner_model = ner_model
        """The folder of a spaCy model for person, location, organization and nrp.

        The version of the model affects the findings.
        """

    def prepare(self) -> None:
        with without_heavy(*(() if self.ner_model else _UNUSED)):  # imported here, because it takes .2 s
            from filters.pii.findings import Finder

        self._check_params()
        self.finder_ = Finder(self.entities, self.score_threshold, self.phone_regions, self.phone_tries, self.evidence)
        self.names_ = self._name_finder() if self.ner_model else None

    def _name_finder(self) -> NameFinder:
        with without_heavy():
            from filters.pii.names import NameFinder

        return NameFinder(self.ner_model, self.entities)

    def resources(self) -> dict[str, str]:
        digests = {"public_suffix_list": suffix_list_digest()}
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
        if doc.title:
            doc.title = self.redact(doc.title)

    def redact(self, text: str) -> str:
        return self._replaced(text)[0]

    def _replaced(self, text: str) -> tuple[str, Counter[str], int]:
        """Return the text with findings replaced, their number by kind, and the number of unsearched characters."""
        counts: Counter[str] = Counter()
        findings = self.findings(text)
        if self.names_:
            placeholders = [match.span() for match in _PLACEHOLDER.finditer(text)]
            findings += (name for name in self.names_.find(text) if not _within(name, placeholders))
        for _ in range(_MAX_PASSES):
            unsearched = self.finder_.unsearched
            if not findings:
                return text, counts, unsearched
            done = 0
            parts: list[str] = []
            for start, end, kind in merged(findings):
                counts[kind] += 1
                parts += text[done:start], self._substitute(kind, text[start:end])
                done = end
            text = "".join(parts) + text[done:]
            if unsearched:
                return text, counts, unsearched
            findings = self.findings(text)
        return text, counts, len(text) if findings else self.finder_.unsearched

    def findings(self, text: str) -> list[Finding]:
        """Return the findings of one search, without names. Findings may overlap."""
        found = self.finder_.find(text)
        # a private address belongs to nobody, and is not a phone number either
        private = [f[:2] for f in sorted(found) if f.kind == "ip_address" and not _is_public(text[f.start : f.end])]
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
            raise ConfigError(f"pii.{param} can't contain '{value}'.", did_you_mean(value, known))


def _is_public(address: str) -> bool:
    """Return True if an address, perhaps with a prefix length or a zone, belongs to the public internet."""
    return ipaddress.ip_interface(address).ip.is_global


def merged(findings: Iterable[Finding]) -> Iterator[tuple[int, int, str]]:
    """Yield the spans of overlapping findings in order.

    The kind of a span is that of its best finding, then the longest, then the first.
    """
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
    """Return True if the finding lies in one of the ordered spans."""
    index = bisect_right(spans, finding.start, key=itemgetter(0)) - 1
    return index >= 0 and finding.end <= spans[index][1]
