import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters.extract.page import Page
from filters.extract.structure import scan
from tests.faults.mutate import mutated
from tests.growth import assert_linear
from tests.reference import structure as reference


@pytest.mark.parametrize(
    ("html", "depth"),
    [
        (b"", 0),
        (b"no tags", 0),
        (b"<", 0),
        (b"</", 0),
        (b"<a", 1),
        (b"a < b <3 <>", 0),
        (b"<DIV><Span></sPAN></div>", 2),
        (b"</div></div><div>", 1),
        (b"<p><p><p><li><td><br><img><IMG/>", 0),
        (b"<ul><li><ul><li></ul></ul>", 2),
        (b"<!doctype html><?xml ?><!-- x -->", 0),
        (b"<x-y><x:z><h1>", 3),
        (b"<b><br></b><base><blockquote>", 1),
        (b"<script></script>" * 100 + b"<div>" * 100, 100),
        (b"<script>" * 100 + b"<div>" * 100, 0),
    ],
)
def test_depth(html, depth):
    assert scan(html).depth == depth


def test_attributes_are_counted_in_long_tags_of_any_writing():
    assert scan(b"<p a b c>").attributes == 0
    assert scan(b"<p " + b"a='x y' " * 200 + b'b="z w"/c d = e>').attributes == 203
    assert scan(b"<p>" + b"words = words " * 200).attributes == 0
    assert scan(b'<p class="' + b"x " * 1000 + b'">').attributes == 1
    assert scan(b'<p class="' + b"x " * 1000).attributes == 1


@pytest.mark.parametrize(
    "junk", [b"<", b"<a", b"<a ", b"<a b='", b"</", b"<script", b"<!--", b"<p " + b"a" * 998, b"a=", b"<div>"]
)
def test_the_scan_is_linear_on_hostile_bytes(junk):
    assert_linear(lambda size: junk * (size // len(junk)), scan, 100_000)


@settings(max_examples=300)
@given(st.text(alphabet="<>/!-ab \"'=scriptdv\0", max_size=200).map(str.encode) | st.binary(max_size=100))
def test_the_scan_never_raises(body):
    structure = scan(body)
    assert 0 <= structure.depth <= structure.tags == body.count(b"<")


PIECES = st.sampled_from(
    [b"<div>", b"</div>", b"<x-1 ", b"<Script>", b"</sCript", b"<!--", b"-->", b"<STYLE ", b"</style>", b"<p/>", b"<"]
) | st.binary(max_size=4)  # fmt: skip
ATTRIBUTES = st.lists(
    st.sampled_from([b" ", b"\n/", b"a", b"b1", b"=", b" = ", b"'x y'", b'"z', b"'", b"/", b"\x0b", b"\xe9", b"\x1c"]),
    max_size=12,
).map(b"".join)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=12).map(b"".join), ATTRIBUTES, ATTRIBUTES, st.booleans())
def test_the_scan_gives_what_patterns_give(pieces, first, second, deep):
    nested = b"<b>" * 90 if deep else b""
    long_tag = b"<i " + first + b" " * (1_000 if deep else 990) + second
    for body in (pieces, pieces + nested + pieces, long_tag + pieces, nested + pieces + long_tag):
        assert scan(body) == reference.scan(body)


def test_the_scan_gives_what_patterns_give_on_real_pages(shared_data):
    chance, other = random.Random(1), b""
    for item in read_warc(shared_data / "warc" / "mixed-00001.warc.gz"):
        if isinstance(item, Record) and (body := Page(item).body):
            damaged, _ = mutated(chance, body[:20_000], other or body)
            for one in (body, damaged):
                assert scan(one) == reference.scan(one)
            other = body
