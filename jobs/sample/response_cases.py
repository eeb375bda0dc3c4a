"""Pages of the sample crawl that are special by address, answer, bytes or markup, or that hold personal data."""

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

import brotli
import zstandard

from jobs.sample.page import HTML, KEPT, Page, article_page
from jobs.sample.phrases import Article, load_topics, make_names, spin, write_article
from jobs.sample.sites import pick_site, render, topic_for

_ESCAPED = re.compile(r"\\u([0-9A-F]{4})")


def phrase(rng: Random, topic: str, part: str) -> str:
    """One text of rules.txt."""
    text = spin(rng, rng.choice(load_topics("rules")[topic][part]), make_names(rng))
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


# Addresses


def listed_domain(rng: Random) -> Page:
    page = article_page(rng, "url.domain")
    host = rng.choice(("www.xxx-videos.example", "adult-example.test", "m.casino-example.example"))
    return replace(page, url=f"https://{host}/{rng.randint(1000, 9999)}")


def hard_word(rng: Random) -> Page:
    page = article_page(rng, "url.hard_words")
    return replace(page, url=f"{page.url}?tag={rng.choice(('porn', 'Hentai', 'XXX', 'bdsm'))}")


def soft_words(rng: Random) -> Page:
    page = article_page(rng, "url.soft_words")
    words = rng.choice((("dating", "horny"), ("escort", "erotic"), ("casino", "betting")))
    return replace(page, url=f"https://lists.example.net/{words[0]}/{words[1]}-{rng.randint(1000, 99999)}")


def subword(rng: Random) -> Page:
    page = article_page(rng, "url.subwords")
    host = rng.choice(("best-online-casino-tips.example", "myporntubeclips.example", "www.xxvideo-sexvideos4.test"))
    return replace(page, url=f"https://{host}/{rng.randint(1000, 9999)}")


def personal_url(rng: Random) -> Page:
    """An address that names a person; the page is fine."""
    page = article_page(rng)
    if rng.random() < 0.5:
        mail = f"{rng.choice(('w.lomax', 'clara.fenn', 'ravi_b'))}{rng.randint(1, 99)}@example.org"
        return replace(page, url=f"{page.url}?subscribe={mail}", notes=("url:email",), secrets=(mail,))
    user = f"{rng.choice(('nora', 'isaac', 'wanda'))}{rng.randint(10, 99)}"
    url = page.url.replace("://", f"://{user}:pass{rng.randint(100, 999)}@")
    return replace(page, url=url, notes=("url:userinfo",), secrets=(user,))


# Answers


_STATUSES = ("301 Moved Permanently", "302 Found", "403 Forbidden", "404 Not Found", "410 Gone", "503 Unavailable")


def status(rng: Random, line: str) -> Page:
    page = article_page(rng, "extract.http_status")
    body = f"<html><head><title>{line}</title></head><body><h1>{line}</h1></body></html>".encode()
    headers = (("Location", page.url.replace("https://", "https://www.")),) if line[0] == "3" else ()
    return replace(page, status=line, body=body, headers=headers, contains=(), absent=())


def empty(rng: Random) -> Page:
    return replace(article_page(rng, "extract.body_bytes"), body=b"", contains=(), absent=(), notes=("body:empty",))


def other_media(rng: Random, kind: str) -> Page:
    """Something that is no page; some say they are HTML."""
    site = pick_site(rng)
    body = _media(rng)[kind]
    url = f"https://{site.host}/files/{rng.randint(1000, 9999)}.{kind.rpartition('/')[2].rpartition('+')[2]}"
    content_type = HTML if kind in ("image/png", "application/pdf") and rng.random() < 0.5 else kind
    return Page(url, "extract.media_type", body, content_type=content_type, media_type=kind, notes=(f"media:{kind}",))


_MEDIA = ("image/png", "application/pdf", "application/json", "application/rss+xml", "text/css")


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


def scripts_only(rng: Random) -> Page:
    site = pick_site(rng)
    script = f'<div id="app"></div><script>window.__STATE__={{"user":null,"n":{rng.randint(1, 999)}}};</script>'
    html = f"<!DOCTYPE html><html><head><title>{site.name}</title></head><body>{script}</body></html>"
    return Page(site.url(rng, "app"), "extract.chars", html.encode(), notes=("page:scripts",))


_OVERSIZED = ("depth", "tags", "attributes")


def oversized(rng: Random, measure: str) -> Page:
    """What is cheap to write and dear to parse."""
    site = pick_site(rng)
    body = {
        "depth": b"<div>" * 1500 + b"deep" + b"</div>" * 1500,
        "tags": b"<b>a</b>" * 60_000,
        "attributes": b"<p " + b"".join(b"a%d=%d " % (i, i) for i in range(6000)) + b">many</p>",
    }[measure]
    html = b"<!DOCTYPE html><html><head><title>Big</title></head><body>" + body + b"</body></html>"
    return Page(site.url(rng, "big"), f"extract.{measure}", html, notes=("hostile:size",))


def bomb(rng: Random) -> Page:
    """Thirty million blanks behind thirty kilobytes."""
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    pieces = [squeeze.compress(piece) for piece in (b"<html><p>", *[b" " * 1_000_000] * 30)]
    body = b"".join(pieces) + squeeze.flush()
    page = article_page(rng, "extract.body_bytes")
    return replace(
        page, body=body, headers=(("Content-Encoding", "gzip"),), contains=(), absent=(), notes=("hostile:bomb",)
    )


# Bytes


_ENCODINGS = ("gzip", "br", "zstd", "deflate", "raw deflate", "chunked", "chunked gzip")


def encoded(rng: Random, name: str) -> Page:
    """Bodies as they came over the wire; most crawlers store them decoded."""
    page = article_page(rng)
    body, headers = page.body, []
    if "gzip" in name:
        body = gzip.compress(body, mtime=0)
    if name == "br":
        body = brotli.compress(body, quality=5)
    if name == "zstd":
        body = zstandard.ZstdCompressor().compress(body)
    if name == "deflate":
        body = zlib.compress(body)
    if name == "raw deflate":
        raw = zlib.compressobj(wbits=-15)
        body = raw.compress(body) + raw.flush()
    encoding = name.removeprefix("chunked").removeprefix("raw").strip()
    if encoding:
        headers.append(("Content-Encoding", encoding))
    if name.startswith("chunked"):
        pieces = [body[i : i + 1400] for i in range(0, len(body), 1400)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        headers.append(("Transfer-Encoding", "chunked"))
    return replace(page, body=body, headers=tuple(headers), notes=(f"encoding:{name}",))


_CHARSETS = (
    # language, codec of the body, charset in the HTTP header, charset in the meta tag
    ("en", "cp1252", "windows-1252", ""),
    ("en", "cp1252", "", "ISO-8859-1"),
    ("en", "iso8859-15", "", "iso-8859-15"),
    ("en", "utf-16", "", ""),
    ("en", "utf-8", "iso-8859-1", "utf-8"),  # wrong in the header
    ("en", "cp1252", "utf-8", "utf-8"),  # wrong everywhere
    ("en", "utf-8", "x-klingon", ""),  # no charset at all
    ("ja", "shift_jis", "", "Shift_JIS"),
    ("ru", "cp1251", "windows-1251", ""),
    ("de", "cp1252", "", ""),  # nobody says
)


def charset(rng: Random, declared: tuple[str, str, str, str]) -> Page:
    language, codec, header, meta = declared
    line = phrase(rng, "accents", "line")
    if codec == "iso8859-15":
        line = line.translate({ord(a): b for a, b in zip("’“”—", '\'""-', strict=True)})
    site = pick_site(rng, language, "news")
    article = write_article(rng, language, topic_for(rng, site))
    html = render(rng, site, article, f"<p>{escape(line, quote=False)}</p>" if language == "en" else "")
    html = html.replace('<meta charset="utf-8">', f'<meta charset="{meta}">' if meta else "")
    return Page(
        site.url(rng, article.title),
        KEPT if language == "en" else "language.label",
        html.encode(codec, "xmlcharrefreplace"),
        language,
        notes=(f"charset:{codec}",),
        contains=(line,) if language == "en" else (article.paragraphs[1],),
        content_type=f"text/html; charset={header}" if header else "text/html",
    )


# Markup


_BREAKS = ("unclosed", "nested", "entities", "nul", "no_head", "comment", "cut")


def broken_markup(rng: Random, name: str) -> Page:
    page = article_page(rng, site=pick_site(rng, "en", rng.choice(("news", "blog"))))
    html = page.body.decode()
    if name == "unclosed":
        html = html.replace("</p>", "").replace("</div>", "", 3).replace("</li>", "")
    elif name == "nested":
        html = html.replace("<article", "<div>" * 400 + "<article", 1)
        html = html.replace("</article>", "</article>" + "</div>" * 400, 1)
    elif name == "entities":
        html = html.replace("<p>", "<p>&nosuch; &#xFFFFFFF; &#0; &amp;amp; ", 1)
    elif name == "nul":
        html = html.replace(" and ", " and\0 ").replace("<p>", "<p>\0")
    elif name == "no_head":
        html = html[html.index("<main") :].replace('"', "")
    elif name == "comment":
        html = html.replace("</p>", "<!-- <p>not this --></p>").replace("<main", "<!-- a -- b --!><main", 1)
    else:
        html = html[: html.index("</main>")]
    # these change the text itself
    contains = () if name in ("nul", "entities", "no_head") else page.contains
    return replace(page, body=html.encode(), notes=(f"markup:{name}",), contains=contains, absent=())


_HOSTILE = ("title", "text", "attr", "close", "bidi", "formula", "markup")


def hostile(rng: Random, part: str) -> Page:
    """Text that some report, log or spreadsheet would run; for a corpus it is text."""
    line = phrase(rng, "hostile", part)
    site = pick_site(rng, "en", rng.choice(("news", "blog")))
    article = write_article(rng, "en", topic_for(rng, site))
    if part == "title":
        article = Article("en", article.topic, line, article.author, article.paragraphs)
    extra = "" if part == "title" else f"<p>{escape(line)}</p>"
    page = article_page(rng, site=site, article=article, extra=extra, notes=(f"hostile:{part}",))
    # extraction leaves out the signs that turn the direction of writing
    return page if part in ("title", "bidi") else replace(page, contains=(line,))


# Personal data. The values are made up or published as examples: mails and numbers that belong to nobody
# (RFC 2606; 555-01xx; Ofcom's numbers for drama), public resolvers, test cards, the IBANs of the standard's examples,
# SSNs of areas that were never given out.

SECRETS = {
    "email": ("martha.halloway@example.org", "OWEN+garden@example.com", "info@valley-courier.example"),
    "phone": ("+1 202-555-0143", "(303) 555-0117", "+44 20 7946 0958", "1-415-555-0199"),
    "ip": ("8.8.8.8", "9.9.9.9", "1.0.0.1"),
    "ipv6": ("2001:4860:4860::8888", "2620:fe::fe"),
    "card": ("4012 8888 8888 1881", "5555-5555-5555-4444", "378282246310005"),
    "iban": ("GB82 WEST 1234 5698 7654 32", "NL91 ABNA 0417 1643 00", "FR1420041010050500013M02606"),
    "ssn": ("780-45-1267", "791-38-4420"),
    "btc": ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
}
PRIVATE_ADDRESSES = ("192.168.1.20", "10.0.0.7", "172.16.4.1")
"""Addresses of local networks, which name nobody and stay."""


def personal_data(rng: Random, kind: str) -> Page:
    secret, lan = rng.choice(SECRETS[kind]), rng.choice(PRIVATE_ADDRESSES)
    slot = {"email": "MAIL", "ip": "IP", "ipv6": "IPV6"}.get(kind, kind.upper())
    line = re.sub(rf"\b{slot}\b", secret, phrase(rng, "pii", kind)).replace("LAN", lan)
    site = pick_site(rng, "en", rng.choice(("news", "blog")))
    page = article_page(rng, site=site, extra=f"<p>{escape(line, quote=False)}</p>", notes=(f"pii:{kind}",))
    return replace(page, secrets=(secret,), contains=(line, *((lan,) if kind == "ip" else ())))


SPECIAL_ANSWERS: tuple[Callable[[Random], Page | list[Page]], ...] = (
    listed_domain, hard_word, soft_words, subword, personal_url, empty, scripts_only, bomb,
    listed_domain, hard_word, soft_words, subword, personal_url, empty,
    *(partial(oversized, measure=measure) for measure in _OVERSIZED),
    *(partial(status, line=line) for line in _STATUSES),
    *(partial(other_media, kind=kind) for kind in _MEDIA),
    *(partial(encoded, name=name) for name in _ENCODINGS),
    *(partial(charset, declared=declared) for declared in _CHARSETS),
    *(partial(broken_markup, name=name) for name in _BREAKS),
    *(partial(hostile, part=part) for part in _HOSTILE),
    *(partial(personal_data, kind=kind) for kind in SECRETS),
)  # fmt: skip
"""What makes a special page, each variant for itself; each call makes another one."""
