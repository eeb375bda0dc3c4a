"""Findings are what presidio and phonenumbers find, in a time that is linear in the length of the text."""

import json
import random
import re

import phonenumbers
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberMatcher
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
    UsSsnRecognizer,
)
from presidio_analyzer.predefined_recognizers.generic import email_recognizer
from tldextract import TLDExtract

from filters.pii.findings import Finder, Finding
from filters.pii.personal_data import PATTERN_KINDS, PHONE_REGIONS, Pii
from filters.pii.phone_numbers import LEAST_DIGITS, PhoneFinder, least_digits, own_span
from tests.filters.pii.test_personal_data import parts, replaced
from tests.growth import assert_linear

KIND_OF = {
    "EMAIL_ADDRESS": "email",
    "IP_ADDRESS": "ip_address",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "credit_card",
    "IBAN_CODE": "iban",
    "US_SSN": "us_ssn",
    "CRYPTO": "crypto",
}
RECOGNIZERS = (
    EmailRecognizer,
    IpRecognizer,
    PhoneRecognizer,
    CreditCardRecognizer,
    IbanRecognizer,
    UsSsnRecognizer,
    CryptoRecognizer,
)
ALL_TRIES = 65_535  # where phonenumbers gives up


@pytest.fixture(scope="module")
def presidio():
    """A function from a text to its findings, by presidio's own engine with the same recognizers and no model."""
    with pytest.MonkeyPatch.context() as patch:
        offline = TLDExtract(cache_dir=None, suffix_list_urls=())
        patch.setattr(email_recognizer.tldextract, "extract", offline.extract_str)
        nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
        registry = RecognizerRegistry(recognizers=[cls() for cls in RECOGNIZERS], supported_languages=["en"])
        engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])

        def find(text):
            results = engine.analyze(text, "en", score_threshold=0)
            return {Finding(*span(text, r), KIND_OF[r.entity_type], r.score) for r in results}  # type: ignore[call-arg]

        yield find


def span(text, result):
    """Its span; that of a phone number without an open bracket before it."""
    start_end = result.start, result.end
    return own_span(text, *start_end) if result.entity_type == "PHONE_NUMBER" else start_end


@pytest.fixture(scope="module")
def everything():
    return Finder(PATTERN_KINDS, phone_tries=ALL_TRIES, evidence=False)


ALPHABETS = {
    "mail": "ab1é_.-@!'+ <\u0300",
    "address": "0128f:./% g",
    "digits": "0123456789 -./()+",
    "letters and digits": "ABGRVKI0129 -",
    "near phones": "0124579 -/+x(\u0663;extn=#~\u2013\uff0b€a:",
}


@pytest.mark.parametrize("name", ALPHABETS)
def test_findings_are_presidios(presidio, everything, name):
    @settings(max_examples=250)
    @given(st.text(alphabet=ALPHABETS[name], max_size=60))
    def check(text):
        assert set(everything.find(text)) == presidio(text)

    check()


def test_findings_are_presidios_near_real_ones(presidio, everything):
    near = parts("com", ".com", "@mail.com", "a@b.c-d", "12.2021", "ffff:", "::", "GB", "bc1", "000", "ıİſK")

    @settings(max_examples=300)
    @given(near)
    def check(text):
        assert set(everything.find(text)) == presidio(text)

    check()


def test_crypto_in_any_letter_case(presidio, everything):
    """presidio's pattern ignores case. In that mode, `regex` takes four letters beyond ASCII for s, k and i."""
    for odd in "ſKıİ":
        text = f"x BC1{odd * 30} 1{odd * 30}"
        assert set(everything.find(text)) == presidio(text)


def test_mail_pattern_is_the_one_that_is_searched_for_here():
    (pattern,) = EmailRecognizer.PATTERNS
    assert pattern.regex == (
        r"\b((([!#$%&'*+\-/=?^_`{|}~\w])|([!#$%&'*+\-/=?^_`{|}~\w][!#$%&'*+\-/=?^_`{|}~\.\w]{0,}"
        r"[!#$%&'*+\-/=?^_`{|}~\w]))[@]\w+(?:-+\w+)*(?:\.\w+(?:-+\w+)*)+)\b"
    )


@pytest.mark.parametrize("step", [pytest.param(14, marks=pytest.mark.slow), 42])
def test_findings_are_presidios_on_real_pages(presidio, everything, shared_data, step):
    texts = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])["text"].to_pylist()
    found = 0
    for text in filter(None, texts[3::step]):
        ours = set(everything.find(text))
        assert ours == presidio(text)
        found += len(ours)
    assert found > 700 // step


def test_findings_are_presidios_on_labelled_sentences(presidio, everything, shared_data):
    """On presidio-research's synthetic sentences, the findings and so the recall are the same, and all e-mails are
    found."""
    labelled, hit = dict.fromkeys(PATTERN_KINDS, 0), dict.fromkeys(PATTERN_KINDS, 0)
    for sentence in json.loads((shared_data / "pii" / "synth_pii.json").read_text()):
        ours = set(everything.find(sentence["full_text"]))
        assert ours == presidio(sentence["full_text"])
        strong = [finding for finding in ours if finding.score >= Pii().score_threshold]
        for span in sentence["spans"]:
            kind = KIND_OF.get(span["entity_type"])
            if kind:
                start, end = span["start_position"], span["end_position"]
                labelled[kind] += 1
                hit[kind] += any(f.kind == kind and f.start < end and start < f.end for f in strong)
    assert labelled["email"] == hit["email"] > 0


# phone numbers


@pytest.mark.parametrize("regions", [PHONE_REGIONS, ("AR", "AT", "TA", "BS", "SM", "NF"), ("RU", "CN", "NG", "IT")])
def test_phone_numbers_are_phonenumbers(regions):
    finder = PhoneFinder(regions)
    rng = random.Random(7)

    def number(region):
        example = phonenumbers.example_number(region)
        style = rng.choice([0, 1, 2])
        return phonenumbers.format_number(example, style)[: rng.choice([99, 99, -1])]

    for _ in range(150):
        text = ""
        for _ in range(rng.randrange(1, 7)):
            digits = "".join(rng.choice("0123456789") for _ in range(rng.randrange(1, 9)))
            text += rng.choice([number(rng.choice(regions)), digits, "ext. 12", "x3", "12/10/2011", "2012-01-02 08"])
            text += rng.choice(
                [" ", ", ", "-", "/", " - ", ".", "(", ")", " (", "a", "€", ":00", "+", " / x", "; ", "\n"]
            )
        expected = {
            (match.start, match.end) for region in regions for match in PhoneNumberMatcher(text, region, leniency=1)
        }
        assert finder.find(text) == (expected, 0)


def test_nothing_shorter_is_a_number():
    """The least lengths, which save parsing, are compared with all of phonenumbers' data."""
    for region in phonenumbers.SUPPORTED_REGIONS:
        metadata = PhoneMetadata.metadata_for_region(region)
        assert min(metadata.general_desc.possible_length) >= LEAST_DIGITS
        assert not metadata.international_prefix or not re.fullmatch(metadata.international_prefix, "")
        assert least_digits(region) >= LEAST_DIGITS
        if metadata.national_prefix_transform_rule:  # the rule adds digits, but only to four or more
            prefix = re.compile(metadata.national_prefix_for_parsing)
            for digits in range(1000):
                match = prefix.match(f"{digits:03}")
                assert not match or match.groups()[-1] is None


def test_too_many_numbers_leave_the_rest_unsearched():
    stage = Pii(phone_tries=50)
    text = " ".join(f"{n * n} {n}-{n}x" for n in range(1000, 1100))
    outcome = stage.check(text)
    assert (outcome.outcome, outcome.rule, outcome.limit) == ("dropped", "unsearched", 0)
    assert 0 < outcome.value < len(text)
    assert Pii().check(text).kept


@pytest.fixture(scope="module")
def whole():
    made = Pii()
    made.prepare()
    return made


@pytest.mark.parametrize(
    "parts",
    [
        ("a-", "@b.c"),
        ("a.", "a@b.com"),
        ("", "a@", "b-"),
        ("a@b.",),
        ("@",),
        ("-", "@b.com"),
        ("", "::1%", "a"),
        ("1:",),
        ("1",),
        ("GB29",),
        ("1 x",),
        ("2012-01-12 08 ",),
        ("1(",),
        ("x",),
        ("call 555-0143 or ",),
        ("tel ", "555-0143"),
        ("555-0143 fax\n",),
        ("+1 212-555-0143, ",),
        ("0.707  0.530 ",),
        ("version ", "93.184.216.34"),
        ("4012888888881881 card ",),
        ("a/b?c=d&", "e@mail.example.com"),
    ],
    ids=repr,
)
def test_time_is_linear(whole, parts):
    """presidio's own mail pattern would need hours for the first text."""
    repeated, after, then = (*parts, "", "")[:3]

    def text(length):
        return repeated * (length // max(len(repeated), 1)) + after + then * (length // max(len(then), 1))

    assert_linear(text, lambda made: replaced(whole, made), 400_000)


def test_time_is_linear_in_numbers(whole):
    """Each text has numbers of its own, since the matcher remembers what it has seen."""
    numbers = random.Random(0)
    assert_linear(
        int,
        lambda count: replaced(whole, " ".join(str(numbers.randrange(10**8)) for _ in range(count))),
        1_600,
    )
