"""From a decoded page to its tree, as trafilatura 2.3.1 parses it.

tree = Source(html).tree()
"""

from __future__ import annotations

import re
from copy import copy
from typing import TypeAlias

from lxml import etree
from lxml.html import HtmlComment, HtmlElement, HtmlEntity, HtmlProcessingInstruction, fromstring
from trafilatura.utils import DOCTYPE_TAG, FAULTY_HTML, load_html

Element: TypeAlias = etree._Element

_CONTROLS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)])
_NONCHARACTER = re.compile("\ufffe|\uffff".encode())
_BEFORE_MARKUP = re.compile(rb"\s*+[\x80-\xff]")
_UNWRITABLE = re.compile(
    rb"&#0*+(?:[1-8]|1[124-9]|2\d|3[01]|6553[45])(?!\d)"
    rb"|&#[xX]0*+(?:[1-8bcefBCEF]|1[\da-fA-F]|[fF]{3}[eEfF])(?![\da-fA-F])"
)
"""Characters that lxml reads but does not write."""


def _parser() -> etree.HTMLParser:
    """Trafilatura's parser, but its elements get their class in C: lxml.html asks a Python function for each."""
    parser = etree.HTMLParser(
        collect_ids=False, default_doctype=False, encoding="utf-8", remove_comments=True, remove_pis=True
    )
    parser.set_element_class_lookup(
        etree.ElementDefaultClassLookup(
            element=HtmlElement, comment=HtmlComment, pi=HtmlProcessingInstruction, entity=HtmlEntity
        )
    )
    return parser


PARSER = _parser()


class Source:
    """A page as the parser gets it: repaired, in UTF-8, for bytes are parsed faster than text.

    ValueError for a page with characters that can't be written: trafilatura gives up on it as soon as it moves a text
    with one, so that any step left out or done otherwise could change whether there is a text at all.
    """

    def __init__(self, html: str, utf8: bytes | None = None) -> None:
        beginning = html[:50].lower()
        data = (html.encode() if utf8 is None else utf8).translate(None, _CONTROLS)
        if b"\xef" in data:  # the first byte of both: looking for one byte takes next to nothing
            data = _NONCHARACTER.sub(b"", data)
        if "doctype" in beginning:
            if b"\n" not in data:
                data += b"\n"  # trafilatura takes the first line out and adds the rest, which is nothing
            tag = data[: data.find(b">") + 1]
            if b"/" in tag and b"\n" not in tag:
                data = DOCTYPE_TAG.sub("", tag.decode(), count=1).encode() + data[len(tag) :]
        if _has_closed_root(data):
            data = FAULTY_HTML.sub(r"\1>", data.decode(), count=1).encode()
        if _UNWRITABLE.search(data):
            raise ValueError("the page has characters that can't be written")
        self._html = html
        self._data = data
        self._dubious = "html" not in beginning
        # whether lxml.html sees a whole document may here depend on its getting bytes or text
        self._odd = _BEFORE_MARKUP.match(data) is not None

    def tree(self) -> Element | None:
        """A new tree, None for what is no page (`load_html`).

        It stands alone, also where lxml.html gives a part of a document, or libxml2 finds more than one root.
        """
        tree = load_html(self._html) if self._odd else self._parse()
        if tree is None:
            return None
        parent = tree.getparent()
        if parent is not None:
            parent.remove(tree)
            tree.tail = None
        elif tree.getnext() is not None or tree.getprevious() is not None:
            return copy(tree)
        return tree

    def _parse(self) -> Element | None:
        try:
            tree = fromstring(self._data, parser=PARSER)
        except etree.LxmlError:
            return load_html(self._html)
        return None if self._dubious and len(tree) < 2 else tree


def _has_closed_root(data: bytes) -> bool:
    lines = data[:16384].decode(errors="ignore")[:4096].splitlines()[:4]
    return any("<html" in line and line.endswith("/>") for line in lines)


text_content = etree.XPath("string()", smart_strings=False)


def text_length(element: Element) -> int:
    """Characters of the text below an element, its blanks collapsed."""
    return len(" ".join(text_content(element).split()))


def delete(element: Element) -> None:
    """Take an element out, but leave its tail (`delete_element`)."""
    parent = element.getparent()
    if parent is None:
        return
    tail = element.tail
    if tail:
        previous = element.getprevious()
        if previous is None:
            parent.text = (parent.text or "") + tail
        else:
            previous.tail = (previous.tail or "") + tail
    parent.remove(element)
