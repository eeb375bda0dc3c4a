"""The PII stage: what it replaces, that it finds what presidio finds, and that no text can hurt it."""

import logging
import pickle
import re
import socket

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer import pattern_recognizer
from presidio_analyzer.predefined_recognizers import (
    PhoneRecognizer,
)

from corpus.document import Document
from corpus.errors import ConfigError
from filters.pii.findings import Finder
from filters.pii.personal_data import FAKES, KINDS, PATTERN_KINDS, PHONE_REGIONS, Pii


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
    assert PHONE_REGIONS == PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS
    number = "It is 070-123 45 67"
    assert Pii().check(number).doc.text == number
    assert Pii(phone_regions=("SE",)).check(number).doc.text == "It is <PHONE>"


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


# every text


def parts(*extra):
    """Texts made of pieces that are findings or nearly are."""
    piece = st.sampled_from([value for _, value in FOUND] + list(extra))
    glue = st.text(alphabet=" .,-:/@()+x<>\n1aé", max_size=3)
    return st.lists(st.one_of(piece, glue), max_size=8).map("".join)


NASTY = st.one_of(
    st.text(alphabet=st.characters(), max_size=80),  # with NUL and lone surrogates
    st.text(alphabet="0123456789 .-/()+@ab:\n\0\ud800שמ", max_size=80),
    parts("<EMAIL>", "<PHONE>", "IP_ADDRESS>"),
)


@settings(max_examples=400)
@given(NASTY)
def test_twice_is_once_and_nothing_is_left(stage, text):
    values, once = replaced(stage, text)
    assert values["unsearched"] == 0
    again, twice = replaced(stage, once)
    assert twice == once
    assert not any(again.values())


@settings(max_examples=150)
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
        ({"entities": ("e-mail",)}, "can't contain 'e-mail'"),
        ({"entities": ("person",)}, "needs a language model"),
        ({"phone_regions": ("UK",)}, "can't contain 'UK'"),
    ],
)
def test_wrong_parameters_stop_before_any_page(params, message):
    with pytest.raises(ConfigError, match=message):
        Pii(**params).prepare()
