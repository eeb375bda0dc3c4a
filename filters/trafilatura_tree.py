"""The steps of trafilatura 2.3.1 that change the tree of a page, as its precision mode takes them.

    root = parse(html)
    clean(root)
    convert(root)

Each does to the tree what the function of the same purpose does in trafilatura, in fewer walks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import copy

from lxml import etree
from lxml.html import HtmlComment, HtmlElement, HtmlEntity, HtmlProcessingInstruction, fromstring
from trafilatura.htmlprocessing import (
    CONVERSIONS, REND_TAG_MAPPING, collect_link_info, is_paragraph_listing, link_density_test_tables, recover_math,
)  # fmt: skip
from trafilatura.settings import CUT_EMPTY_ELEMS, MANUALLY_CLEANED, MANUALLY_STRIPPED
from trafilatura.utils import DOCTYPE_TAG, LINK_FARM_RATIO, load_html

from filters.trafilatura_rules import (
    APPENDED, APPENDED_SURE, COMMENTS, LIKELY, OVERALL, RAW_COMMENTS, REST, SHARE_BUTTONS, UNLIKELY, flagged, flagged_by_name,
)  # fmt: skip

Element = etree._Element

_CONTROLS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)])
_NONCHARACTER = re.compile("\ufffe|\uffff".encode())
text_content = etree.XPath("string()", smart_strings=False)


def text_length(element: Element) -> int:
    """Characters of the text below an element, its blanks collapsed."""
    return len(" ".join(text_content(element).split()))


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


def parse(html: str) -> Element | None:
    """The tree of a page, None for what is no page (`load_html`).

    It stands alone: where libxml2 finds more than one root, or lxml.html took a part, that is copied.
    """
    tree = _parse(html)
    if tree is None:
        return None
    if tree.getparent() is None and tree.getnext() is None and tree.getprevious() is None:
        return tree
    return copy(tree)


def _parse(html: str) -> Element | None:
    beginning = html[:50].lower()
    data = html.encode().translate(None, _CONTROLS)
    if "\ufffe" in html or "\uffff" in html:
        data = _NONCHARACTER.sub(b"", data)
    if "doctype" in beginning:
        first, _, rest = data.partition(b"\n")
        data = DOCTYPE_TAG.sub("", first.decode(), count=1).encode() + b"\n" + rest
    if data.lstrip()[:1] > b"\x7f" or _has_closed_root(data):
        return load_html(html)  # type: ignore[no-any-return]
    try:
        tree = fromstring(data, parser=PARSER)
    except etree.LxmlError:
        return load_html(html)  # type: ignore[no-any-return]
    if len(tree) < 2 and "html" not in beginning:
        return None
    return tree


def _has_closed_root(data: bytes) -> bool:
    lines = data[:16384].decode(errors="ignore")[:4096].splitlines()[:4]
    return any("<html" in line and line.endswith("/>") for line in lines)


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


_RAW = APPENDED | SHARE_BUTTONS | RAW_COMMENTS
_RAW_TAGS = (
    "div", "section", "aside", "details", "ol", "ul", "list",
    "footer", "form", "header", "nav", "p", "table",
)  # fmt: skip


def prune_raw(tree: Element) -> list[Element]:
    """Take out comments, appended articles and share buttons (RAW_TREE_PRUNE, REMOVE_COMMENTS_AND_LISTS).

    All three lists in one walk: which elements go depends on nothing that goes before, and taking one out twice,
    or out of one that is gone, changes nothing. Given are elements that readability would not get or not keep.
    """
    doomed = []
    unread = []
    for element, flags in flagged_by_name(tree.iterdescendants(*_RAW_TAGS), _RAW | OVERALL | UNLIKELY):
        if flags & (SHARE_BUTTONS | RAW_COMMENTS | APPENDED_SURE) or (
            flags & APPENDED and next(element.iterdescendants("h1"), None) is None
        ):
            doomed.append(element)
        elif flags & OVERALL or (flags & UNLIKELY and not flags & LIKELY):
            unread.append(element)
    for element in doomed:
        delete(element)
    return unread


_COLLECTED = (*MANUALLY_CLEANED, "table")
Found = dict[str, list[Element]]


def collect(tree: Element) -> Found:
    """The elements that `clean` looks at, by tag."""
    found: Found = {}
    for element in tree.iter(*_COLLECTED):
        found.setdefault(element.tag, []).append(element)
    return found


def clean(tree: Element, found: Found) -> list[Element]:
    """Take out what holds no text of the page (`tree_cleaning`). Given is what was made a <div>."""
    divs = []
    if "math" in found:
        recover_math(tree)
    if "table" in found:
        for figure in found.get("figure", ()):
            if next(figure.iterdescendants("table"), None) is not None:
                figure.tag = "div"
                divs.append(figure)
        for table in found["table"]:
            if table.get("role") in ("presentation", "none"):
                table.tag = "div"
                divs.append(table)
    etree.strip_tags(tree, MANUALLY_STRIPPED)
    forms = found.pop("form", ())
    for tag in MANUALLY_CLEANED:
        elements = found.get(tag)
        if elements is None:
            continue
        if _nested(elements, tag):
            # taking out an element while walking loses what comes after its nested namesake
            elements = tree.iter(tag)
        for element in elements:
            if element.tag == tag:
                delete(element)
    if forms:
        divs += _clean_forms(tree, forms)
    for element in [e for e in tree.iterdescendants(*CUT_EMPTY_ELEMS) if len(e) == 0 and e.text is None]:
        parent = element.getparent()
        parent.remove(element)
    return divs


def _nested(elements: list[Element], tag: str) -> bool:
    """Whether one of these elements of the tag, in their order, holds another: then the very next one."""
    return any(
        len(outer) and any(ancestor is outer for ancestor in inner.iterancestors(tag))
        for outer, inner in zip(elements, elements[1:], strict=False)
    )


def _clean_forms(tree: Element, forms: list[Element]) -> list[Element]:
    """Take forms out, but make a <div> of those that hold most of the page."""
    kept = []
    total = len(text_content(tree))
    for form in forms:
        if total and len(text_content(form)) > total / 2:
            form.tag = "div"
            kept.append(form)
        else:
            delete(form)
    return kept


_CONTAINERS = ("div", "li", "p", "table")
_CONVERTED = ("a", "strong", *CONVERSIONS)
_STRIPPED = ("a", *REND_TAG_MAPPING)


def convert(tree: Element) -> None:
    """Give elements trafilatura's names (`convert_tags`).

    Its deletion of empty <sup> and <sub> is left out: without formatting these are stripped next, to the same effect.
    """
    blocks = []
    for element in tree.iter(*_CONVERTED):
        tag = element.tag
        if tag == "a":
            if next(element.iterancestors(*_CONTAINERS), tree) is not tree:
                element.tag = "ref"
        elif tag != "strong":
            blocks.append((element, tag))
        elif "schema-faq-question" in element.get("class", ""):
            element.attrib.clear()
            element.set("rend", "h3")
            element.tag = "head"
    etree.strip_tags(tree, *_STRIPPED)
    for element, tag in blocks:
        CONVERSIONS[tag](element)


def prune_comments(tree: Element, divs: list[Element]) -> None:
    """Take out comments that only cleaning and conversion brought to light (REMOVE_COMMENTS).

    All others went with `prune_raw`: new are <div> that were something else, <list> from <dl>, and the lists whose id
    is of a kind that counts only here.
    """
    for element, _ in flagged([*divs, *tree.iterdescendants("list")], COMMENTS):
        delete(element)


def prune_sections(tree: Element) -> None:
    """Take out what looks like boilerplate below an element (`prune_unwanted_sections`)."""
    overall = []
    rest = []
    for element, flags in flagged(tree.iterdescendants("*"), OVERALL | REST):
        if flags & OVERALL:
            overall.append(element)
        if flags & REST:
            rest.append(element)
    if overall:
        _prune_guarded(tree, overall)
    for element in rest:
        delete(element)
    for element in list(tree.iterdescendants("header")):
        delete(element)
    _prune_by_links(tree)


def _prune_guarded(tree: Element, found: list[Element]) -> None:
    """Take these elements out unless they hold six sevenths of the text."""
    doomed = set(found)
    outer = [element for element in found if not any(a in doomed for a in element.iterancestors())]
    length = len(text_content(tree))
    if length - sum(len(text_content(element)) for element in outer) > length / 7:
        for element in outer:
            delete(element)


def prune_overall(tree: Element) -> None:
    """Take out what OVERALL_DISCARD selects, however much it is."""
    for element, _ in flagged(list(tree.iterdescendants("*")), OVERALL):
        delete(element)


_ITEMS = frozenset(["item", "td", "th"])


def _prune_by_links(tree: Element) -> None:
    """Take out blocks that are mostly links, then the links' own tags."""
    links = list(tree.iterdescendants("ref"))
    if links:
        _LinkPruning(tree, links).run()
    else:
        _drop_last_titles(tree)
    etree.strip_tags(tree, "span", "ref")


def _drop_last_titles(tree: Element) -> None:
    while len(tree) > 0 and tree[-1].tag == "head":
        tree.remove(tree[-1])


class _LinkPruning:
    """The link density tests (`delete_by_link_density`) of all blocks below an element that have links.

    Trafilatura goes twice over div, list and p. What it finds in a block rests on what is in it and on whether
    another element follows, so that the second time only those can differ that are above or just before something
    taken out.
    """

    def __init__(self, tree: Element, links: list[Element]) -> None:
        self.blocks: dict[str, list[Element]] = {}
        self.changed: set[Element] = set()
        self.lengths: dict[Element, int] = {}
        self._tree = tree
        seen: set[Element] = set()
        for link in links:
            block: Element | None = link
            while block is not None and block is not tree:
                block = block.getparent()
                if block is None or block in seen:
                    break
                seen.add(block)
                self.blocks.setdefault(block.tag, []).append(block)

    def run(self) -> None:
        """Take out blocks, in trafilatura's order of tags."""
        for tag in ("div", "list", "p"):
            self._prune(tag, self.blocks.get(tag, ()))
        for tag in ("div", "list", "p"):
            if self.changed:
                self._prune(tag, [block for block in self.blocks.get(tag, ()) if block in self.changed])
        for table in [table for table in self.blocks.get("table", ()) if link_density_test_tables(table)]:
            parent = table.getparent()
            if parent is not None:
                parent.remove(table)
        _drop_last_titles(self._tree)
        for tag in ("head", "quote"):
            self.lengths.clear()
            self._prune(tag, self.blocks.get(tag, ()))

    def _prune(self, tag: str, blocks: Iterable[Element]) -> None:
        doomed = []
        for block in blocks:
            if self._is_boilerplate(block, tag):
                parent = block.getparent()
                if tag != "p" or parent is None or parent.tag not in _ITEMS:
                    doomed.append(block)
        for block in doomed:
            previous = block.getprevious()
            if previous is not None:
                self.changed.add(previous)
            for ancestor in block.iterancestors():
                self.changed.add(ancestor)
                self.lengths.pop(ancestor, None)
            delete(block)

    def _is_boilerplate(self, block: Element, tag: str) -> bool:
        """Whether a block goes: one mostly of links, or a short <div> with links (`link_density_test`)."""
        links = list(block.iterdescendants("ref"))
        if not links:
            return False
        length = text_length(block)
        if not self._is_dense(block, tag, links, length):
            return False
        return next(block.iterdescendants("graphic"), None) is None

    def _is_dense(self, block: Element, tag: str, links: list[Element], length: int) -> bool:
        if len(links) == 1:
            link_length = self._length(links[0])
            if link_length > 10 and link_length > length * 0.9:
                return True
        last = block.getnext() is None
        if length < ((60 if last else 30) if tag == "p" else (300 if last else 100)):
            if tag == "div" and length < 200 and len(block) >= 1:
                return True
            lengths = [found for link in links if (found := self._length(link))]
            if not lengths:
                return True
            short = sum(1 for found in lengths if found < 10)
            return sum(lengths) > length * 0.8 or (len(lengths) > 1 and short / len(lengths) > 0.8)
        if len(links) > 4:
            lengths = [found for link in links if (found := self._length(link))]
            link_length = sum(lengths)
            if link_length > length * LINK_FARM_RATIO and link_length < 100 * len(lengths):
                return not is_paragraph_listing(links)
        return False

    def _length(self, link: Element) -> int:
        """Characters of a link's text, its blanks collapsed."""
        length = self.lengths.get(link)
        if length is None:
            length = len(" ".join((link.text or "").split())) if len(link) == 0 else text_length(link)
            self.lengths[link] = length
        return length
