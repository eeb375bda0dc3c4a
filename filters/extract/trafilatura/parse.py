"""The tree of a decoded page, as trafilatura 2.3.1 parses it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from copy import copy
from typing import TypeAlias

from lxml import etree
from lxml.html import HtmlComment, HtmlElement, HtmlEntity, HtmlProcessingInstruction, fromstring
from trafilatura.utils import DOCTYPE_TAG, FAULTY_HTML, load_html

from native.kernels import TreeTexts, parser_hazards

Element: TypeAlias = etree._Element

_CONTROLS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)])
_NONCHARACTER = re.compile("\ufffe|\uffff".encode())
_BEFORE_MARKUP = re.compile(rb"\s*+[\x80-\xff]")
PARSER = etree.HTMLParser(
    collect_ids=False, default_doctype=False, encoding="utf-8", remove_comments=True, remove_pis=True
)
"""Trafilatura's parser.

The only difference is that C code, not a Python function of lxml.html, sets the class of each element.
"""
_CLASSES = etree.ElementDefaultClassLookup(HtmlElement, HtmlComment, HtmlProcessingInstruction, HtmlEntity)
PARSER.set_element_class_lookup(_CLASSES)


class HtmlSource:
    """A repaired page in UTF-8, because bytes are parsed faster than text. `change` is applied to each of its trees.

    Raises ValueError for a page with characters that can't be written. Trafilatura gives up on such a page when it
    moves a text with such a character. So on such a page, any change to the steps could decide whether there is a text
    at all.
    """

    def __init__(self, html: str, utf8: bytes | None = None, change: Callable[[Element], None] | None = None) -> None:
        beginning = html[:50].lower()
        given = data = html.encode() if utf8 is None else utf8
        controls, noncharacters, unwritable = parser_hazards(given)
        if controls:
            data = data.translate(None, _CONTROLS)
        if noncharacters or controls:
            data = _NONCHARACTER.sub(b"", data)
        if "doctype" in beginning:
            if b"\n" not in data:
                data += b"\n"  # trafilatura removes the first line and adds the rest, which is empty here
            tag = data[: data.find(b">") + 1]
            if b"/" in tag and b"\n" not in tag:
                data = DOCTYPE_TAG.sub("", tag.decode(), count=1).encode() + data[len(tag) :]
        lines = data[:16384].decode(errors="ignore")[:4096].splitlines()[:4]
        if any("<html" in line and line.endswith("/>") for line in lines):
            data = FAULTY_HTML.sub(r"\1>", data.decode(), count=1).encode()
        if parser_hazards(data)[2] if data is not given else unwritable:
            raise ValueError("the page has characters that can't be written")
        self._html = html
        self._change = change
        self._data = data
        self._dubious = "html" not in beginning
        # For such a page, lxml.html may see a whole document in bytes but not in text, or the other way round.
        self._odd = _BEFORE_MARKUP.match(data) is not None

    def tree(self) -> Element | None:
        """Parse the page into a new tree, or return None if it is not a page (`load_html`).

        The tree is complete, even if lxml.html returns a part of a document or libxml2 finds more than one root.
        """
        tree = load_html(self._html) if self._odd else self._parse()
        if tree is None:
            return None
        parent = tree.getparent()
        if parent is not None:
            parent.remove(tree)
            tree.tail = None
        elif tree.getnext() is not None or tree.getprevious() is not None:
            tree = copy(tree)
        if self._change is not None:
            self._change(tree)
        return tree

    def _parse(self) -> Element | None:
        try:
            tree = fromstring(self._data, parser=PARSER)
        except etree.LxmlError:
            return load_html(self._html)
        return None if self._dubious and len(tree) < 2 else tree


text_content = etree.XPath("string()", smart_strings=False)


_texts = TreeTexts()

text_length = _texts.length
"""Count the characters of the text below an element, with blanks collapsed."""

xml_text_length = _texts.xml_length
"""Do the same with the blanks of XML only, as XPath's normalize-space() does."""


def delete(elements: Iterable[Element]) -> None:
    """Remove elements, but keep the texts after them (`delete_element`)."""
    for element in elements:
        parent = element.getparent()
        if parent is None:
            continue
        tail = element.tail
        if tail:
            previous = element.getprevious()
            if previous is None:
                parent.text = (parent.text or "") + tail
            else:
                previous.tail = (previous.tail or "") + tail
        parent.remove(element)
