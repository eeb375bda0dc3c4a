"""The steps of trafilatura 2.3.1 that change the tree of a page in precision mode.

    doomed, _ = unwanted(tree)
    clean(tree, collect(tree))
    convert(tree)

Each step changes the tree exactly as trafilatura's own function does, but walks through it fewer times.
"""

from __future__ import annotations

from itertools import pairwise

from lxml import etree
from trafilatura.htmlprocessing import CONVERSIONS, REND_TAG_MAPPING, recover_math
from trafilatura.settings import CUT_EMPTY_ELEMS, MANUALLY_CLEANED, MANUALLY_STRIPPED

from filters.extract.trafilatura import rules
from filters.extract.trafilatura.links import prune_by_links
from filters.extract.trafilatura.parse import Element, delete, text_content

_REMOVED = rules.APPENDED_SURE | rules.SHARE_BUTTONS | rules.RAW_COMMENTS
_LISTED = _REMOVED | rules.APPENDED | rules.OVERALL | rules.UNLIKELY
_RAW_TAGS = (
    "div", "section", "aside", "details", "ol", "ul", "list",
    "footer", "form", "header", "nav", "p", "table",
)  # fmt: skip


def unwanted(tree: Element) -> tuple[list[Element], list[Element]]:
    """Return two lists of elements in a raw tree: those to remove, and those that readability discards.

    Comments, appended articles and share buttons are removed (RAW_TREE_PRUNE, REMOVE_COMMENTS_AND_LISTS). One walk
    finds all of them, because no removal decides which elements are removed later. Removing an element twice, or from a
    removed element, changes nothing.
    """
    doomed = []
    unread = []
    for element, flags in rules.flagged_below(tree, _LISTED, _RAW_TAGS):
        if flags & _REMOVED or (flags & rules.APPENDED and next(element.iterdescendants("h1"), None) is None):
            doomed.append(element)
        elif flags & rules.OVERALL or (flags & rules.UNLIKELY and not flags & rules.LIKELY):
            unread.append(element)
    return doomed, unread


_COLLECTED = (*MANUALLY_CLEANED, "table")
Found = dict[str, list[Element]]


def collect(tree: Element) -> Found:
    """Return the elements that `clean` needs, by tag."""
    found: Found = {}
    for element in tree.iter(*_COLLECTED):
        found.setdefault(element.tag, []).append(element)
    return found


def clean(tree: Element, found: Found) -> list[Element]:
    """Remove elements that hold no text of the page (`tree_cleaning`). Return the elements that became a <div>."""
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
                # as trafilatura does: removing an element during the walk skips the elements after a nested one
                delete(tree.iter(tag))
            else:
                whole.append(tag)
    if whole:
        etree.strip_elements(tree, *whole, with_tail=False)
    if "form" in found:
        divs += _clean_forms(tree, found["form"])
    for element in [e for e in tree.iterdescendants(*CUT_EMPTY_ELEMS) if len(e) == 0 and e.text is None]:
        element.getparent().remove(element)
    return divs


def _nested(elements: list[Element], tag: str) -> bool:
    """Return True if one of these elements contains another.

    In document order, the contained element is always the next one.
    """
    return any(
        len(outer) and any(ancestor is outer for ancestor in inner.iterancestors(tag))
        for outer, inner in pairwise(elements)
    )


def _clean_forms(tree: Element, forms: list[Element]) -> list[Element]:
    """Remove forms, but turn a form that holds most of the page into a <div>."""
    kept = []
    total = len(text_content(tree))
    for form in forms:
        if total and len(text_content(form)) > total / 2:
            form.tag = "div"
            kept.append(form)
        else:
            delete([form])
    return kept


_CONTAINERS = ("div", "li", "p", "table")
_CONVERTED = ("a", "strong", *CONVERSIONS)
_STRIPPED = ("a", *REND_TAG_MAPPING)


def convert(tree: Element) -> None:
    """Rename elements to trafilatura's names (`convert_tags`).

    Trafilatura also deletes empty <sup> and <sub>. This is not needed here, because without formatting all of them are
    removed in the next step.
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
    """Remove comments that only cleaning and conversion revealed (REMOVE_COMMENTS).

    `unwanted` has found all others. New candidates are each <div> that was another element, each <list> that was a
    <dl>, and lists with an id that counts only here.
    """
    delete(element for element, _ in rules.flagged([*divs, *tree.iterdescendants("list")], rules.COMMENTS))


def prune_sections(tree: Element) -> None:
    """Remove sections below an element that look like boilerplate (`prune_unwanted_sections`)."""
    found = rules.flagged_below(tree, rules.OVERALL | rules.REST)
    overall = [element for element, flags in found if flags & rules.OVERALL]
    if overall:
        _prune_guarded(tree, overall)
    delete(element for element, flags in found if flags & rules.REST)
    delete(list(tree.iterdescendants("header")))
    prune_by_links(tree)


def _prune_guarded(tree: Element, found: list[Element]) -> None:
    """Remove these elements, unless they contain six sevenths of the text."""
    doomed = set(found)
    outer = [element for element in found if not any(a in doomed for a in element.iterancestors())]
    length = len(text_content(tree))
    if length - sum(len(text_content(element)) for element in outer) > length / 7:
        delete(outer)
