import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.extract.structure import scan
from tests.growth import assert_linear


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
