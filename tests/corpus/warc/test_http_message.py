"""HTTP messages: odd headers, all encodings, and bombs."""

import gzip
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.warc.http_message import HttpMessage, decode_body, parse_http

PAGE = b"<html><body>" + b"<p>A paragraph of some words.</p>" * 400 + b"</body></html>"
MAX = 1 << 20


def raw_deflate(data):
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def chunked(data, size=1000):
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": zstandard.compress,
}


def decoded(body, max_bytes=MAX, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return decode_body(HttpMessage(200, named, body), max_bytes)


@pytest.mark.parametrize(
    ("block", "status", "headers", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n<p>", 200, {"a": "b"}, b"<p>"),
        (b"HTTP/1.0 404 Not Found\nA: b\n\n<p>", 404, {"a": "b"}, b"<p>"),
        (b"HTTP/2 200\r\nA: b\r\n\r\n<p>", 200, {"a": "b"}, b"<p>"),
        (b"HTTP/1.1 200\r\n\r\n", 200, {}, b""),
        (b"HTTP/1.1 200", 200, {}, b""),
        (b"HTTP/1.1 0 No Content\r\n\r\n<p>", 0, {}, b"<p>"),
        (b"HTTP/1.1\r\nA: b\r\n\r\n<p>", None, {"a": "b"}, b"<p>"),
        (b"ICY 200 OK\r\n\r\n<p>", 200, {}, b"<p>"),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n<p>", 200, {}, b"<p>"),
        (b"<html>no status line: HTTP/0.9", None, {}, b"<html>no status line: HTTP/0.9"),
        (b"", None, {}, b""),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n<html>\r\n\r\nx", 200, {"a": "b"}, b"<html>\r\n\r\nx"),
        (b"HTTP/1.1 200 OK\r\njunk\r\n: x\r\n=?\r\nA: b\r\n\r\n<p>", 200, {"a": "b"}, b"<p>"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n<p>", 200, {"a": "b c"}, b"<p>"),
        (b"HTTP/1.1 200 OK\r\nV: a\r\nv: b\r\n\r\n<p>", 200, {"v": "a, b"}, b"<p>"),
        (b"HTTP/1.1 200\r\nX-Robots-Tag: a: b\r\nx-robots-tag: c\r\n\r\n", 200, {"x-robots-tag": "a: b\nc"}, b""),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-type: c/d\r\n\r\n<p>",
            200,
            {"content-type": "c/d"},
            b"<p>",
        ),
        (b"HTTP/1.1 200 OK\r\nX: \xff\r\n\r\n<p>", 200, {"x": "\xff"}, b"<p>"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n<p>", 200, {"a": "b"}, b"<p>"),
        (b"HTTP/1.1 101 Switching\r\n\r\nnot http", 101, {}, b"not http"),
        # a value that begins with "<" may be folded, too
        (
            b"HTTP/1.1 200 OK\r\nLink:\r\n <http://a/b>; rel=x\r\nA: b\r\n\r\n<p>",
            200,
            {"link": "<http://a/b>; rel=x", "a": "b"},
            b"<p>",
        ),
        (
            b"HTTP/1.1 200 OK\nLink: </a>; rel=x,\n\t</b.css>; rel=y\n\n<p>",
            200,
            {"link": "</a>; rel=x, </b.css>; rel=y"},
            b"<p>",
        ),
        (b"HTTP/1.1 200 OK\r\nLink:\r\n <style>; rel=x\r\n\r\n<p>", 200, {"link": "<style>; rel=x"}, b"<p>"),
        (b"HTTP/1.1 200 OK\r\nFrom:\r\n <me@a.example>\r\n\r\n<p>", 200, {"from": "<me@a.example>"}, b"<p>"),
        # markup in its place is the page, indented or not
        (b"HTTP/1.1 200 OK\r\nA: b\r\n  <html lang=en>\r\n\r\nx", 200, {"a": "b"}, b"  <html lang=en>\r\n\r\nx"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\t<!doctype html>", 200, {"a": "b"}, b"\t<!doctype html>"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n <h1>", 200, {"a": "b"}, b" <h1>"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n <br/>x", 200, {"a": "b"}, b" <br/>x"),
        (b"HTTP/1.1 200 OK\r\n <p>x", 200, {}, b" <p>x"),
        # the answers of proxies come before the real one
        (b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 404 None\r\nA: b\r\n\r\n<p>", 404, {"a": "b"}, b"<p>"),
        (
            b"HTTP/1.0 200 Tunnel\r\nProxy-Agent: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/2 200\r\n\r\n<p>",
            200,
            {},
            b"<p>",
        ),
        (b"HTTP/1.1 200 OK\nVia: x\n\nHTTP/1.1 301 Moved\nA: b\n\n", 301, {"a": "b"}, b""),
        # a page may begin like an answer
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nHTTP/1.1 404 is",
            200,
            {"content-type": "text/plain"},
            b"HTTP/1.1 404 is",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 404", 200, {"content-length": "9"}, b"HTTP/1.1 404"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/2 is new", 200, {}, b"HTTP/2 is new"),
        (b"HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 204, {}, b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
)
def test_parse_http(block, status, headers, body):
    assert parse_http(block) == HttpMessage(status, headers, body)


def test_headers_without_an_end_stop_at_the_cap():
    message = parse_http(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000)
    assert len(message.headers["a"]) < 64 << 10


@pytest.mark.parametrize("encoding", ENCODERS)
def test_each_content_encoding(encoding):
    assert decoded(ENCODERS[encoding](PAGE), content_encoding=encoding) == (PAGE, "")
    assert decoded(ENCODERS[encoding](b""), content_encoding=encoding) == (b"", "")
    assert decoded(b"", content_encoding=encoding) == (b"", "")


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_plain_body_under_a_compressed_label_passes_through(encoding):
    assert decoded(PAGE, content_encoding=encoding) == (PAGE, "mislabelled")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_truncated_body_gives_what_could_be_decoded(encoding):
    data = b"".join(b"<p>%d</p>" % (i * i * 7919 % 1_000_003) for i in range(60_000))
    whole = ENCODERS[encoding](data)
    body, note = decoded(whole[: len(whole) // 2], content_encoding=encoding)
    assert note == "truncated"
    assert len(body) > 100_000
    assert data.startswith(body)


def test_a_corrupt_body_gives_what_could_be_decoded():
    data = b"".join(b"<p>%d</p>" % (i * i * 7919 % 1_000_003) for i in range(60_000))
    whole = bytearray(gzip.compress(data))
    whole[-1000:] = bytes(1000)
    body, note = decoded(bytes(whole), content_encoding="gzip")
    assert note in ("corrupt", "truncated")
    assert len(body) > 100_000


def test_variants_of_deflate_and_gzip():
    assert decoded(raw_deflate(PAGE), content_encoding="deflate") == (PAGE, "")
    assert decoded(gzip.compress(PAGE), content_encoding="deflate") == (PAGE, "")
    assert decoded(gzip.compress(PAGE) + gzip.compress(PAGE), content_encoding="gzip") == (PAGE * 2, "")
    assert decoded(gzip.compress(PAGE) + b"\0\0junk", content_encoding="gzip") == (PAGE, "")
    assert decoded(gzip.compress(PAGE) + b"\x1f\x8bjunk", content_encoding="gzip") == (PAGE, "")


def test_stacked_encodings():
    assert decoded(brotli.compress(gzip.compress(PAGE)), content_encoding="gzip, br") == (PAGE, "")
    body = chunked(zstandard.compress(PAGE))
    assert decoded(body, content_encoding="ZSTD", transfer_encoding="chunked") == (PAGE, "")
    assert decoded(chunked(gzip.compress(PAGE)), transfer_encoding="gzip, chunked") == (PAGE, "")
    assert decoded(PAGE, content_encoding="identity, utf-8, nonsense") == (PAGE, "")


def test_chunked():
    assert decoded(chunked(PAGE), transfer_encoding="chunked") == (PAGE, "")
    assert decoded(chunked(PAGE).replace(b"\r\n", b"\n"), transfer_encoding="chunked") == (PAGE, "")
    assert decoded(b"5;ext=1\r\nhello\r\n0\r\n\r\n", transfer_encoding="chunked") == (b"hello", "")
    assert decoded(PAGE, transfer_encoding="chunked") == (PAGE, "mislabelled")
    assert decoded(b"10\nis a number", transfer_encoding="chunked")[0] == b"is a number"[:16]
    assert decoded(b"2\nis a number", transfer_encoding="chunked") == (b"2\nis a number", "mislabelled")
    assert decoded(b"5\r\nhello\r\n5\r\nwo", transfer_encoding="chunked") == (b"hellowo", "truncated")
    assert decoded(b"5\r\nhello\r\n", transfer_encoding="chunked") == (b"hello", "truncated")
    assert decoded(b"5\r\nhello\r\nno chunk header", transfer_encoding="chunked") == (b"hello", "corrupt")
    assert decoded(b"1\r\nx\r\n" * 150_000, transfer_encoding="chunked") == (b"x" * 100_000, "corrupt")
    assert decoded(b"0005\r\nhello\r\n000000000004\r\n you\r\n000\r\n\r\n", transfer_encoding="chunked") == (
        b"hello you",
        "",
    )
    assert decoded(b"00000000000000005\r\nhello\r\n0000000000\r\n\r\n", transfer_encoding="chunked") == (b"hello", "")
    assert decoded(b"\r\n" + chunked(PAGE), transfer_encoding="chunked") == (PAGE, "")
    assert decoded(b"\n\r\n" + chunked(PAGE), transfer_encoding="chunked") == (PAGE, "")
    assert decoded(b"5\r\nhello\r\n\r\n2\r\nyo\r\n0\r\n\r\n", transfer_encoding="chunked") == (b"helloyo", "")
    assert decoded(b"\r\n" + PAGE, transfer_encoding="chunked") == (b"\r\n" + PAGE, "mislabelled")
    assert decoded(b"\n2\nis a number", transfer_encoding="chunked") == (b"\n2\nis a number", "mislabelled")
    assert decoded(b"0" * 500_000 + b"\r\n", transfer_encoding="chunked")[1] == "mislabelled"
    assert decoded(chunked(PAGE), max_bytes=1500, transfer_encoding="chunked") == (PAGE[:1500], "too_large")


def test_a_crawler_header_counts_only_where_the_body_is_still_encoded():
    assert decoded(PAGE, x_crawler_content_encoding="gzip") == (PAGE, "")
    assert decoded(PAGE, x_crawler_content_encoding="br") == (PAGE, "")
    assert decoded(gzip.compress(PAGE), x_crawler_content_encoding="gzip") == (PAGE, "")


def test_a_large_plain_body_is_cut():
    assert decoded(PAGE, max_bytes=10) == (PAGE[:10], "too_large")
    assert decoded(PAGE, max_bytes=len(PAGE)) == (PAGE, "")


BOMB_BYTES = 400 << 20


@pytest.fixture(scope="module")
def bombs():
    """Compressed zeros, made piece by piece. The test's own memory must not hide the memory that decoding takes."""
    zeros = bytes(1 << 20)
    encoders = {
        "gzip": zlib.compressobj(9, wbits=31),
        "deflate": zlib.compressobj(9),
        "zstd": zstandard.ZstdCompressor(level=1).compressobj(),
    }
    made = {}
    for name, encoder in encoders.items():
        made[name] = b"".join(encoder.compress(zeros) for _ in range(BOMB_BYTES >> 20)) + encoder.flush()
    compressor = brotli.Compressor(quality=1)
    made["br"] = b"".join(compressor.process(zeros) for _ in range(BOMB_BYTES >> 20)) + compressor.finish()
    return made


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_takes_no_memory_beyond_the_cap(bombs, encoding):
    tracemalloc.start()
    body, note = decoded(bombs[encoding], max_bytes=4 << 20, content_encoding=encoding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(body), note) == (4 << 20, "too_large")
    assert peak < 16 << 20


def test_a_bomb_in_a_bomb(bombs):
    body, note = decoded(gzip.compress(bombs["gzip"]), max_bytes=4 << 20, content_encoding="gzip, gzip")
    assert (len(body), note) == (4 << 20, "too_large")


HEADERS = st.dictionaries(
    st.sampled_from(["content-encoding", "transfer-encoding", "x-crawler-content-encoding"]),
    st.lists(st.sampled_from([*ENCODERS, "chunked", "identity", ""]), max_size=4).map(", ".join),
)
BODIES = st.binary(max_size=300) | st.binary(max_size=300).flatmap(
    lambda data: st.sampled_from([encode(data) for encode in ENCODERS.values()] + [chunked(data, 7)])
)


@settings(max_examples=300)
@given(HEADERS, BODIES, st.integers(0, 100), st.integers(0, 200))
def test_decode_body_never_raises_and_keeps_the_cap(headers, body, cut, cap):
    got, note = decode_body(HttpMessage(200, headers, body[: len(body) - cut]), cap)
    assert len(got) <= cap
    assert note in ("", "too_large", "truncated", "corrupt", "mislabelled")


@settings(max_examples=300)
@given(st.binary(max_size=200).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail) | st.binary(max_size=200))
def test_parse_http_never_raises_and_invents_nothing(block):
    assert block.endswith(parse_http(block).body)
