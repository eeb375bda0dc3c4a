"""The steps of trafilatura 2.3.1 that change the tree of a page, as its precision mode takes them.

    doomed, _ = unwanted(tree)
    clean(tree, collect(tree))
    convert(tree)

Each does to the tree what the function of the same purpose does in trafilatura, in fewer walks.
"""

from __future__ import annotations

from itertools import pairwise

from lxml import etree
from trafilatura.htmlprocessing import CONVERSIONS, REND_TAG_MAPPING, recover_math
from trafilatura.settings import CUT_EMPTY_ELEMS, MANUALLY_CLEANED, MANUALLY_STRIPPED

from filters.extract.trafilatura.links import prune_by_links
from filters.extract.trafilatura.parse import Element, delete, text_content
from filters.extract.trafilatura.rules import (
    APPENDED,
    APPENDED_SURE,
    COMMENTS,
    LIKELY,
    OVERALL,
    RAW_COMMENTS,
    REST,
    SHARE_BUTTONS,
    UNLIKELY,
    flagged,
    flagged_by_name,
)

_RAW = APPENDED | SHARE_BUTTONS | RAW_COMMENTS
_RAW_TAGS = (
    "div", "section", "aside", "details", "ol", "ul", "list",
    "footer", "form", "header", "nav", "p", "table",
)  # fmt: skip


def unwanted(tree: Element) -> tuple[list[Element], list[Element]]:
    """Comments, appended articles and share buttons in a raw tree, which go (RAW_TREE_PRUNE,
    REMOVE_COMMENTS_AND_LISTS), and elements that readability would not get or not keep.

    All lists in one walk: which elements go depends on nothing that goes before, and taking one out twice, or out of
    one that is gone, changes nothing.
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
    return doomed, unread


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
    whole: list[str] = []
    for tag in MANUALLY_CLEANED:
        if tag in found and tag != "form":
            if _nested(found[tag], tag):
                if whole:
                    etree.strip_elements(tree, *whole, with_tail=False)
                    whole = []
                # as trafilatura does it: taking out an element while walking loses what comes after a nested one
                for element in tree.iter(tag):
                    delete(element)
            else:
                whole.append(tag)
    if whole:
        etree.strip_elements(tree, *whole, with_tail=False)
    if "form" in found:
        divs += _clean_forms(tree, found["form"])
    for element in [e for e in tree.iterdescendants(*CUT_EMPTY_ELEMS) if len(e) == 0 and e.text is None]:
        parent = element.getparent()
        parent.remove(element)
    return divs


def _nested(elements: list[Element], tag: str) -> bool:
    """Whether one of these elements of the tag, in their order, holds another: then the very next one."""
    return any(
        len(outer) and any(ancestor is outer for ancestor in inner.iterancestors(tag))
        for outer, inner in pairwise(elements)
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
    prune_by_links(tree)


def _prune_guarded(tree: Element, found: list[Element]) -> None:
    """Take these elements out unless they hold six sevenths of the text."""
    doomed = set(found)
    outer = [element for element in found if not any(a in doomed for a in element.iterancestors())]
    length = len(text_content(tree))
    if length - sum(len(text_content(element)) for element in outer) > length / 7:
        for element in outer:
            delete(element)
