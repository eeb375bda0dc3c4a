"""Pages of the sample crawl with a special address, answer, encoding or markup, or with personal data."""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from html import escape
from random import Random
from urllib.parse import urljoin

import brotli
import zstandard

from jobs.sample.phrases import load_toml, load_topics, make_names, spin
from jobs.sample.sample_page import HTML, KEPT, SamplePage
from jobs.sample.sites import article_page, paragraph, pick_site

_CASES = load_topics("cases")
_ESCAPED = re.compile(r"\\u([0-9A-F]{4})")


def _phrase(rng: Random, topic: str, part: str) -> str:
    """One text of cases.txt."""
    text = spin(rng, rng.choice(_CASES[topic][part]), make_names(rng))
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


# Addresses


def blocked_url(rng: Random, rule: str) -> SamplePage:
    """An ordinary page under an address that the URL filter drops."""
    page = article_page(rng, f"url.{rule}")
    return replace(page, url=urljoin(page.url, spin(rng, _CASES["urls"][rule][0], {})))


def personal_url(rng: Random) -> SamplePage:
    """An ordinary page under an address that names a person."""
    page = article_page(rng)
    if rng.random() < 0.5:
        mail = f"{rng.choice(('w.lomax', 'clara.fenn', 'ravi_b'))}{rng.randint(1, 99)}@example.org"
        return replace(page, url=f"{page.url}?subscribe={mail}", notes=("url:email",), secrets=(mail,))
    user = f"{rng.choice(('nora', 'isaac', 'wanda'))}{rng.randint(10, 99)}"
    url = page.url.replace("://", f"://{user}:pass{rng.randint(100, 999)}@")
    return replace(page, url=url, notes=("url:userinfo",), secrets=(user,))


# Answers

_STATUSES = ("301 Moved Permanently", "302 Found", "403 Forbidden", "404 Not Found", "410 Gone", "503 Unavailable")


def _without_text(page: SamplePage, body: bytes, *headers: tuple[str, str]) -> SamplePage:
    return replace(page, body=body, headers=headers, contains=(), absent=())


def status(rng: Random, line: str) -> SamplePage:
    page = article_page(rng, "extract.http_status")
    body = f"<html><head><title>{line}</title></head><body><h1>{line}</h1></body></html>".encode()
    headers = [("Location", page.url.replace("https://", "https://www."))] if line[0] == "3" else []
    return replace(_without_text(page, body, *headers), status=line)


def empty(rng: Random) -> SamplePage:
    return _without_text(article_page(rng, "extract.body_bytes", notes=("body:empty",)), b"")


def bomb(rng: Random) -> SamplePage:
    """Thirty million blanks in thirty kilobytes."""
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    pieces = [squeeze.compress(piece) for piece in (b"<html><p>", *[b" " * 1_000_000] * 30)]
    page = article_page(rng, "extract.body_bytes", notes=("hostile:bomb",))
    return _without_text(page, b"".join(pieces) + squeeze.flush(), ("Content-Encoding", "gzip"))


_MEDIA = ("image/png", "application/pdf", "application/json", "application/rss+xml", "text/css")


def other_media(rng: Random, kind: str) -> SamplePage:
    """A file that is not a page. Some servers say that it is HTML."""
    site = pick_site(rng)
    body = _media(rng)[kind]
    url = f"https://{site.host}/files/{rng.randint(1000, 9999)}.{kind.rpartition('/')[2].rpartition('+')[2]}"
    content_type = HTML if kind in ("image/png", "application/pdf") and rng.random() < 0.5 else kind
    notes = (f"media:{kind}",)
    return SamplePage(url, "extract.media_type", notes=notes, body=body, content_type=content_type, media_type=kind)


def _media(rng: Random) -> dict[str, bytes]:
    pixels = zlib.compress((b"\0" + rng.randbytes(48)) * 16)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)), (b"IDAT", pixels), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 0>>endobj\n%%EOF\n"
    data = json.dumps({"items": [{"id": rng.randint(1, 999), "ok": True} for _ in range(9)]}).encode()
    feed = b'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title></channel></rss>'
    return dict(zip(_MEDIA, (png, pdf, data, feed, b"body{margin:0}h1{color:#222}"), strict=True))


def scripts_only(rng: Random) -> SamplePage:
    site = pick_site(rng)
    script = f'<div id="app"></div><script>window.__STATE__={{"user":null,"n":{rng.randint(1, 999)}}};</script>'
    html = f"<!DOCTYPE html><html><head><title>{site.name}</title></head><body>{script}</body></html>"
    return SamplePage(site.url(rng, "app"), "extract.chars", notes=("page:scripts",), body=html.encode())


_OVERSIZED = {
    "depth": b"<div>" * 1500 + b"deep" + b"</div>" * 1500,
    "tags": b"<b>a</b>" * 60_000,
    "attributes": b"<p " + b"".join(b"a%d=%d " % (i, i) for i in range(6000)) + b">many</p>",
}


def oversized(rng: Random, measure: str) -> SamplePage:
    """A page that is cheap to write and expensive to parse."""
    head = b"<!DOCTYPE html><html><head><title>Big</title></head><body>"
    body = head + _OVERSIZED[measure] + b"</body></html>"
    return SamplePage(pick_site(rng).url(rng, "big"), f"extract.{measure}", notes=("hostile:size",), body=body)


# Bytes

_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": partial(gzip.compress, mtime=0),
    "br": partial(brotli.compress, quality=5),
    "zstd": zstandard.ZstdCompressor().compress,
    "deflate": zlib.compress,
    "raw deflate": partial(zlib.compress, wbits=-15),
}


def encoded(rng: Random, name: str) -> SamplePage:
    """A body in an HTTP encoding. Most crawlers store bodies decoded."""
    page = article_page(rng, notes=(f"encoding:{name}",))
    body, headers = page.body, []
    content = name.removeprefix("chunked").strip()
    if content:
        body = _ENCODERS[content](body)
        headers.append(("Content-Encoding", content.removeprefix("raw ")))
    if name.startswith("chunked"):
        pieces = [body[i : i + 1400] for i in range(0, len(body), 1400)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        headers.append(("Transfer-Encoding", "chunked"))
    return replace(page, body=body, headers=tuple(headers))


_CHARSETS = (
    # language, codec of the body, charset in the HTTP header, charset in the meta tag
    ("en", "cp1252", "windows-1252", ""),
    ("en", "cp1252", "", "ISO-8859-1"),
    ("en", "iso8859-15", "", "iso-8859-15"),
    ("en", "utf-16", "", ""),
    ("en", "utf-8", "iso-8859-1", "utf-8"),  # the header is wrong
    ("en", "cp1252", "utf-8", "utf-8"),  # both are wrong
    ("en", "utf-8", "x-klingon", ""),  # not a charset
    ("ja", "shift_jis", "", "Shift_JIS"),
    ("ru", "cp1251", "windows-1251", ""),
    ("de", "cp1252", "", ""),  # nothing declares it
)


def charset(rng: Random, declared: tuple[str, str, str, str]) -> SamplePage:
    language, codec, header, meta = declared
    line = _phrase(rng, "accents", "line")
    if codec == "iso8859-15":
        line = line.translate(str.maketrans("’“”—", '\'""-'))
    site = pick_site(rng, language, "news")
    article = site.article(rng)
    intent, extra, text = (KEPT, paragraph(line), line)
    if language != "en":
        intent, extra, text = ("language.label", "", article.paragraphs[1])
    page = article_page(rng, intent, site=site, article=article, extra=extra, notes=(f"charset:{codec}",))
    html = page.body.decode().replace('<meta charset="utf-8">', f'<meta charset="{meta}">' if meta else "")
    content_type = f"text/html; charset={header}" if header else "text/html"
    body = html.encode(codec, "xmlcharrefreplace")
    return replace(page, body=body, contains=(text,), absent=(), content_type=content_type)


# Markup

_BREAKS: dict[str, tuple[tuple[str, str, int], ...]] = {
    # the old text, its replacement, and how many times (-1: all)
    "unclosed": (("</p>", "", -1), ("</div>", "", 3), ("</li>", "", -1)),
    "nested": (("<article", "<div>" * 400 + "<article", 1), ("</article>", "</article>" + "</div>" * 400, 1)),
    "entities": (("<p>", "<p>&nosuch; &#xFFFFFFF; &#0; &amp;amp; ", 1),),
    "nul": ((" and ", " and\0 ", -1), ("<p>", "<p>\0", -1)),
    "no_head": (('"', "", -1),),
    "comment": (("</p>", "<!-- <p>not this --></p>", -1), ("<main", "<!-- a -- b --!><main", 1)),
    "cut": (),
}


def broken_markup(rng: Random, name: str) -> SamplePage:
    page = article_page(rng, site=pick_site(rng, "en", "news", "blog"), notes=(f"markup:{name}",))
    html = page.body.decode()
    if name == "no_head":
        html = html[html.index("<main") :]
    if name == "cut":
        html = html[: html.index("</main>")]
    for old, new, times in _BREAKS[name]:
        html = html.replace(old, new, times)
    # these change the text itself
    contains = () if name in ("nul", "entities", "no_head") else page.contains
    return replace(page, body=html.encode(), contains=contains, absent=())


def hostile(rng: Random, part: str) -> SamplePage:
    """A text that an unsafe report, log or spreadsheet would run. In a corpus it is a text like any other."""
    line = _phrase(rng, "hostile", part)
    site = pick_site(rng, "en", "news", "blog")
    article = site.article(rng)
    if part == "title":
        article = replace(article, title=line)
    extra = "" if part == "title" else f"<p>{escape(line)}</p>"
    page = article_page(rng, site=site, article=article, extra=extra, notes=(f"hostile:{part}",))
    # extraction removes characters that change the direction of writing
    return page if part in ("title", "bidi") else replace(page, contains=(line,))


# Personal data

SECRETS: dict[str, list[str]] = load_toml("secrets.toml")["by_kind"]
PRIVATE_ADDRESSES = ("192.168.1.20", "10.0.0.7", "172.16.4.1")
"""Addresses of local networks. They identify nobody and stay in the text."""


def personal_data(rng: Random, kind: str) -> SamplePage:
    secret, lan = rng.choice(SECRETS[kind]), rng.choice(PRIVATE_ADDRESSES)
    line = re.sub(rf"\b{kind.upper()}\b", secret, _phrase(rng, "pii", kind)).replace("LAN", lan)
    site = pick_site(rng, "en", "news", "blog")
    page = article_page(rng, site=site, extra=paragraph(line), notes=(f"pii:{kind}",))
    return replace(page, secrets=(secret,), contains=(line, *((lan,) if kind == "ip" else ())))


_URLS: tuple[Callable[[Random], SamplePage], ...] = (
    *(partial(blocked_url, rule=rule) for rule in _CASES["urls"]), personal_url, empty,
)  # fmt: skip
RESPONSE_CASES: tuple[Callable[[Random], SamplePage], ...] = (
    *_URLS, scripts_only, bomb, *_URLS,
    *(partial(oversized, measure=measure) for measure in _OVERSIZED),
    *(partial(status, line=line) for line in _STATUSES),
    *(partial(other_media, kind=kind) for kind in _MEDIA),
    *(partial(encoded, name=name) for name in (*_ENCODERS, "chunked", "chunked gzip")),
    *(partial(charset, declared=declared) for declared in _CHARSETS),
    *(partial(broken_markup, name=name) for name in _BREAKS),
    *(partial(hostile, part=part) for part in _CASES["hostile"]),
    *(partial(personal_data, kind=kind) for kind in SECRETS),
)  # fmt: skip
"""Functions that each make another page with each call."""
