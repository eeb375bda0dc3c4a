"""The steps of trafilatura 2.3.1 that change the tree of a page, as its precision mode takes them.

    root = parse(html)
    clean(root)
    convert(root)

Each does to the tree what the function of the same purpose does in trafilatura, in fewer walks.
"""

from __future__ import annotations

import re
from copy import copy

from lxml import etree
from lxml.html import HtmlComment, HtmlElement, HtmlEntity, HtmlProcessingInstruction, fromstring
from trafilatura.htmlprocessing import (
    CONVERSIONS, REND_TAG_MAPPING, collect_link_info, is_paragraph_listing, link_density_test_tables, recover_math,
)  # fmt: skip
from trafilatura.settings import CUT_EMPTY_ELEMS, MANUALLY_CLEANED, MANUALLY_STRIPPED
from trafilatura.utils import DOCTYPE_TAG, LINK_FARM_RATIO, load_html, trim

from filters.trafilatura_rules import (
    APPENDED, APPENDED_SURE, LIKELY, OVERALL, RAW_COMMENTS, REST, SHARE_BUTTONS, UNLIKELY, flagged, flagged_by_name,
)  # fmt: skip

Element = etree._Element

_CONTROLS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)])
_NONCHARACTER = re.compile("\ufffe|\uffff".encode())
text_content = etree.XPath("string()", smart_strings=False)


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
    if b"\xef\xbf" in data:
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


def clean(tree: Element, found: Found) -> None:
    """Take out what holds no text of the page (`tree_cleaning`)."""
    if "math" in found:
        recover_math(tree)
    if "table" in found:
        for figure in found.get("figure", ()):
            if next(figure.iterdescendants("table"), None) is not None:
                figure.tag = "div"
        for table in found["table"]:
            if table.get("role") in ("presentation", "none"):
                table.tag = "div"
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
        _clean_forms(tree, forms)
    for element in [e for e in tree.iterdescendants(*CUT_EMPTY_ELEMS) if len(e) == 0 and e.text is None]:
        parent = element.getparent()
        parent.remove(element)


def _nested(elements: list[Element], tag: str) -> bool:
    """Whether one of these elements of the tag, in their order, holds another: then the very next one."""
    return any(
        len(outer) and any(ancestor is outer for ancestor in inner.iterancestors(tag))
        for outer, inner in zip(elements, elements[1:], strict=False)
    )


def _clean_forms(tree: Element, forms: list[Element]) -> None:
    """Take forms out, but those that hold most of the page."""
    total = len(text_content(tree))
    for form in forms:
        if total and len(text_content(form)) > total / 2:
            form.tag = "div"
        else:
            delete(form)


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
    """Take out blocks that are mostly links, then the links' own tags.

    Trafilatura goes twice over div, list and p. What it finds in an element rests on what is below it and on whether
    another element follows, so that the second time only elements can differ that are above or just before something
    that was taken out.
    """
    linked: set[Element] = set()
    for link in tree.iterdescendants("ref"):
        for ancestor in link.iterancestors():
            if ancestor in linked:
                break
            linked.add(ancestor)
            if ancestor is tree:
                break
    if linked:
        pictures = next(tree.iterdescendants("graphic"), None) is not None
        changed: set[Element] = set()
        for tag in ("div", "list", "p"):
            _prune_tag(tree, tag, linked, changed, pictures)
        if changed:
            again = changed & linked
            for tag in ("div", "list", "p"):
                before = len(changed)
                _prune_tag(tree, tag, again, changed, pictures)
                if len(changed) != before:
                    again = changed & linked
        tables = [table for table in tree.iter("table") if table in linked and link_density_test_tables(table)]
        for table in tables:
            parent = table.getparent()
            if parent is not None:
                parent.remove(table)
    while len(tree) > 0 and tree[-1].tag == "head":
        tree.remove(tree[-1])
    if linked:
        for tag in ("head", "quote"):
            _prune_tag(tree, tag, linked, changed, pictures)
    etree.strip_tags(tree, "span", "ref")


def _prune_tag(tree: Element, tag: str, linked: set[Element], changed: set[Element], pictures: bool) -> None:
    """Take out elements of a tag that are mostly links (`delete_by_link_density`)."""
    doomed = []
    for element in tree.iter(tag):
        if element not in linked:
            continue
        dense, short = _link_density(element, pictures)
        if dense or (tag == "div" and short and len(element) >= 1 and len(trim(text_content(element))) < 200):
            if tag == "p":
                parent = element.getparent()
                if parent is not None and parent.tag in _ITEMS:
                    continue
            doomed.append(element)
    for element in doomed:
        previous = element.getprevious()
        if previous is not None:
            changed.add(previous)
        changed.update(element.iterancestors())
        delete(element)


def _link_density(element: Element, pictures: bool) -> tuple[bool, bool]:
    """Whether an element is mostly links, and whether it is short with links (`link_density_test`)."""
    links = list(element.iterdescendants("ref"))
    if not links or (pictures and next(element.iterdescendants("graphic"), None) is not None):
        return False, False
    text = trim(text_content(element))
    length = len(text)
    if len(links) == 1:
        link_length = len(trim(text_content(links[0])))
        if link_length > 10 and link_length > length * 0.9:
            return True, False
    last = element.getnext() is None
    if element.tag == "p":
        limit = 60 if last else 30
    else:
        limit = 300 if last else 100
    if length < limit:
        link_length, count, short, _ = collect_link_info(links)
        if count == 0:
            return True, False
        return link_length > length * 0.8 or (count > 1 and short / count > 0.8), True
    if len(links) > 4:
        link_length, count, _, _ = collect_link_info(links)
        if link_length > length * LINK_FARM_RATIO and link_length < 100 * count and not is_paragraph_listing(links):
            return True, False
    return False, False
