"""The PII stage: what it replaces, that it finds what presidio finds, and that no text can hurt it."""

import json
import logging
import pickle
import random
import re
import socket
import time

import phonenumbers
import pyarrow.parquet as pq
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberMatcher
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, pattern_recognizer
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

from corpus.document import Document
from corpus.errors import ConfigError
from filters.pii import FAKES, KINDS, PATTERN_KINDS, PHONE_REGIONS, Pii
from filters.pii_find import Finder, Finding
from filters.pii_phone import LEAST_DIGITS, PhoneFinder, least_digits

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
    """presidio's own engine with the same recognizers and no model: a function from a text to its findings."""
    with pytest.MonkeyPatch.context() as patch:
        offline = TLDExtract(cache_dir=None, suffix_list_urls=())
        patch.setattr(email_recognizer.tldextract, "extract", offline.extract_str)
        nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
        registry = RecognizerRegistry(recognizers=[cls() for cls in RECOGNIZERS], supported_languages=["en"])
        engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])

        def find(text):
            results = engine.analyze(text, "en", score_threshold=0)
            return {Finding(r.start, r.end, KIND_OF[r.entity_type], r.score) for r in results}

        yield find


@pytest.fixture(scope="module")
def everything():
    return Finder(PATTERN_KINDS, phone_tries=ALL_TRIES)


@pytest.fixture(scope="module")
def stage():
    made = Pii()
    made.prepare()
    return made


def replaced(stage, text):
    """The text that the stage leaves, and its counts that are not zero."""
    doc = Document(text=text)
    return dict(stage.apply(doc)), doc.text


FOUND = [
    ("email", "bob.o'neill+x@mail.example.co.uk"),
    ("email", "ЯНА@почта.рф"),
    ("ip_address", "8.8.8.8"),
    ("ip_address", "8.8.8.0/24"),
    ("ip_address", "2606:4700:4700::1111"),
    ("ip_address", "::ffff:8.8.4.4"),
    ("phone", "(212) 555-1234"),
    ("phone", "+41 44 668 18 00"),
    ("phone", "020 7946 0018"),
    ("phone", "030/901820"),
    ("credit_card", "4012-8888-8888-1881"),
    ("credit_card", "378282246310005"),
    ("iban", "CH93 0076 2011 6238 5295 7"),
    ("iban", "FR1420041010050500013M02606"),
    ("us_ssn", "536-90-4399"),
    ("us_ssn", "536 90 4399"),
    ("crypto", "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ"),
    ("crypto", "bc1qj89046x7zv6pm4n00qgqp505nvljnfp6xfznyw"),
]


@pytest.mark.parametrize(("kind", "value"), FOUND)
def test_replaced_by_its_kind(stage, kind, value):
    values, text = replaced(stage, f"Here: {value}, and then.")
    assert text == f"Here: <{kind.upper()}>, and then."
    assert {name: count for name, count in values.items() if count} == {kind: 1}


@pytest.mark.parametrize(
    "text",
    [
        "bob@localhost",
        "bob@mail.notasuffix",
        "bob at mail dot com",
        "@bob said hi to a@b",
        "127.0.0.1 and 192.168.178.200",  # private, and with the digits of a phone number
        "10.0.0.0/8 and fe80::1 and ::1 and ::",
        "1.2.3.256 at 12:30:45",
        "4012-8888-8888-1882",  # Luhn
        "CH93 0076 2011 6238 5295 8",  # check digits
        "ssn 536904399",  # no separators: 0.05
        "536-00-4399 and 666-90-4399 and 111-11-1111",
        "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyY",  # checksum
        "In 1984 there were 1,234,567 of them on 10/13/2021, at 2012-01-02 08:00, in pp. 211-227 (2003).",
        "x2125551234 and €2125551234",
        "555-1234",
    ],
)
def test_left_alone(stage, text):
    values, after = replaced(stage, text)
    assert after == text
    assert not any(values.values())


def test_measures_count_each_kind_and_the_rest_is_null(stage):
    values, text = replaced(stage, "a@example.com b@example.com 8.8.8.8")
    assert text == "<EMAIL> <EMAIL> <IP_ADDRESS>"
    assert values == {
        **dict.fromkeys(PATTERN_KINDS, 0),
        **dict.fromkeys(KINDS[len(PATTERN_KINDS) :]),
        "email": 2,
        "ip_address": 1,
        "unsearched": 0,
    }
    assert list(values) == list(Pii.limits)


def test_only_the_entities_asked_for():
    stage = Pii(entities=("email",))
    stage.prepare()
    values, text = replaced(stage, "a@example.com 8.8.8.8")
    assert text == "<EMAIL> 8.8.8.8"
    assert values["ip_address"] is None


def test_score_threshold():
    assert Pii(score_threshold=0.05).check("ssn 536904399").doc.text == "ssn <US_SSN>"
    assert Pii(score_threshold=0.5).check("call (212) 555-1234").doc.text == "call (212) 555-1234"


def test_phone_regions():
    number = "Tel. 070-123 45 67"
    assert Pii().check(number).doc.text == number
    assert Pii(phone_regions=("SE",)).check(number).doc.text == "Tel. <PHONE>"


def test_overlapping_findings_are_replaced_as_one(stage):
    finder = Finder(PATTERN_KINDS)
    text = "4111 1111 1111 1111"
    assert {finding.kind for finding in finder.find(text)} >= {"credit_card"}
    assert replaced(stage, text)[1] == "<CREDIT_CARD>"
    text = "mail to 8.8.8.8@example.com"
    assert {finding.kind for finding in finder.find(text)} == {"email", "ip_address"}
    assert replaced(stage, text)[1] == "mail to <EMAIL>"


def test_a_limit_can_drop_pages_with_many():
    from corpus.pipeline import BoundStage, Pipeline

    limits = dict(Pii.limits, email=Pii.limits["email"].with_bounds("pii.email", {"max": 1}))
    outcome = Pipeline([BoundStage("pii", Pii(), limits)]).judge(Document(text="a@example.com b@example.com"))
    assert (outcome.rule, outcome.value, outcome.detail) == ("email", 2, "")


def test_redact(stage):
    assert stage.redact("Write to a@example.com") == "Write to <EMAIL>"


# made-up values


@pytest.fixture(scope="module")
def faker():
    made = Pii(replacement="fake")
    made.prepare()
    return made


@pytest.mark.parametrize(("kind", "value"), FOUND)
def test_fakes_are_of_the_kind_and_follow_from_the_value_alone(faker, kind, value):
    first = replaced(faker, f"Here: {value}, and then.")[1]
    fake = first.removeprefix("Here: ").removesuffix(", and then.")
    assert fake in FAKES[kind]
    assert replaced(faker, f"bob@mail.com, then {value}.")[1].endswith(f", then {fake}.")
    assert replaced(faker, first) == (dict.fromkeys(KINDS) | dict.fromkeys([*PATTERN_KINDS, "unsearched"], 0), first)


def test_different_values_get_different_fakes(faker):
    texts = {replaced(faker, f"user{n}@mail.example.com")[1] for n in range(20)}
    assert texts == set(FAKES["email"])


def test_no_fake_is_someones():
    import ipaddress

    assert all(re.search(r"@example\.(com|org)$", fake) for fake in FAKES["email"])
    assert not any(ipaddress.ip_address(fake).is_global for fake in FAKES["ip_address"])
    assert all("-555-01" in fake for fake in FAKES["phone"])  # reserved for fiction


# what presidio finds


def parts(*extra):
    """Texts of pieces that are near to findings."""
    piece = st.sampled_from([value for _, value in FOUND] + list(extra))
    glue = st.text(alphabet=" .,-:/@()+x<>\n1aé", max_size=3)
    return st.lists(st.one_of(piece, glue), max_size=8).map("".join)


ALPHABETS = {
    "mail": "ab1é_.-@!'+ <\u0300",
    "address": "0128f:./% g",
    "digits": "0123456789 -./()+",
    "letters and digits": "ABGRVKI0129 -",
    "near phones": "0124579 -/+x(\u0663;extn=#~\u2013\uff0b€a:",
}


@pytest.mark.parametrize("name", ALPHABETS)
def test_findings_are_presidios(presidio, everything, name):
    @settings(max_examples=250, deadline=None)
    @given(st.text(alphabet=ALPHABETS[name], max_size=60))
    def check(text):
        assert set(everything.find(text)) == presidio(text)

    check()


def test_findings_are_presidios_near_real_ones(presidio, everything):
    near = parts("com", ".com", "@mail.com", "a@b.c-d", "12.2021", "ffff:", "::", "GB", "bc1", "000", "ıİſK")

    @settings(max_examples=300, deadline=None)
    @given(near)
    def check(text):
        assert set(everything.find(text)) == presidio(text)

    check()


def test_crypto_in_any_letter_case(presidio, everything):
    """presidio's pattern ignores case, and to `regex` four letters beyond ASCII are like s, k and i then."""
    for odd in "ſKıİ":
        text = f"x BC1{odd * 30} 1{odd * 30}"
        assert set(everything.find(text)) == presidio(text)


def test_mail_pattern_is_the_one_that_is_searched_for_here():
    (pattern,) = EmailRecognizer.PATTERNS
    assert pattern.regex == (
        r"\b((([!#$%&'*+\-/=?^_`{|}~\w])|([!#$%&'*+\-/=?^_`{|}~\w][!#$%&'*+\-/=?^_`{|}~\.\w]{0,}"
        r"[!#$%&'*+\-/=?^_`{|}~\w]))[@]\w+(?:-+\w+)*(?:\.\w+(?:-+\w+)*)+)\b"
    )


def test_findings_are_presidios_on_real_pages(presidio, everything, shared_data):
    texts = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])["text"].to_pylist()
    found = 0
    for text in filter(None, texts[3::14]):
        ours = set(everything.find(text))
        assert ours == presidio(text)
        found += len(ours)
    assert found > 50


def test_findings_are_presidios_on_labelled_sentences(presidio, everything, shared_data):
    """presidio-research's synthetic sentences: the same findings, so the same recall; all of the e-mails."""
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
    """The lengths that spare parsing, against all of phonenumbers' data."""
    for region in phonenumbers.SUPPORTED_REGIONS:
        metadata = PhoneMetadata.metadata_for_region(region)
        assert min(metadata.general_desc.possible_length) >= LEAST_DIGITS
        assert not metadata.international_prefix or not re.fullmatch(metadata.international_prefix, "")
        assert least_digits(region) >= LEAST_DIGITS
        if metadata.national_prefix_transform_rule:  # adds digits, but to four or more alone
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


# every text


NASTY = st.one_of(
    st.text(alphabet=st.characters(), max_size=80),  # with NUL and lone surrogates
    st.text(alphabet="0123456789 .-/()+@ab:\n\0\ud800שמ", max_size=80),
    parts("<EMAIL>", "<PHONE>", "IP_ADDRESS>"),
)


@settings(max_examples=400, deadline=None)
@given(NASTY)
def test_twice_is_once_and_nothing_is_left(stage, text):
    values, once = replaced(stage, text)
    assert values["unsearched"] == 0
    again, twice = replaced(stage, once)
    assert twice == once
    assert not any(again.values())


@settings(max_examples=150, deadline=None)
@given(NASTY)
def test_twice_is_once_with_fakes(faker, text):
    _, once = replaced(faker, text)
    assert replaced(faker, once)[1] == once


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "\ud800@\udfff.com a@\ud800.com",
        "‮bob@example.com‬ שלום 8.8.8.8 עולם",
        "a@" + "xn--" * 500 + ".com",
        "a@" + "b." * 20_000 + "com",
        "+" * 10_000,
        "<EMAIL>" * 10_000,
    ],
)
def test_total(stage, text):
    values, _ = replaced(stage, text)
    assert all(value is None or value >= 0 for value in values.values())


@pytest.mark.parametrize(
    "text",
    [
        "a-" * 200_000 + "@b.c",
        "a." * 200_000 + "a@b.com",
        "a@" + "b-" * 200_000,
        "a@b." * 100_000,
        "@" * 400_000,
        "a" + "-" * 400_000 + "@b.com",
        "::1%" + "a" * 400_000,
        "1:" * 200_000,
        "1" * 400_000,
        "GB29" * 100_000,
        "1 x" * 130_000,
        "2012-01-12 08 " * 25_000,
        "1(" * 200_000,
        "x" * 1_000_000,
        " ".join(str(n * n) for n in range(60_000)),
    ],
    ids=lambda text: text[:8],
)
def test_time_is_linear(stage, text):
    """presidio's mail pattern alone would need half an hour for the first."""
    began = time.process_time()
    replaced(stage, text)
    assert time.process_time() - began < 15


def test_findings_do_not_depend_on_the_clock(stage):
    assert pattern_recognizer.REGEX_TIMEOUT_SECONDS is None


def test_no_network_no_cache_files(monkeypatch, tmp_path):
    def refuse(*_):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TLDEXTRACT_CACHE", str(tmp_path))
    stage = Pii()
    assert stage.check("a@mail.example.com").doc.text == "<EMAIL>"
    assert not list(tmp_path.iterdir())


def test_no_text_in_logs(stage, caplog):
    with caplog.at_level(logging.DEBUG):
        stage.prepare()
        replaced(stage, " ".join(value for _, value in FOUND))
    assert not [record for record in caplog.records if "4012" in record.getMessage() or "bob" in record.getMessage()]


def test_pickles_without_what_it_found(stage):
    replaced(stage, "a@mail.example.com (212) 555-1234")
    again = pickle.loads(pickle.dumps(stage))  # noqa: S301
    assert vars(again) == stage.__getstate__()
    assert b"555" not in pickle.dumps(stage)


# names


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A spaCy model that knows one person and one city."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": "Ada Lovelace"}, {"label": "GPE", "pattern": "London"}])
    folder = tmp_path_factory.mktemp("model") / "tiny"
    nlp.to_disk(folder)
    return str(folder)


def test_names(model):
    stage = Pii(entities=("email", "person"), ner_model=model)
    outcome = stage.check("Ada Lovelace <PERSON> of London \ud800 is ada@mail.example.com.")
    assert outcome.doc.text == "<PERSON> <PERSON> of London \ud800 is <EMAIL>."
    assert outcome.measures["pii.person"] == 1
    assert outcome.measures["pii.location"] is None
    assert Pii(entities=("location",), ner_model=model).check("to London").doc.text == "to <LOCATION>"


def test_names_in_a_text_of_many_chunks(model):
    stage = Pii(entities=("person",), ner_model=model)
    text = "word " * 9_998 + "Ada Lovelace.\n" + "word " * 20_000 + "x" * 60_000 + " Ada Lovelace"
    outcome = stage.check(text)
    assert outcome.measures["pii.person"] == 2
    assert outcome.doc.text == text.replace("Ada Lovelace", "<PERSON>")


def test_the_model_is_part_of_the_identity(model, tmp_path):
    digests = Pii(ner_model=model).resources()
    assert digests == Pii(ner_model=model).resources()
    assert len(digests["ner_model"]) == len(digests["public_suffix_list"]) == 64
    with pytest.raises(ConfigError, match="no language model"):
        Pii(ner_model=str(tmp_path / "none")).resources()
    with pytest.raises(ConfigError, match="can't be loaded"):
        Pii(ner_model=str(tmp_path)).prepare()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"replacement": "hash"}, "unknown"),
        ({"entities": ("e-mail",)}, "has no 'e-mail'"),
        ({"entities": ("person",)}, "needs a language model"),
        ({"phone_regions": ("UK",)}, "has no 'UK'"),
    ],
)
def test_wrong_parameters_stop_before_any_page(params, message):
    with pytest.raises(ConfigError, match=message):
        Pii(**params).prepare()
