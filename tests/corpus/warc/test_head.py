"""Headers as crawlers really write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.warc.head import FIRST_LINE, HEAD_BYTES, parse_head
from corpus.warc.record import target_uri


def head(*lines: bytes, eol: bytes = b"\r\n") -> bytes:
    return b"".join(line + eol for line in [b"WARC/1.0", *lines, b""])


def test_names_are_lower_case_and_values_stripped() -> None:
    parsed = parse_head(head(b"WARC-Type:  Response ", b"CONTENT-LENGTH: 12") + b"body")
    assert parsed is not None
    assert (parsed.kind, parsed.length, parsed.flavor) == ("response", 12, "warc")
    assert parsed.headers == {"warc-type": "Response", "content-length": "12"}
    assert parsed.size == len(head(b"WARC-Type:  Response ", b"CONTENT-LENGTH: 12"))


@pytest.mark.parametrize("version", [b"WARC/0.17", b"WARC/0.18", b"WARC/1.0", b"WARC/1.1", b"WARC/1.0 "])
@pytest.mark.parametrize("eol", [b"\r\n", b"\n", b"\r\r\n"])
def test_versions_and_line_breaks(version: bytes, eol: bytes) -> None:
    parsed = parse_head(head(b"WARC-Type: response", b"Content-Length: 0", eol=eol).replace(b"WARC/1.0", version))
    assert parsed is not None
    assert (parsed.kind, parsed.length) == ("response", 0)


def test_folded_repeated_and_broken_lines() -> None:
    parsed = parse_head(
        head(
            b"WARC-Type: metadata", b"A: one", b" two", b"\tthree", b"a: again", b" and on", b"no colon", b" x", b": y"
        )
    )
    assert parsed is not None
    assert parsed.headers == {"warc-type": "metadata", "a": "one two three", "": "y"}
    assert parsed.length is None


def test_values_that_are_not_utf8_do_not_spoil_others() -> None:
    parsed = parse_head(head(b"WARC-Type: response", "A: ü€".encode(), b"B: caf\xe9", b"C: \x85x"))
    assert parsed is not None
    assert (parsed.headers["a"], parsed.headers["b"], parsed.headers["c"]) == ("ü€", "café", "x")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"WARC", b"WARC/1.0", b"WARC/1.0\r\nWARC-Type: response\r\n", b"WARC/x\r\n\r\n", b"warc/1.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n", b"http://a/ 1.2.3.4 text/html 5\n", b"http://a/ 1.2.3.4 20040512000000 text/html 5",
        b"http: a\n", b"<html>http://a/ 1.2.3.4 20040512000000 text/html 5\n", head(b"A: " + b"x" * HEAD_BYTES),
    ],
)  # fmt: skip
def test_no_header(data: bytes) -> None:
    assert parse_head(data) is None


@pytest.mark.parametrize("length", ["+5", "-5", "5.0", "0x5", "٣", "5 5", "", "1" * 19])
def test_lengths_that_are_none(length: str) -> None:
    parsed = parse_head(head(b"WARC-Type: response", b"Content-Length: " + length.encode()))
    assert parsed is not None
    assert parsed.length is None


def test_arc_lines() -> None:
    parsed = parse_head(b"http://a/?q=x y 1.2.3.4 20040512010203 text/html 17\r\nbody")
    assert parsed is not None
    assert parsed.headers["warc-target-uri"] == "http://a/?q=x y"
    assert (parsed.length, parsed.size, parsed.flavor) == (
        17,
        len(b"http://a/?q=x y 1.2.3.4 20040512010203 text/html 17\r\n"),
        "arc",
    )
    short_date = parse_head(b"dns:a 2001:db8::1 200405120102 text/dns -1\n")
    assert short_date is not None
    assert (short_date.headers["warc-date"], short_date.length) == ("2004-05-12T01:02:00Z", None)


PLAIN_ARC_LINE = re.compile(rb"(?<=\n)[A-Za-z][A-Za-z0-9+.-]{0,30}:[^\n]{0,16000} \d{12,20} [^\n]{0,400}\d\r?(?=\n)")
"""The same pattern without the look-ahead."""

PIECES = st.sampled_from(
    [b"a:", b"http://x", b" ", b" 123456789012 ", b"20260101000000", b"7", b"\r", b"\n", b"z" * 398, b"z" * 15_990]
)


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_looking_ahead_finds_the_same_lines(data: bytes) -> None:
    text = b"\n" + data + b"\n"
    found, plain = (
        [match.span() for match in pattern.finditer(text)] for pattern in (FIRST_LINE["arc"], PLAIN_ARC_LINE)
    )
    assert found == plain


@pytest.mark.parametrize("behind", range(396, 406))
def test_how_far_the_end_of_a_line_may_be(behind: int) -> None:
    for end in (b"7\n", b"7\r\n", b"7z\n"):
        text = b"\na: 123456789012 " + b"z" * behind + end
        found, plain = (pattern.search(text) is None for pattern in (FIRST_LINE["arc"], PLAIN_ARC_LINE))
        assert found == plain


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ("http://a.example/", "http://a.example/"),
        ("<http://a.example/>", "http://a.example/"),
        (" < http://a.example/ > ", "http://a.example/"),
        ("http://a.example/a>", "http://a.example/a>"),
        ("", ""),
    ],
)
def test_urls_with_and_without_brackets(header: str, url: str) -> None:
    assert target_uri({"warc-target-uri": header}) == url
