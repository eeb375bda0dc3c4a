"""A row as a record: its parts, and what can't be one."""

import json

import pytest

from corpus.documents import row
from corpus.documents.columns import Columns
from corpus.documents.row import Row, make_row
from corpus.warc.record import Damage
from tests.documents import TEXT

ALL = Columns(text="text", id="id", url="meta.url", date="date", language="language")


def made(values, columns=ALL):
    return make_row("a.jsonl", (7, 2), 50, values, columns)


def test_the_parts_of_a_row():
    found = made({"text": "A text", "id": 5, "meta": {"url": b"http://a/"}, "date": "2020", "language": "de"})
    assert isinstance(found, Row)
    assert (found.text, found.record_id, found.url, found.date, found.language) == (
        "A text", "5", "http://a/", "2020", "de",
    )  # fmt: skip
    assert (found.id, found.block_size, found.judged, found.is_text) == ("a.jsonl:7+2", 50, True, True)


def test_a_page_of_html_is_a_page_with_its_charset_if_it_is_known():
    given = {"h": "<p>Grüße"}
    assert made(given, Columns(html="h")).content_type == "text/html; charset=utf-8"
    assert made({"h": b"<p>Gr\xfc\xdfe"}, Columns(html="h")).content_type == "text/html"
    assert made(given, Columns(html="h")).block == "<p>Grüße".encode()
    assert not made(given, Columns(html="h")).is_text


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({}, "empty"),
        ({"text": None}, "empty"),
        ({"text": 5}, "type"),
        ({"text": float("nan")}, "type"),
        ({"text": ["a"]}, "type"),
        ({"text": {"a": "b"}}, "type"),
        ({"text": b"a\xff"}, "utf-8"),
    ],
)
def test_a_row_without_a_text_is_a_damage_with_its_place_and_its_url(values, kind):
    found = made({**values, "meta": {"url": "http://a/"}})
    assert isinstance(found, Damage)
    assert (found.kind, found.offset, found.inner, found.length, found.url) == (kind, 7, 2, 50, "http://a/")


def test_a_text_that_is_too_long_is_a_damage(monkeypatch):
    monkeypatch.setattr(row, "MAX_TEXT", 10)
    assert made({"text": "x" * 10}).text == "x" * 10
    assert made({"text": "x" * 11}).kind == made({"h": b"x" * 11}, Columns(html="h")).kind == "length"


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, "x" * (1 << 17)])
def test_what_is_no_name_is_left_out(value):
    found = made({"text": "t", "id": value, "date": value, "language": value, "meta": value})
    assert (found.record_id, found.url, found.date, found.language) == ("", "", "", None)


def test_lone_surrogates_in_names_are_replaced():
    assert made({"text": "t", "language": "\ud800"}).language == "?"


def test_a_column_with_a_dot_in_its_name_comes_before_a_field():
    assert made({"text": "t", "meta.url": "http://b/", "meta": {"url": "http://a/"}}).url == "http://b/"


def test_kept_columns_are_json_in_the_order_asked():
    values = {
        "text": "t",
        "b": b"\xc3\xbc\xff",
        "c": float("nan"),
        "d": {"e": [1, True, b"x"]},
        "f": "\ud800",
        "n": 2**70,
    }
    columns = Columns(text="text", keep=("d", "d.e", "b", "c", "missing", "f", "n"))
    found = make_row("a", (0, 0), 1, values, columns)
    assert found.metadata == (
        '{"d": {"e": [1, true, "x"]}, "d.e": [1, true, "x"], "b": "ü�", "c": null, "missing": null, "f": "?", '
        f'"n": {2**70}}}'
    )
    assert list(json.loads(found.metadata)) == list(columns.keep)


def test_kept_columns_that_are_nested_too_deeply_are_left_out():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert make_row("a", (0, 0), 1, {"text": "t", "d": deep}, Columns(text="text", keep=("d",))).metadata is None
    assert make_row("a", (0, 0), 1, {"text": "t"}, TEXT).metadata is None
