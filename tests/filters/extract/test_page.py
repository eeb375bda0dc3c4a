import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document
from filters.extract import Extract
from filters.extract.page import page_of, sniff
from tests.filters.extract.test_extraction import PAGE, record


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"<!DOCTYPE html>", "text/html"),
        (b"\xef\xbb\xbf \n<HTML lang=en>", "text/html"),
        (b"<!-- a --><!-- b -->\n<head>", "text/html"),
        ("\ufeff<html>".encode("utf-16-le"), "text/html"),
        ("\ufeff<html>".encode("utf-16-be"), "text/html"),
        ("<html>".encode("utf-16-le"), "text/html"),
        ("<html>".encode("utf-16-be"), "text/html"),
        (b"<p>x", "text/html"),
        (b"<pre>x", None),
        (b"plain words", None),
        (b"", None),
        (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "x"><html xmlns="y">', "application/xhtml+xml"),
        (b'<?xml version="1.0"?><rss version="2.0">', "application/rss+xml"),
        (b'<?xml version="1.0"?><feed xmlns="x">', "application/atom+xml"),
        (b'<?xml version="1.0"?><other>', None),
        (b"GIF89a", "image/gif"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"PK\x03\x04", "application/zip"),
        (b"<!--" * 300, None),
        (b"<!---->" * 150, None),
    ],
)
def test_sniff(body, media_type):
    assert sniff(body) == media_type


def test_the_page_is_decoded_once(monkeypatch):
    doc = Document.of(record())
    page = page_of(doc)
    assert page.html == PAGE
    monkeypatch.setattr("filters.extract.page.decode_html", None)
    list(Extract(engine="trafilatura").apply(doc))
    assert doc.text


@settings(max_examples=300)
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", "naïve <p>".encode(), b"<meta charset=utf-8>"]),
    st.sampled_from([b"", b"\0", "é".encode()[:1], "漢".encode()[:2], b"\xff", b"</html>\n"]),
)
def test_a_page_in_utf8_is_its_text(body, start, end):
    page = page_of(Document.of(record(start + body + end)))
    assert page.utf8 == page.html.encode()
