"""Readability's extraction of a page, as trafilatura 2.3.1 calls it.

    found = readability(tree, limit)

Usually the only result that matters is that readability's text is too short. `text_bound` can prove this before the
article is built, and again before the article is serialized and parsed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache

from lxml import etree
from lxml.html import HtmlElement, fromstring
from trafilatura.readability_lxml import DIV_TO_P_PREFIXES, Document
from trafilatura.utils import trim

from filters.extract.trafilatura.parse import PARSER, Element, delete, text_length, xml_text_length
from filters.extract.trafilatura.rules import LIKELY, OVERALL, UNLIKELY, flagged_below

_RAW_TEXT = ("noembed", "noframes", "plaintext", "title", "xmp")


def text_bound(tree: Element, unread: Iterable[Element]) -> int:
    """Return an upper bound for the length of readability's text of a tree without scripts and styles.

    Readability does not see the elements in `unread`, which are in document order. It removes elements, renames tags
    and wraps texts in <p>. These steps can only shorten a text with collapsed blanks, except that the <iframe> of a
    video gets the text "VIDEO". Then readability writes XML and parses it as HTML. This keeps all texts, except in
    elements with raw text: `&amp;` stays encoded, and an empty element, written `<title/>`, may swallow the text after
    it. A page with such elements has no bound.
    """
    # if all Unicode blanks were collapsed, the length could only be smaller
    length = xml_text_length(tree)
    for element in tree.iter("iframe", *_RAW_TEXT):
        if element.tag == "iframe":
            length += len(" VIDEO")
        elif element.tag != "title" or not element.text:
            return sys.maxsize
    # removing a part shortens the text by at least the length of the part
    outer = None
    for element in unread:
        for ancestor in element.iterancestors():
            if ancestor is outer:
                break
            if ancestor is tree:
                outer = element
                length -= xml_text_length(element)
                break
    return length


class _Document(Document):  # type: ignore[misc]
    """Readability with faster steps over all elements."""

    __slots__ = ("node",)

    def remove_unlikely_candidates(self) -> None:
        """Do nothing. `readability` removes these elements with those that trafilatura discards."""

    def transform_misused_divs_into_paragraphs(self) -> None:
        """Turn each <div> without blocks into a <p>, and wrap the texts of every other <div>."""
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
        """Return the share of a text that is in links."""
        links = list(elem.iterdescendants("a"))
        return sum(map(text_length, links)) / (text_length(elem) or 1) if links else 0.0

    def sanitize(self, node: Element, candidates: dict[Element, object]) -> str:
        self.node = node
        return super().sanitize(node, candidates)  # type: ignore[no-any-return]


@lru_cache(maxsize=1024)
def _is_block(tag: str) -> bool:
    return tag.startswith(DIV_TO_P_PREFIXES)


def _has_loose_text(element: Element) -> bool:
    """Return True if an element directly contains text that XPath's normalize-space() does not drop."""
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
    """Return readability's article of a raw tree, and its text (`try_readability`).

    Return None if the text is not longer than `limit`. The tree can't be used again.
    """
    delete(
        element
        for element, flags in flagged_below(tree, OVERALL | UNLIKELY)
        if flags & OVERALL or (not flags & LIKELY and element.tag not in ("html", "body"))
    )
    try:
        document = _Document(tree, min_text_length=25)
        summary = document.summary()
        if not document.node.tail and text_bound(document.node, ()) <= limit:
            return None
        article = fromstring(summary.encode("utf8", "surrogatepass"), parser=PARSER)
    except Exception:
        article = HtmlElement()
    return article, trim(etree.tostring(article, method="text", encoding="utf-8").decode())
