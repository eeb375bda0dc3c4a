"""The tokens that a classifier sees of a document. Training and prediction call the same function, `line_of`.

A model says in its classifier.json which parts of a document it sees:

    words     the words of the beginning, in lower case, with digits as zeros and punctuation as words
    unique    the same, but each word counts once
    layout    classes of size: lines, their lengths, prices, questions, dates, lists and the like
    url       the words of the URL's path, without the host, and its form
    page      what the HTML says about itself: title, og:type, types of schema.org, names of classes, and its tags

A model is an average over tokens, so a part that is named twice has twice the weight. The last three parts are alike on
all pages of a site, so a model of quality should see only words: it would learn where a page comes from. A token of
these parts has a mark (`u:shop`) that no word has, so no text can forge it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from corpus.document import Document
from corpus.url_identity import split_url
from filters.extract.page import Page
from native import kernels

CHARS = 5_000

_NO_SPACES = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
"""Scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese. Each character is a
token. Bigrams of tokens then do the work of words."""

_TOKEN = re.compile(r"\w+|[^\w\s]")

_COUNTED: dict[str, Sequence[str]] = {
    "price": "$€£¥", "question": "?", "year": ("0000",), "code": "{}();=<>",
    "talk": ("ago", "reply", "replied", "posted", "joined", "like", "likes", "wrote"),
    "you": ("you", "your"), "i": ("i", "my"),
}  # fmt: skip
"""The tokens that `layout` counts."""

_LIST_LINE = re.compile(r"\s*(?:[-*•·–]|\d{1,3}[.)])")
_PART_OF_PATH = re.compile(r"[a-z]+|\d+")
_URL_CHARS = 500

_PAGE_BYTES = 400_000
_META = re.compile(rb"<meta\b[^>]{0,500}", re.IGNORECASE)
_OG_TYPE = re.compile(rb"""property\s*=\s*["']?og:type["'\s>]""", re.IGNORECASE)
_GENERATOR = re.compile(rb"""name\s*=\s*["']?generator["'\s>]""", re.IGNORECASE)
_CONTENT = re.compile(rb"""content\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)
_SCHEMA = re.compile(rb"""@type["']\s{0,9}:\s{0,9}\[?\s{0,9}["']([\w:/.]{1,60})["']""")
_ITEM = re.compile(rb"""itemtype=["']?https?://schema\.org/(\w{1,60})""")
_TITLE = re.compile(rb"<title[^>]{0,200}>([^<]{0,300})", re.IGNORECASE)
_CLASS = re.compile(rb"""class\s?=\s?["']([^"']{0,200})""")
_CLASS_WORD = re.compile(rb"[a-z]{3,20}|[A-Z][a-z]{2,20}")
_TAG = re.compile(rb"<([a-z][a-z0-9]{0,9})")
_SAID = (
    "add to cart", "add-to-cart", "addtocart", "api", "author", "breadcrumb", "category", "comment", "contact us",
    "datepublished", "docs", "edit this page", "faq", "filter", "forum", "free consultation", "get a quote", "hero",
    "in stock", "joined", "on this page", "our services", "pagination", "posts", "prev", "price", "pricing", "product",
    "published", "quantity", "read more", 'rel="next"', "related products", "reply", "review", "share", "sidebar",
    "sku", "sort by", "table of contents", "testimonials", "thread", "version", "wishlist",
)  # fmt: skip
"""Strings that pages of one type have more often than others, anywhere in the HTML: in texts, names and data."""
_SAID_COUNTS = kernels.PhraseCounter(_SAID)

_TAGS = (
    "a", "article", "aside", "blockquote", "button", "code", "div", "dl", "figure", "form", "h1", "h2", "h3", "iframe",
    "img", "input", "li", "main", "nav", "option", "p", "pre", "script", "section", "select", "span", "svg", "table",
    "time", "tr", "video",
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """The parts of a document that a model sees, and the number of characters of its text."""

    parts: tuple[str, ...] = ("words",)
    chars: int = CHARS


def line_of(doc: Document, view: View) -> str:
    """Return the tokens of a document, joined by spaces. The line has no newline."""
    words = Words(doc.text[: view.chars])
    made = {part: " ".join(PARTS[part](doc, words, view.chars)) for part in dict.fromkeys(view.parts)}
    return " ".join(made[part] for part in view.parts if made[part])


class Words:
    """The words of a text: `tokens` in order, and `counts`, which has each word once, in the order of first use."""

    def __init__(self, text: str) -> None:
        self.tokens = _words(text)

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(self.tokens)


def _words(text: str) -> list[str]:
    text = text.lower().replace("_", " ")  # so no text can give `__label__`, which fastText reads as a label
    for digit in "123456789":
        text = text.replace(digit, "0")  # a third of the time of a pattern
    if _NO_SPACES.search(text):
        text = _NO_SPACES.sub(r" \g<0> ", text)
    return _TOKEN.findall(text)


def _layout(doc: Document, words: Words, chars: int) -> Iterator[str]:
    lines = [line for line in doc.text[:chars].split("\n") if line and not line.isspace()]
    lengths = sorted(map(len, lines)) or [0]
    yield _size("l:chars", len(doc.text))
    yield _size("l:lines", len(lines))
    yield _size("l:median", lengths[len(lengths) // 2])
    yield _size("l:longest", lengths[-1])
    yield _tenths("l:short", sum(length < 40 for length in lengths), len(lengths))
    yield _tenths("l:stops", sum(line.rstrip()[-1:] in '.!?"”' for line in lines), len(lines))
    yield _size("l:repeated", len(lines) - len(set(lines)))
    yield _size("l:listed", sum(map(bool, map(_LIST_LINE.match, lines))))
    get, number = words.counts.get, max(len(words.tokens), 1)
    for name, tokens in _COUNTED.items():
        yield _size(f"l:{name}", 1000 * sum(get(token, 0) for token in tokens) // number)


def _url(doc: Document, words: Words, chars: int) -> Iterator[str]:
    _, _, rest = split_url(doc.url[:_URL_CHARS])
    path, _, query = rest.lower().partition("?")
    parts = [part for part in path.split("/") if part]
    last = parts[-1] if parts else ""
    yield f"u:{min(len(parts), 6)}"
    for part in parts:
        for piece in _PART_OF_PATH.findall(part):
            yield f"u:{piece}" if piece.isalpha() else f"u:#{min(len(piece), 9)}"
    yield f"u:last{min(len(re.findall('[a-z]+', last)), 8)}"
    if query:
        yield "u:query"
    if path.endswith("/"):
        yield "u:slash"


def _page(doc: Document, words: Words, chars: int) -> Iterator[str]:
    if doc.record is None or doc.record.is_text:
        return
    body = (doc.page or Page(doc.record)).body[:_PAGE_BYTES]
    for meta in (found.group() for found in islice(_META.finditer(body), 100)):
        name = "h:og" if _OG_TYPE.search(meta) else "h:made" if _GENERATOR.search(meta) else ""
        content = _CONTENT.search(meta)
        if name and content:
            yield f"{name}={_ascii(content.group(1))}"
    kinds = set(map(_ascii, _SCHEMA.findall(body) + _ITEM.findall(body)))
    yield from (f"h:is={kind.rpartition('/')[2]}" for kind in sorted(kinds))
    if title := _TITLE.search(body):
        yield from (f"h:t={word}" for word in _words(title.group(1).decode("utf-8", "replace")))
    # lower case keeps the places, and a pattern that begins with plain characters takes half of the time
    lower = body.lower()
    names = b" ".join(body[slice(*found.span(1))] for found in _CLASS.finditer(lower) if _starts(lower, found.start()))
    yield from (f"h:c={name}" for name in sorted({_ascii(word) for word in _CLASS_WORD.findall(names)}))
    for said, count in zip(_SAID, _SAID_COUNTS.counts(body), strict=True):
        if count:
            yield f"h:w={said.replace(' ', '_')}{min(count.bit_length(), 4)}"
    tags = Counter(_TAG.findall(lower))
    total = sum(tags.values())
    yield _size("h:tags", total)
    for tag in _TAGS:
        yield _size(f"h:{tag}", tags[tag.encode()])
        yield f"h:{tag}%{(100 * tags[tag.encode()] // max(total, 1)).bit_length()}"


def _starts(data: bytes, at: int) -> bool:
    """Return True if no letter, digit or underscore is before this place."""
    before = data[at - 1 : at]
    return not (before.isalnum() or before == b"_")


def _size(name: str, number: int) -> str:
    """Return a token for a number: one for 0, one for 1, then one for each doubling."""
    return f"{name}{number.bit_length()}"


def _tenths(name: str, part: int, whole: int) -> str:
    return f"{name}{10 * part // max(whole, 1)}"


def _ascii(data: bytes) -> str:
    return data.decode("ascii", "replace").lower()


PARTS: dict[str, Callable[[Document, Words, int], Iterable[str]]] = {
    "words": lambda doc, words, chars: words.tokens, "unique": lambda doc, words, chars: words.counts,
    "layout": _layout, "url": _url, "page": _page,
}  # fmt: skip
"""The parts of a document by name."""
