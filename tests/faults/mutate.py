"""Mutations of web pages, as bit rot, broken editors and hostile authors cause them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

_TAG = re.compile(rb"<[a-zA-Z][^<>]{0,300}>")
_CLOSING = re.compile(rb"</[a-zA-Z]{1,10}>")
_NAMES = (b"div", b"table", b"tr", b"td", b"p", b"b", b"a", b"ul", b"li", b"span", b"form", b"quote",
          b"font", b"article", b"section", b"h1", b"pre", b"code", b"figure", b"details", b"aside", b"sup",
          b"br", b"iframe", b"blockquote")  # fmt: skip
_OPENERS = (b"<!--", b"<![CDATA[", b"<script>", b"<style>", b"<title>", b"<textarea>", b"<noscript>", b"<template>",
            b"<svg>", b"<math>", b"<plaintext>", b"<xmp>", b"<?xml ", b"<!DOCTYPE html [", b"</body></html>",
            b"<select><option>", b"<frameset>", b"<base href=//x>", b"<head>", b"<body>", b"<html>")  # fmt: skip
_ENTITIES = (b"&", b"&#", b"&#x", b"&#0;", b"&#55296;", b"&#1114112;", b"&#65535;", b"&amp", b"&lt", b"&nbsp",
             b"&copy;", b"&#x1F600;", b"&#8;", b"&NotEqualTilde;", b"&#128;", b"&quot")  # fmt: skip
_CHARSETS = (b"utf-8", b"utf-16", b"iso-8859-1", b"shift_jis", b"gb18030", b"euc-kr", b"big5", b"iso-2022-jp",
             b"windows-1251", b"utf-7", b"x-user-defined", b"nonsense", b"")  # fmt: skip
_CHARS = (
    b"\0", b"\x0b", b"\x0c", b"\x1c", b"\x1b$B", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x81", b"\xfe\xff",
    *map(str.encode, "\x85\u2028\u200b\u202e\ufeff\ufffe\uffff\u0301\u200d\ufffd\xa0\u3000\xad\U0001f469"),
)  # fmt: skip

Mutation = Callable[[random.Random, bytes, bytes], bytes]


def mutated(chance: random.Random, page: bytes, other: bytes) -> tuple[bytes, list[str]]:
    """Apply one to four mutations to `page`, some with pieces of `other`. Return the result and their names."""
    names = []
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        mutation = chance.choice(MUTATIONS)
        page = mutation(chance, page, other) or b"<"
        names.append(mutation.__name__)
    return page, names


def flip_bytes(chance: random.Random, page: bytes, other: bytes) -> bytes:
    data = bytearray(page)
    for _ in range(chance.choice((1, 3, 10, 50))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def splice(chance: random.Random, page: bytes, other: bytes) -> bytes:
    """Join the beginning of one page and the end of another."""
    return page[: chance.randrange(len(page))] + other[chance.randrange(len(other)) :]


def cut_out(chance: random.Random, page: bytes, other: bytes) -> bytes:
    start = chance.randrange(len(page))
    return page[:start] + page[start + chance.choice((1, 20, 500, 5_000)) :]


def truncate(chance: random.Random, page: bytes, other: bytes) -> bytes:
    return page[: chance.randrange(1, len(page) + 1)]


def double(chance: random.Random, page: bytes, other: bytes) -> bytes:
    """Repeat a stretch of the page several times."""
    start = chance.randrange(len(page))
    stretch = page[start : start + chance.choice((10, 200, 3_000))]
    return page[:start] + stretch * chance.choice((2, 5, 30)) + page[start:]


def repeat_tag(chance: random.Random, page: bytes, other: bytes) -> bytes:
    tag = _pick(chance, _TAG, page)
    return page if tag is None else page[: tag.start()] + tag[0] * chance.choice((2, 10, 300)) + page[tag.start() :]


def nest(chance: random.Random, page: bytes, other: bytes) -> bytes:
    """Open elements in the page. Close them again in half of all cases."""
    at = _between_tags(chance, page)
    depth = chance.choice((2, 10, 70, 90, 260, 600))
    name = chance.choice(_NAMES)
    closing = (b"</%s>" % name) * depth if chance.random() < 0.5 else b""
    end = chance.randrange(at, len(page) + 1)
    return page[:at] + (b"<%s>" % name) * depth + page[at:end] + closing + page[end:]


def rename_tags(chance: random.Random, page: bytes, other: bytes) -> bytes:
    old, new = chance.choice(_NAMES), chance.choice(_NAMES)
    return re.sub(rb"(</?)%s(?=[\s>])" % old, rb"\g<1>" + new, page, count=chance.choice((1, 5, 0)))


def flood_attributes(chance: random.Random, page: bytes, other: bytes) -> bytes:
    tag = _pick(chance, _TAG, page)
    if tag is None:
        return page
    more = b"".join(b" a%d=%d" % (i, i) for i in range(chance.choice((1, 20, 800))))
    odd = chance.choice((b"", b' class="nav comment footer"', b' id="content', b" =", b" '", b' style="display:none"'))
    return page[: tag.end() - 1] + more + odd + page[tag.end() - 1 :]


def open_something(chance: random.Random, page: bytes, other: bytes) -> bytes:
    return _insert(chance, page, chance.choice(_OPENERS) * chance.choice((1, 1, 30)))


def drop_closing(chance: random.Random, page: bytes, other: bytes) -> bytes:
    tags = list(_CLOSING.finditer(page))
    for tag in sorted(chance.sample(tags, min(len(tags), chance.choice((1, 10, 100)))), key=lambda t: -t.start()):
        page = page[: tag.start()] + page[tag.end() :]
    return page


def break_entities(chance: random.Random, page: bytes, other: bytes) -> bytes:
    for _ in range(chance.choice((1, 5, 40))):
        page = _insert(chance, page, chance.choice(_ENTITIES))
    return page


def odd_characters(chance: random.Random, page: bytes, other: bytes) -> bytes:
    for _ in range(chance.choice((1, 5, 40))):
        page = _insert(chance, page, chance.choice(_CHARS))
    return page


def lie_about_charset(chance: random.Random, page: bytes, other: bytes) -> bytes:
    meta = b'<meta charset="%s">' % chance.choice(_CHARSETS)
    return meta + page if chance.random() < 0.5 else page.replace(b"<head>", b"<head>" + meta, 1)


def recode(chance: random.Random, page: bytes, other: bytes) -> bytes:
    return page.decode("utf-8", "replace").encode(chance.choice(("utf-16", "utf-16-be", "cp1252", "utf-7")), "replace")


def move(chance: random.Random, page: bytes, other: bytes) -> bytes:
    """Move a stretch of the page to another position."""
    start = chance.randrange(len(page))
    stretch = page[start : start + chance.choice((50, 1_000, 10_000))]
    return _insert(chance, page[:start] + page[start + len(stretch) :], stretch)


MUTATIONS: Sequence[Mutation] = (
    flip_bytes, splice, cut_out, truncate, double, repeat_tag, nest, rename_tags, flood_attributes, open_something,
    drop_closing, break_entities, odd_characters, lie_about_charset, recode, move,
)  # fmt: skip


def _insert(chance: random.Random, page: bytes, what: bytes) -> bytes:
    at = chance.randrange(len(page) + 1)
    return page[:at] + what + page[at:]


def _between_tags(chance: random.Random, page: bytes) -> int:
    tag = _pick(chance, _TAG, page)
    return 0 if tag is None else tag.start()


def _pick(chance: random.Random, pattern: re.Pattern[bytes], page: bytes) -> re.Match[bytes] | None:
    return pattern.search(page, chance.randrange(len(page))) or pattern.search(page)
