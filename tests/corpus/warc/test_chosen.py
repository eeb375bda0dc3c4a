"""Captures that an index names: one item each, and no other byte is read."""

import gzip

import pytest

from corpus.warc.chosen import Capture, ChosenReader, hash_of_url, spans_of
from corpus.warc.record import Damage, Record
from tests.warcs import http, page, record


class Noted:
    """A file in memory that notes what is read of it."""

    name = "made.warc.gz"

    def __init__(self, data):
        self.data, self.size, self.read_ = data, len(data), []

    def read(self, offset, length):
        assert offset >= 0 <= length
        self.read_.append((offset, length))
        return self.data[offset : offset + length]


@pytest.fixture(scope="module")
def made():
    """An archive of nine pages, and their captures."""
    data, captures = b"", []
    for number in range(9):
        url = f"http://a{number}.example/"
        for kind in ("request", "response"):
            member = gzip.compress(record(kind, url, http(page(f"Page {number}")), number), mtime=0)
            if kind == "response":
                captures.append(Capture(len(data), len(member), hash_of_url(url)))
            data += member
    return data, captures


def read(data, captures, resume=None):
    """The items, with the place that was announced before each."""
    source = Noted(data)
    reader, found = ChosenReader(source, captures, captures[-1].offset + captures[-1].length, resume), []
    announced = (reader.offset, reader.inner)
    for item in reader:
        found.append((announced, item))
        announced = (reader.offset, reader.inner)
    assert announced == (reader.end, 0)
    return source, found


def test_each_capture_is_one_record_and_no_other_byte_is_read(made):
    data, captures = made
    chosen = captures[1::3]
    source, found = read(data, chosen)
    assert [item.url for _, item in found] == [f"http://a{number}.example/" for number in (1, 4, 7)]
    assert [announced for announced, _ in found] == [(one.offset, 0) for one in chosen]
    assert [(item.offset, item.inner) for _, item in found] == [(one.offset, 0) for one in chosen]
    assert source.read_ == [(one.offset, one.length) for one in chosen]


def test_reading_resumes_at_every_place(made):
    data, captures = made
    whole = read(data, captures)[1]
    for number, one in enumerate(captures):
        assert read(data, captures, (one.offset, 0))[1] == whole[number:]
    assert read(data, captures, (len(data), 0))[1] == []


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (lambda one: one._replace(offset=one.offset + 1), "index"),
        (lambda one: one._replace(length=one.length - 1), "index"),
        (lambda one: one._replace(length=4), "index"),
        (lambda one: one._replace(url=one.url ^ 1), "index"),
        (lambda one: one._replace(offset=0), "index"),  # a request
        (lambda one: one._replace(offset=1 << 30), "truncated"),
    ],
)
def test_a_wrong_capture_is_damage(made, harm, kind):
    data, captures = made
    wrong = harm(captures[4])
    _, found = read(data, [wrong])
    assert [(type(item), item.offset, item.length, item.kind, item.url) for _, item in found] == [
        (Damage, wrong.offset, wrong.length, kind, "")
    ]


def test_a_broken_page_is_damage_and_the_next_one_is_read(made):
    data, captures = made
    broken, at = bytearray(data), captures[2].offset + captures[2].length // 2
    broken[at] ^= 0xFF
    _, found = read(bytes(broken), captures[2:4])
    assert [getattr(item, "kind", "") for _, item in found] == ["gzip", "response"]
    assert isinstance(found[1][1], Record)


def test_an_archive_that_ends_early(made):
    data, captures = made
    _, found = read(data[: captures[3].offset + 9], captures[2:5])
    assert [item.kind for _, item in found] == ["response", "truncated", "truncated"]


def test_a_capture_that_is_longer_than_its_page_is_read(made):
    data, captures = made
    _, found = read(data, [captures[0]._replace(length=len(data) - captures[0].offset)])
    assert [item.url for _, item in found] == ["http://a0.example/"]


def test_near_captures_are_asked_for_together():
    near, far = 64 << 10, (64 << 10) + 1
    captures = [(0, 10), (10 + near, 5), (15 + near + far, 7), (16 + near + far, 2), (20 + near + far, 1)]
    start = 15 + near + far
    assert spans_of(captures) == [(0, 15 + near), (start, start + 7)]
    assert spans_of([]) == []
