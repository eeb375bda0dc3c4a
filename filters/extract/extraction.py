"""From a record to the main text of its page.

    for record in read_warc("x.warc.gz"):
        outcome = Pipeline.of([Extract()]).judge_record(record)

What a page is before that (its bytes, charset and media type) is in `filters.extract.page`.
"""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

import trafilatura
from lxml import etree
from lxml.html import HTMLParser, fromstring
from resiliparse.extract.html2text import extract_plain_text
from trafilatura.utils import repair_faulty_html

from corpus.document import Document
from corpus.errors import ConfigError, did_you_mean
from corpus.stage import Limit, Measured, Stage
from filters.extract import precision_mode
from filters.extract.page import MAX_BODY_BYTES, Page, page_of
from filters.extract.structure import SURE_DEPTH, tree_depth

ENGINES = ("trafilatura", "resiliparse", "rescue")

PARSER_DEPTH = 250
"""libxml2 drops all that follows an element nested deeper than 256, unless told not to (htmlMaxDepth)."""

LONG_LINE = 100
"""Characters from which on a line is taken for prose: shorter ones are often menus, captions and comments."""

_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")


class Extract(Stage):
    """Main text of a web page, by trafilatura as FineWeb calls it.

    `engine`: "trafilatura"; "resiliparse", three times as fast; or "rescue": trafilatura's text, unless resiliparse's
    has in its long lines more than `rescue_ratio` times as many words that this one lacks as this one has, or this one
    is empty. A conversion record (WET) is a text already. A document without a record keeps its text, and only `chars`
    is measured.

    The limits of the markup keep parsers from their quadratic cases: the worst page found of 60,000 tags took
    trafilatura 26 s, while 3,010 real ones have at most 51,331 tags, 1,008 attributes in one, and a depth of 99.
    """

    name = "extract"
    source = "FineWeb (arXiv:2406.17557): trafilatura with favor_precision, without comments"
    gate = True
    costly = True
    detailed = ("body_bytes",)

    http_status = Limit(min=200, max=299, of=int)
    """Null for HTTP/0.9, which has none."""
    media_type = Limit(one_of=("text/html", "application/xhtml+xml"), of=str)
    """What the first bytes, the crawler or the server say that it is."""
    body_bytes = Limit(min=1, max=MAX_BODY_BYTES, of=int)
    """Decoded; one more than 20 MiB for all that are longer."""
    tags = Limit(max=60_000, of=int)
    """Every "<"."""
    attributes = Limit(max=5_000, of=int)
    """The most in one tag, of tags of 1,000 bytes and more."""
    depth = Limit(max=1_000, of=int)
    """How deep elements may nest, at most."""
    charset = Limit(of=str)
    """The WHATWG name."""
    charset_source = Limit(of=str)
    """What the charset rests on: bom, http, meta, utf-8 (the bytes are valid), detected, or replaced (some are not)."""
    engine_used = Limit(of=str)
    """The one that gave the text; "none" for what was a text already."""
    chars = Limit(min=1, max=5_000_000, of=int)
    """Of the text."""

    def __init__(self, *, engine: str = "trafilatura", rescue_ratio: float = 0.4) -> None:
        if engine not in ENGINES:
            raise ConfigError(f"extract.engine = {engine!r} is unknown.", did_you_mean(str(engine), ENGINES))
        self.engine = engine
        """"trafilatura", "resiliparse" or "rescue"."""
        self.rescue_ratio = rescue_ratio
        """Words that trafilatura's text lacks, per word that it has, from which on "rescue" takes the other."""

    def prepare(self) -> None:
        """Silence trafilatura, which writes a line to stderr for each page without text."""
        logging.getLogger("trafilatura").setLevel(logging.CRITICAL)

    def apply(self, doc: Document) -> Iterator[Measured]:
        """Measure the page and set its text."""
        try:
            if doc.record is not None and doc.record.kind == "conversion":
                yield from _conversion(doc, doc.record.block)
            elif doc.record is not None:
                yield from self._response(doc, page_of(doc))
            yield "chars", len(doc.text)
        finally:
            doc.page = None

    def _response(self, doc: Document, page: Page) -> Iterator[Measured]:
        yield "http_status", page.message.status
        yield "media_type", page.media_type if page.body else None
        yield "body_bytes", len(page.body) + (page.note == "too_large"), page.note
        yield "tags", page.structure.tags
        yield "attributes", page.structure.attributes
        yield "depth", page.structure.depth
        yield "charset", page.charset
        yield "charset_source", page.charset_source
        text, engine = self._extract(page)
        yield "engine_used", engine
        doc.text = text

    def _extract(self, page: Page) -> tuple[str, str]:
        """The text of a page, and the engine that gave it."""
        if self.engine == "resiliparse":
            return resiliparse_text(page.html), "resiliparse"
        deep = deep_tree(page) if page.structure.depth > SURE_DEPTH else None
        text = trafilatura_text(page.html, deep, page.utf8)
        if self.engine == "rescue":
            other = resiliparse_text(page.html)
            if other and lost_words(text, other) > self.rescue_ratio:
                return other, "resiliparse"
        return text, "trafilatura"


def _conversion(doc: Document, block: bytes) -> Iterator[Measured]:
    yield "body_bytes", len(block)
    try:
        text, how = block.decode(), "utf-8"
    except UnicodeDecodeError:
        text, how = block.decode("utf-8", "replace"), "replaced"
    yield "charset", "utf-8"
    yield "charset_source", how
    yield "engine_used", "none"
    doc.text = text.removeprefix("\ufeff").replace("\0", "")


def lost_words(text: str, other: str) -> float:
    """The words in long lines of `other` that `text` lacks, per word that it has; infinite for an empty text."""
    has = Counter(text.split())
    theirs = Counter(word for line in other.split("\n") if len(line) >= LONG_LINE for word in line.split())
    return (theirs - has).total() / has.total() if has else math.inf


def trafilatura_text(html: str, deep: etree._Element | None = None, utf8: bytes | None = None) -> str:
    """What trafilatura gives for a decoded page, "" where it finds nothing. `deep` is its tree where libxml2 would
    lose part of it, `utf8` the page in UTF-8 for those who have it."""
    text: str | None
    if deep is None:
        text = precision_mode.extract(html, utf8)
    else:
        text = trafilatura.extract(deep, favor_precision=True, include_comments=False, deduplicate=False)
    return text or ""


def deep_tree(page: Page) -> etree._Element | None:
    """The tree of a page that nests deeper than PARSER_DEPTH, parsed as trafilatura parses, but to its end.

    None where the page is not that deep after all, so that trafilatura gets it as it always does.
    """
    parser = HTMLParser(
        collect_ids=False, default_doctype=False, encoding="utf-8",
        remove_comments=True, remove_pis=True, huge_tree=True,
    )  # fmt: skip
    html = repair_faulty_html(page.html, page.html[:50].lower())
    try:
        # as bytes: lxml refuses a str with an XML encoding declaration
        tree = fromstring(html.encode(), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):  # an empty document
        return None
    return tree if tree_depth(tree) > PARSER_DEPTH else None


def resiliparse_text(html: str) -> str:
    """The main content that resiliparse finds in a decoded page.

    The options are those of the highest token F1 on pages with hand-made main text. What it takes for comments
    stays in: leaving it out costs four points, for it is often the text itself.
    """
    text: str = extract_plain_text(
        html, main_content=True, preserve_formatting=True, list_bullets=False, alt_texts=False,
        links=False, form_fields=False, noscript=False, comments=True, post_meta=False,
    )  # fmt: skip
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return unicodedata.normalize("NFC", _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip())
