"""Ledger and corpus rows, and the counts of records."""

import pytest

from corpus.document import Document
from corpus.outcome import DROPPED, FAILED, KEPT, REMOVED, SKIPPED, Outcome
from corpus.tables.ledger import (
    add_counts,
    add_outcome,
    balances,
    corpus_row,
    corpus_schema,
    hidden_names,
    hidden_url,
    is_row_of,
    ledger_row,
    ledger_schema,
    no_counts,
    storable,
    total,
)
from corpus.warc.record import Record


def outcome(kind=KEPT, **fields):
    record = Record("w.warc.gz", 7, "response", {"warc-record-id": "<urn:1>"}, b"", 0, note="length_mismatch")
    doc = Document(id="w.warc.gz:7", url="http://bob:pw@a.example/", text="Grüße")
    doc.record = record
    return Outcome(kind, doc, **fields)


def test_a_ledger_row_has_the_measures_and_no_user_name():
    found = outcome(DROPPED, stage="words", rule="count", value=3, bound="min", limit=50.0, measures={"words.count": 3})
    row = ledger_row(found, "w.warc.gz", 7, None)
    assert row["url"] == "http://<USER>@a.example/"
    assert (row["stage"], row["rule"], row["value"], row["limit"]) == ("words", "count", 3.0, 50.0)
    assert row["words.count"] == 3
    assert row["detail"] == "length_mismatch"
    assert set(row) == set(ledger_schema({"words.count": int}).names)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<urn:uuid:0a>", "<urn:uuid:0a>"),
        ("<mailto:bob@mail.example>", "<mailto:<EMAIL>>"),
        ("<urn:bob%40mail.example:7>", "<urn:<EMAIL>:7>"),
        ("<http://bob:pw@a.example/7>", "<http://<USER>@a.example/7>"),
        ("<http://a.example/?user=bob>", "<http://a.example/?user=<USER>"),
        ("\ud800", "?"),
    ],
)
def test_a_record_id_is_masked_as_a_url_is(written, shown):
    found = outcome()
    found.doc.record.headers["warc-record-id"] = written
    assert ledger_row(found, "w.warc.gz", 7, None)["record_id"] == shown


def test_hidden_names_are_found_by_the_url_in_any_form():
    found = outcome(DROPPED, stage=REMOVED, rule="url")
    row = ledger_row(found, "w.warc.gz", 7, None, hide=True)
    assert row["url"] == hidden_url("https://bob:pw@A.example:443")
    assert row["record_id"].startswith("sha256:")
    assert hidden_names(row["url"], row["record_id"]) == (row["url"], row["record_id"])
    assert is_row_of(row["url"], "https://bob:pw@A.example:443")
    assert not is_row_of(row["url"], "https://bob:pw@a.example/x")
    assert "a.example" in ledger_row(outcome(), "w.warc.gz", 7, None, hide=True)["url"]


def test_the_size_of_a_text_is_null_until_all_stages_have_run():
    found = outcome()
    assert ledger_row(found, "w.warc.gz", 7, None)["text_bytes"] is None
    found.finished = True
    assert ledger_row(found, "w.warc.gz", 7, None)["text_bytes"] == len("Grüße".encode())


def test_a_category_is_no_value():
    assert ledger_row(outcome(DROPPED, value="de", detail="de"), "w", 0, None)["value"] is None


def test_a_removed_page_has_no_note():
    assert ledger_row(outcome(DROPPED, stage=REMOVED, rule="url"), "w", 0, None)["detail"] is None


def test_rows_hold_only_text_that_can_be_stored():
    found = outcome()
    found.doc.url, found.doc.text, found.doc.date = "http://a.example/\ud800", "a\ud800b", "\udfff"
    row = corpus_row(found, "w.warc.gz", 7)
    assert (row["url"], row["text"], row["date"]) == ("http://a.example/?", "a?b", "?")
    assert set(row) == set(corpus_schema({"keep": ["lang"]}).names)
    assert storable("äß😀") == "äß😀"


FOUND = [
    outcome(),
    outcome(DROPPED, stage="url", rule="list"),
    outcome(DROPPED, stage="url", rule="list"),
    outcome(DROPPED, stage="words", rule="count"),
    outcome(FAILED, rule="crash"),
    outcome(SKIPPED, rule="not_http"),
    outcome(),
]


def test_records_are_counted_by_outcome_and_rule():
    counts = no_counts()
    for one in FOUND:
        add_outcome(counts, one.outcome, one.stage, one.rule)
    assert counts == {
        "in": 7,
        "kept": 2,
        "dropped": {"url": {"list": 2}, "words": {"count": 1}},
        "failed": {"crash": 1},
        "skipped": {"not_http": 1},
    }
    assert balances(counts)
    assert total(counts["dropped"]) == 3


@pytest.mark.parametrize("split", range(len(FOUND) + 1))
def test_counts_of_units_add_up_to_those_of_the_run(split):
    whole, first, second = no_counts(), no_counts(), no_counts()
    for number, one in enumerate(FOUND):
        add_outcome(whole, one.outcome, one.stage, one.rule)
        add_outcome(first if number < split else second, one.outcome, one.stage, one.rule)
    add_counts(first, second)
    assert first == whole


@pytest.mark.parametrize("more", [{"in": 1}, {"kept": 1}, {"dropped": {"a": {"b": 1}}}, {"failed": {"crash": 1}}])
def test_counts_that_do_not_balance_are_noticed(more):
    counts = no_counts()
    for one in FOUND:
        add_outcome(counts, one.outcome, one.stage, one.rule)
    add_counts(counts, more)
    assert not balances(counts)
