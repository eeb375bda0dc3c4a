"""Readability's opinion of a page, as trafilatura 2.3.1 asks for it.

    found = readability(tree, limit)

Most often all that matters is that its text is not long enough: `text_bound` can say so before there is an article,
and again before that is written and read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache

from lxml import etree
from lxml.html import HtmlElement, fromstring
from trafilatura.readability_lxml import DIV_TO_P_PREFIXES, Document
from trafilatura.utils import trim

from filters.extract.trafilatura.parse import PARSER, Element, delete, text_length
from filters.extract.trafilatura.rules import LIKELY, OVERALL, UNLIKELY, flagged

# of the text, with XML's blanks collapsed, in C: never shorter than with all blanks of Unicode collapsed
_collapsed_length = etree.XPath("string-length(normalize-space(string()))")

_RAW_TEXT = ("noembed", "noframes", "plaintext", "title", "xmp")


def text_bound(tree: Element, unread: Iterable[Element]) -> int:
    """What the text that readability gives for a tree without scripts and styles can't be longer than.

    Before that it loses the elements in `unread`, given in the order of the page. Readability takes elements out,
    turns tags into others and wraps texts in <p>, which can only shorten a text whose blanks are collapsed; a video's
    <iframe> gets the text "VIDEO". Then it writes XML and reads that as HTML, which gives the same texts but in
    elements that hold raw text, where `&amp;` stays as it is and an empty one, written `<title/>`, may swallow what
    follows. A page with such elements has no bound.
    """
    length = int(_collapsed_length(tree))
    for element in tree.iter("iframe", *_RAW_TEXT):
        if element.tag == "iframe":
            length += len(" VIDEO")
        elif element.tag != "title" or not element.text:
            return sys.maxsize
    # a text is at least so much shorter without a part as that part is long
    outer = None
    for element in unread:
        for ancestor in element.iterancestors():
            if ancestor is outer:
                break
            if ancestor is tree:
                outer = element
                length -= int(_collapsed_length(element))
                break
    return length


class _Document(Document):  # type: ignore[misc]
    """Readability, with the steps over all elements made faster."""

    __slots__ = ("node",)

    def remove_unlikely_candidates(self) -> None:
        """Nothing: they went with what trafilatura discards."""

    def transform_misused_divs_into_paragraphs(self) -> None:
        """Make <p> of <div> that hold no blocks, and wrap the texts of the others."""
        holders: set[Element] = set()
        for element in self.doc.iterdescendants():
            if _is_block(element.tag):
                for ancestor in element.iterancestors():
                    if ancestor in holders:
                        break
                    holders.add(ancestor)
        divs = []
        for div in list(self.doc.iterdescendants("div")):
            if div in holders or (next(div.iterdescendants("a"), None) is not None and not _has_loose_text(div)):
                divs.append(div)
            else:
                div.tag = "p"
        for div in divs:
            _wrap_texts(div)

    def get_link_density(self, elem: Element) -> float:
        """The part of a text that is in links."""
        links = list(elem.iterdescendants("a"))
        if not links:
            return 0.0
        return sum(map(text_length, links)) / (text_length(elem) or 1)

    def sanitize(self, node: Element, candidates: dict[Element, object]) -> str:
        self.node = node
        return super().sanitize(node, candidates)  # type: ignore[no-any-return]


@lru_cache(maxsize=1024)
def _is_block(tag: str) -> bool:
    return tag.startswith(DIV_TO_P_PREFIXES)


def _has_loose_text(element: Element) -> bool:
    """Whether there is text directly in an element, as XPath's normalize-space() sees it."""
    texts = [element.text, *(child.tail for child in element)]
    return any(text and text.strip(" \t\r\n") for text in texts)


def _wrap_texts(div: Element) -> None:
    if div.text and div.text.strip():
        paragraph = PARSER.makeelement("p")
        paragraph.text, div.text = div.text, None
        div.insert(0, paragraph)
    for position, child in reversed(list(enumerate(div))):
        if child.tail and child.tail.strip():
            paragraph = PARSER.makeelement("p")
            paragraph.text, child.tail = child.tail, None
            div.insert(position + 1, paragraph)
        if child.tag == "br":
            child.drop_tree()


def readability(tree: Element, limit: int) -> tuple[Element, str] | None:
    """What readability takes for the article of a raw tree, and its text (`try_readability`).

    None where that text is not longer than `limit`. Uses up the tree.
    """
    for element, flags in flagged(tree.iterdescendants("*"), OVERALL | UNLIKELY):
        if flags & OVERALL or (not flags & LIKELY and element.tag not in ("html", "body")):
            delete(element)
    try:
        document = _Document(tree, min_text_length=25)
        summary = document.summary()
        if not document.node.tail and text_bound(document.node, ()) <= limit:
            return None
        article = fromstring(summary.encode("utf8", "surrogatepass"), parser=PARSER)
    except Exception:
        article = HtmlElement()
    return article, trim(etree.tostring(article, method="text", encoding="utf-8").decode())
