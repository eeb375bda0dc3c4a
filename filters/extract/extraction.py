"""The main text of a record's page.

    for record in read_warc("x.warc.gz"):
        outcome = Pipeline.of([Extract()]).judge_record(record)

The steps before extraction (bytes, charset, media type) are in `filters.extract.page`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lxml import etree
from lxml.html import HTMLParser, fromstring
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from corpus.document import Document
from corpus.errors import ConfigError, did_you_mean
from corpus.stage import Limit, Measured, Stage, ratio
from corpus.warc.record import HTML
from filters.extract.blocks import MODEL, load_model
from filters.extract.layout_tables import open_layout_tables
from filters.extract.metadata import article_body, metadata_of
from filters.extract.page import MAX_BODY_BYTES, Page, page_of
from filters.extract.structure import SURE_DEPTH, tree_depth
from native import kernels

if TYPE_CHECKING:
    from filters.extract.precision_mode import Change

ENGINES = ("blocks", "trafilatura", "resiliparse", "rescue")
COMMENTS = ("auto", "keep", "drop")
FORMATS = ("text", "markdown", "blocks")

LITTLE_TEXT = 1_000
"""A page with less text, in bytes without spaces, may hold its article in a script alone: one of twice that size."""

PARSER_DEPTH = 250
"""The greatest depth that libxml2 parses in full.

libxml2 drops everything after an element that is nested deeper than 256, unless its limits are lifted (htmlMaxDepth).
"""

LONG_LINE = 100
"""Lines with at least this many characters count as prose. Shorter lines are often menus, captions and comments."""

_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")


class Extract(Stage):
    """The main text of a web page.

    `engine` is "blocks", a trained choice among the blocks of a page (docs/extraction.md); "trafilatura";
    "resiliparse"; or "rescue". "rescue" takes resiliparse's text in two cases: trafilatura's text is empty, or it lacks
    too many words of resiliparse's long lines, namely more than `rescue_ratio` per word that it has. A conversion
    record (WET) is already a text. So is a document without a record, of which only `chars` is measured. In these
    texts, only whitespace at the ends of lines is removed.

    The limits on markup protect parsers from their quadratic cases. The worst page found with 60,000 tags took
    trafilatura 26 s. Among 3,010 real pages the highest values are 51,331 tags, 1,008 attributes in one tag, and a
    depth of 99.
    """

    name = "extract"
    source = "blocks: our own. trafilatura: with FineWeb's options (arXiv:2406.17557): favor_precision, no comments"
    sets = ("text",)
    reads = ("page",)
    gate = True
    costly = True
    detailed = ("body_bytes",)

    http_status = Limit(min=200, max=299, of=int)
    """The server's status.

    Only a success (2xx) has the page itself. Null for HTTP/0.9, and for a record that holds the page without an HTTP
    message.
    """
    media_type = Limit(one_of=HTML, of=str)
    """The media type, identified by the first bytes, the crawler or the server."""
    body_bytes = Limit(min=1, max=MAX_BODY_BYTES, of=int)
    """The size of the decoded body. All bodies over 20 MiB have the value 20 MiB plus one byte."""
    tags = Limit(max=60_000, of=int)
    """The number of "<"."""
    attributes = Limit(max=5_000, of=int)
    """The most attributes in one tag. Only tags of 1,000 bytes or more count."""
    depth = Limit(max=1_000, of=int)
    """The greatest depth to which elements nest."""
    charset = Limit(of=str)
    """The WHATWG name of the charset."""
    charset_source = Limit(of=str)
    """The evidence for the charset: bom, http, meta, utf-8 (the bytes are valid), detected, or replaced (some bytes are
    invalid).
    """
    engine_used = Limit(of=str)
    """The engine that gave the text, "linked data" for an article that only a script of the page holds, or "none" for a
    record that is already a text."""
    taken = Limit(share=True)
    """The share of the page's text that the engine "blocks" took. Null for other engines, and if there is no text."""
    page_type = Limit(of=str)
    """What the page says it is, in JSON-LD or by og:type: article, forum, product, documentation, collection, recipe,
    event or job. Null if it does not say. Only the engine "blocks" reads it."""
    chars = Limit(min=1, max=5_000_000, of=int)
    """The length of the text."""

    def __init__(
        self, *, engine: str = "blocks", rescue_ratio: float = 0.4, layout_tables: bool = False,
        comments: str = "auto", format: str = "text", links: bool = False, metadata: bool = False,
    ) -> None:  # fmt: skip
        choices = (("engine", engine, ENGINES), ("comments", comments, COMMENTS), ("format", format, FORMATS))
        for name, value, known in choices:
            if value not in known:
                raise ConfigError(f"extract.{name} = {value!r} is unknown.", did_you_mean(str(value), known))
        if engine != "blocks" and (comments, format, links, metadata) != ("auto", "text", False, False):
            what = f"extract: {engine} does not know comments, format, links and metadata."
            raise ConfigError(what, 'Set extract.engine to "blocks".')
        self.engine = engine
        """"blocks", "trafilatura", "resiliparse" or "rescue"."""
        self.rescue_ratio = rescue_ratio
        """The number of missing words, per word of trafilatura's text, above which "rescue" takes resiliparse's
        text.
        """
        self.layout_tables = layout_tables
        """If true, trafilatura reads the cells of a table that lays out the page as blocks of text.

        If false, it writes such a page as one line of cells, as FineWeb does, and rules on lines drop the page.
        """
        self.comments = comments
        """What "blocks" does with readers' comments: "auto" takes them where they are the page's content, "keep" takes
        all, "drop" takes none. It knows them by the words in classes and ids, such as "comment" and "reply".
        """
        self.format = format
        """What "blocks" writes: "text"; "markdown" (headings, lists, quotations, code, tables, emphasis); or "blocks",
        a line of JSON for each block of the page with its tag, its score and whether it is taken.
        """
        self.links = links
        """If true, links are written as Markdown."""
        self.metadata = metadata
        """If true, the columns `title` and `published` of the corpus have what the page says of itself."""

    def prepare(self) -> None:
        """Silence trafilatura, which would write a line to stderr for each page without text."""
        logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
        if self.engine == "blocks":
            self.blocks_ = load_model()

    def resources(self) -> dict[str, str]:
        """Return the digest of the model of blocks, if it is used."""
        return {MODEL.name: hashlib.sha256(MODEL.read_bytes()).hexdigest()} if self.engine == "blocks" else {}

    def text(self, html: str | bytes, url: str | None = None) -> str:
        """Return the main text of a page of HTML. It is empty if there is none, or if a limit on markup is broken."""
        return self.check(html=html, url=url or "").text

    def apply(self, doc: Document) -> Iterator[Measured]:
        """Measure the page and set its text."""
        try:
            if doc.record is not None and doc.record.is_text:
                yield from _conversion(doc, doc.record.block)
            elif doc.record is not None:
                yield from self._response(doc, page_of(doc))
            else:
                doc.text = plain_lines(doc.text)
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
        if self.engine == "blocks":
            yield from self._blocks(doc, page)
            return
        text, engine = self._extract(page)
        yield "engine_used", engine
        doc.text = text

    def _blocks(self, doc: Document, page: Page) -> Iterator[Measured]:
        html = page.utf8
        if self.format == "blocks":
            blocks = self.blocks_.blocks(html, doc.url, self.comments)
            doc.text = "\n".join(json.dumps(block, ensure_ascii=False) for block in blocks)
            yield "engine_used", "blocks"
            return
        markdown = self.format == "markdown"
        text, taken, size, kind = self.blocks_.extract(html, doc.url, self.comments, markdown, self.links)
        engine = "blocks"
        if size < LITTLE_TEXT and b"articleBody" in html and len(body := article_body(html)) > 2 * size:
            text, engine = body, "linked data"
        if self.metadata:
            doc.title, doc.published = metadata_of(kernels.Page(html, doc.url), doc.url)
        doc.text = unicodedata.normalize("NFC", text)
        yield "engine_used", engine
        yield "taken", ratio(taken, size)
        yield "page_type", kind

    def _extract(self, page: Page) -> tuple[str, str]:
        """Return the text of a page, and the engine that gave it."""
        if self.engine == "resiliparse":
            return resiliparse_text(page.tree), "resiliparse"
        text = trafilatura_text(page, open_layout_tables if self.layout_tables else None)
        if self.engine == "rescue":
            other = resiliparse_text(page.tree)
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
    doc.text = plain_lines(text.removeprefix("\ufeff").replace("\0", ""))


def plain_lines(text: str) -> str:
    """Return the text with "\n" after each line and no whitespace before it, so that blank lines are empty. The rules
    would count lines of "\r" or of spaces as repeated lines."""
    return "\n".join(map(str.rstrip, text.replace("\r\n", "\n").replace("\r", "\n").split("\n")))


def lost_words(text: str, other: str) -> float:
    """Return how many words in long lines of `other` are missing in `text`, per word of `text`.

    For an empty text, this is infinity.
    """
    has = Counter(text.split())
    theirs = Counter(word for line in other.split("\n") if len(line) >= LONG_LINE for word in line.split())
    return (theirs - has).total() / has.total() if has else math.inf


def trafilatura_text(page: Page, change: Change | None = None) -> str:
    """Return the text that trafilatura extracts from a page, or "" if trafilatura finds none.

    `change` is applied to the page's tree first.
    """
    from filters.extract import precision_mode  # trafilatura takes 0.2 s, and other engines do not need it

    deep = deep_tree(page) if page.structure.depth > SURE_DEPTH else None
    if deep is not None:
        if change is not None:
            change(deep)
        return precision_mode.plain_extract(deep) or ""
    return precision_mode.extract(page.html, page.utf8, change) or ""


def deep_tree(page: Page) -> etree._Element | None:
    """Parse a page that nests deeper than PARSER_DEPTH. Unlike trafilatura, parse it to its end.

    Return None if the page is less deep. Then trafilatura must get the page itself, as usual.
    """
    parser = HTMLParser(
        collect_ids=False, default_doctype=False, encoding="utf-8",
        remove_comments=True, remove_pis=True, huge_tree=True,
    )  # fmt: skip
    from trafilatura.utils import repair_faulty_html

    html = repair_faulty_html(page.html, page.html[:50].lower())
    try:
        # as bytes, because lxml rejects a str with an XML encoding declaration
        tree = fromstring(html.encode(), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):  # the document is empty
        return None
    return tree if tree_depth(tree) > PARSER_DEPTH else None


def resiliparse_text(html: str | HTMLTree) -> str:
    """Return the main text that resiliparse finds in a page, decoded or parsed.

    These options give the highest token F1 on pages whose main text was marked by hand. Comments stay in, because what
    resiliparse takes for comments is often the main text. Removing comments costs four points.
    """
    text: str = extract_plain_text(
        html, main_content=True, preserve_formatting=True, list_bullets=False, alt_texts=False,
        links=False, form_fields=False, noscript=False, comments=True, post_meta=False,
    )  # fmt: skip
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return unicodedata.normalize("NFC", _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip())
