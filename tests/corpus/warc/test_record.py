"""Which records are judged, what their blocks hold, and under which type the others are counted."""

import pytest

from corpus.warc.record import Record, media_type_of


def record(kind, url="http://a.example/", content_type="", identified=""):
    headers = {"warc-target-uri": url, "content-type": content_type, "warc-identified-payload-type": identified}
    return Record("w", 0, kind, headers, b"", 0)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("text/html", "text/html"),
        ("Text/HTML; charset=utf-8", "text/html"),
        ("text/html;charset=utf-8", "text/html"),
        ("text/html charset=utf-8", "text/html"),
        ("text/html, charset=utf-8", "text/html"),
        ("text/html:charset=utf-8", "text/html"),
        ("text/html(x)", "text/html"),
        ('"text/html"', "text/html"),
        (" \ttext/html \t", "text/html"),
        ("image/svg+xml;x", "image/svg+xml"),
        ("*/*", "*/*"),
        ("html; charset=utf-8", "html"),
        ("text", "text"),
        ("; charset=utf-8", ""),
        ("", ""),
    ],
)
def test_the_media_type_of_a_header(header, found):
    assert media_type_of(header) == found


@pytest.mark.parametrize(
    ("item", "judged"),
    [
        (record("response"), True),
        (record("response", "dns:a.example", "text/dns"), True),  # with a row that says so
        (record("conversion", content_type="text/plain"), True),
        (record("conversion", "", "text/plain; charset=utf-8"), True),
        (record("conversion", content_type="text/html"), True),
        (record("conversion", ""), True),
        (record("conversion", content_type="image/png"), False),
        (record("conversion", content_type="application/http"), True),
        (record("resource", content_type="text/html"), True),
        (record("resource", content_type="Text/HTML charset=utf-8"), True),
        (record("resource", content_type="application/xhtml+xml"), True),
        (record("resource", "urn:dom:http://a.example/", "text/html; charset=utf-8"), True),
        (record("resource", "file:///a.html", "text/html"), True),
        (record("resource", content_type="application/http; msgtype=response"), True),
        (record("resource"), True),
        (record("resource", "<HTTPS://A.example/>", "application/octet-stream"), True),
        (record("resource", "ftp://a.example/x", "application/octet-stream"), True),
        (record("resource", content_type="text/plain", identified="text/html"), True),
        (record("resource", content_type="text/plain"), False),
        (record("resource", content_type="image/png"), False),
        (record("resource", identified="image/png"), False),
        (record("resource", "metadata://gnu.org/wget/warc/MANIFEST.txt"), False),
        (record("resource", "metadata://netarkivet.dk/crawl/index/cdx?x", "text/html"), False),
        (record("resource", "urn:pageinfo:http://a.example/", "application/json"), False),
        (record("resource", ""), False),
        (record("revisit"), False),
        (record("metadata", content_type="text/html"), False),
        (record("unheard"), False),
        (record(""), False),
    ],
)
def test_what_is_judged(item, judged):
    assert item.judged == judged


@pytest.mark.parametrize(
    ("item", "is_http"),
    [
        (record("response"), True),
        (record("response", content_type="text/html"), True),
        (record("response", "", "application/http; msgtype=response"), True),
        (record("resource", content_type="application/http;msgtype=response"), True),
        (record("resource", content_type="text/html"), False),
        (record("response", "ftp://a.example/", "text/html"), False),
    ],
)
def test_what_holds_an_http_message(item, is_http):
    assert item.is_http == is_http


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (record("request"), "request"),
        (record("metadata", content_type="application/warc-fields"), "metadata"),
        (record("resource", content_type="Image/PNG; x=y"), "resource image/png"),
        (record("conversion", content_type="image/png"), "conversion image/png"),
        (record("resource", "metadata:x"), "resource"),
        (record("resource", content_type="<b>/bold"), "resource"),
        (record("resource", content_type="image/" + "x" * 500), "resource"),
        (record("x" * 21), "unknown"),
        (record("two words"), "unknown"),
        (record("", content_type="text/plain"), "unknown"),
    ],
)
def test_the_type_under_which_a_record_is_counted(item, name):
    assert item.counted_as == name
