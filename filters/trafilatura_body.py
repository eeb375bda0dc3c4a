"""Trafilatura 2.3.1's own extraction: the frame that holds the content, and the blocks of text in it.

    body, text = content(tree, marked)

What becomes of each block is up to trafilatura's functions; here is the way through the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from lxml import etree
from trafilatura.htmlprocessing import process_node
from trafilatura.main_extractor import (
    CODES_QUOTES, NOT_AT_THE_END, REBUILT_BLOCKS, handle_textelem,
)  # fmt: skip
from trafilatura.settings import DEDUPE_SCAN_CAP, INLINE_FORMATTABLE, MIN_DUPLICATE_LENGTH, TAG_CATALOG, Extractor
from trafilatura.utils import SPACING_PROTECTED, text_chars_test, trim

from filters.trafilatura_rules import FRAMES
from filters.trafilatura_tree import Element, prune_sections, text_content

OPTIONS = Extractor(precision=True, comments=False)
ENOUGH = OPTIONS.min_extracted_size
Marked = list[tuple[Element, int]]

_FRAME_TAGS = ("article", "div", "main", "section")
_TAGS = TAG_CATALOG | {"table", "td", "th", "tr"}
_INLINE = INLINE_FORMATTABLE | {"lb"}
_HANDLED = CODES_QUOTES | {"list", "head", "p", "lb", "hi", "ref", "del", "table", "graphic", "div"}


def content(tree: Element, marked: Marked) -> tuple[Element, str]:
    """The body that trafilatura makes of a converted tree, and its text (`extract_content`).

    `marked` are the elements of the tree with bits of FRAMES. The tree is used up.
    """
    backup = deepcopy(tree)
    order = list(tree.iter())
    body, text, tags = _extract(tree, marked)
    if len(body) == 0 or len(text) < ENOUGH:
        consumed = {twin for element, twin in zip(order, backup.iter(), strict=True) if element.tag == "done"}
        _recover(backup, body, tags, consumed)
        text = " ".join(body.itertext()).strip()
    previous = None
    for element in list(body):
        current = _text(element)
        if current and current == previous and len(current) > MIN_DUPLICATE_LENGTH:
            body.remove(element)
        else:
            previous = current
    etree.strip_elements(body, "done")
    etree.strip_tags(body, "div")
    for line in body.iter("lb"):
        tail = line.tail
        if tail and tail.isspace() and not any(a.tag in SPACING_PROTECTED for a in line.iterancestors()):
            line.tail = None
    return body, text


def _text(element: Element) -> str:
    return trim("".join(element.itertext()))  # type: ignore[no-any-return]


def _frames(tree: Element, marked: Marked) -> Iterator[Element]:
    """The first element for each expression of BODY_XPATH, which may look at what became of the tree meanwhile."""
    for i, bit in enumerate(FRAMES):
        frame: Element | None
        if i == 1:
            frame = next(tree.iterdescendants("article"), None)
        elif i == 4:
            flags = dict(marked)
            frames = tree.iterdescendants(*_FRAME_TAGS)
            frame = next((e for e in frames if e.tag == "main" or flags.get(e, 0) & bit), None)
        else:
            frame = next((e for e, flags in marked if flags & bit and e.tag in _FRAME_TAGS and _below(e, tree)), None)
        if frame is not None:
            yield frame


def _below(element: Element, tree: Element) -> bool:
    return any(ancestor is tree for ancestor in element.iterancestors())


def _extract(tree: Element, marked: Marked) -> tuple[Element, str, set[str]]:
    """The body from the first frame that gives enough, its text, and the tags that count as text (`_extract`)."""
    tags = set(_TAGS)
    body = etree.Element("body")
    for frame in _frames(tree, marked):
        prune_sections(frame)
        if len(frame) == 0:
            continue
        if _paragraph_length(tree) < ENOUGH:
            tags.add("div")
        elements = list(frame.iterdescendants())
        names = {element.tag for element in elements}
        lead = None
        start = len(body)
        if names == {"lb"} or (frame.tag == "div" and "div" in tags and names <= _INLINE):
            elements = [frame]
        elif text_chars_test(frame.text):
            lead = etree.Element("p")
            lead.text = frame.text
            lead = process_node(lead, OPTIONS)
        _fill(body, elements, tags)
        while len(body) > 0 and body[-1].tag in NOT_AT_THE_END:
            body.remove(body[-1])
        if sum(element.tag != "graphic" for element in body) > 1:
            if lead is not None:
                body.insert(start, lead)
            break
    return body, " ".join(body.itertext()).strip(), tags


def _paragraph_length(tree: Element) -> int:
    """Characters in all <p> of a page, counted up to what is enough; -1 where there is no text in any."""
    length = -1
    for paragraph in tree.iter("p"):
        if next(paragraph.iterancestors("p"), None) is None and next(paragraph.itertext(), None) is not None:
            length = max(length, 0) + len(text_content(paragraph))
            if length >= ENOUGH:
                break
    return length


def _fill(body: Element, elements: list[Element], tags: set[str]) -> None:
    """Append what becomes of each element to the body."""
    moved = False
    for element in elements:
        tag = element.tag
        if tag not in _HANDLED or (moved and element.getroottree().getroot() is body):
            continue
        tail = element.tail
        block = handle_textelem(element, tags, OPTIONS)
        if block is not None:
            body.append(block)
            if element.getroottree().getroot() is body:
                moved = True
            else:
                element.tag = "done"
        if tag in REBUILT_BLOCKS and text_chars_test(tail) and (block is None or block.tail is None):
            rest = etree.Element("p")
            rest.text = tail
            if process_node(rest, OPTIONS) is not None:
                body.append(rest)


def _recover(tree: Element, body: Element, tags: set[str], consumed: set[Element]) -> None:
    """Append text blocks from anywhere in a converted tree that are not in the body yet (`recover_wild_text`)."""
    prune_sections(tree)
    texts = [_text(element) for element in body]
    existing = "\n".join(filter(None, texts))
    known = set(texts)
    handled: set[Element] = set()
    candidates = [
        element for element in tree.iterdescendants("code", "p", "quote", "table", "div")
        if element.tag != "div" or "w3-code" in element.get("class", "")
    ]  # fmt: skip
    for element in candidates:
        if element in consumed or (handled and any(a in handled for a in element.iterancestors())):
            continue
        block = handle_textelem(element, tags, OPTIONS)
        if block is None:
            continue
        if block is element:
            handled.add(element)
        text = _text(block)
        if not text:
            images = {image.get("src") for image in block.iter("graphic")}
            if images and images <= {image.get("src") for image in body.iter("graphic")}:
                continue
        under_cap = len(existing) <= DEDUPE_SCAN_CAP
        fragment = trim(text + block.tail) if text_chars_test(block.tail) else ""
        if text and (
            text in known
            or (under_cap and len(text) > MIN_DUPLICATE_LENGTH and text in existing)
            or (under_cap and fragment and fragment in existing)
        ):
            continue
        body.append(block)
        if under_cap:
            existing += "\n" + (fragment or text)
        known.add(text)
