"""Trafilatura 2.3.1's own extraction: find the frame that holds the content, and the blocks of text in it.

    body, text = content(tree, again)

This module walks through the page. Trafilatura's functions handle each block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import reduce
from operator import or_

from lxml import etree
from trafilatura.htmlprocessing import process_node
from trafilatura.main_extractor import CODES_QUOTES, NOT_AT_THE_END, REBUILT_BLOCKS, handle_textelem
from trafilatura.settings import DEDUPE_SCAN_CAP, INLINE_FORMATTABLE, MIN_DUPLICATE_LENGTH, TAG_CATALOG, Extractor
from trafilatura.utils import SPACING_PROTECTED, text_chars_test, trim

from filters.extract.trafilatura.parse import Element, text_content
from filters.extract.trafilatura.rules import FRAMES, flagged_below
from filters.extract.trafilatura.tree import prune_sections

Firsts = list[Element | None]

OPTIONS = Extractor(precision=True, comments=False)
ENOUGH: int = OPTIONS.min_extracted_size

LOOKS_LONG = 400
"""If the first frame has this many characters in paragraphs, no copy of the tree is kept."""

_FRAME_TAGS = ("article", "div", "main", "section")
_SURE_FRAMES = {"article": 1, "main": 4}
_ANY_FRAME = reduce(or_, FRAMES)
_TAGS = TAG_CATALOG | {"table", "td", "th", "tr"}
_INLINE = INLINE_FORMATTABLE | {"lb"}
_HANDLED = CODES_QUOTES | {"list", "head", "p", "lb", "hi", "ref", "del", "table", "graphic", "div"}


def content(tree: Element, again: Callable[[], Element]) -> tuple[Element, str]:
    """Return the body that trafilatura makes of a converted tree, and its text (`extract_content`).

    The tree can't be used again. If a second search needs another tree, `again` makes it.
    """
    firsts = _first_frames(tree, 0)
    if _looks_long(firsts):
        body, text, _ = _extract(tree, firsts)
        if len(body) == 0 or len(text) < ENOUGH:
            tree = again()
            body, text = _extract_or_recover(tree, _first_frames(tree, 0))
    else:
        body, text = _extract_or_recover(tree, firsts)
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


def _looks_long(firsts: Firsts) -> bool:
    """Return True if the first frame has much text in paragraphs.

    This is true for 55% of real pages. On 1% of real pages it is true although there is too little text in the end.
    """
    length = 0
    frame = next((frame for frame in firsts if frame is not None), None)
    for paragraph in () if frame is None else frame.iterdescendants("p"):
        length += len(paragraph.text or "")
        if length >= LOOKS_LONG:
            return True
    return False


def _extract_or_recover(tree: Element, firsts: Firsts) -> tuple[Element, str]:
    """Return the body of a tree and its text.

    If there is too little text, blocks from anywhere in the tree are added.
    """
    backup = deepcopy(tree)
    order = list(tree.iter())
    body, text, tags = _extract(tree, firsts)
    if len(body) == 0 or len(text) < ENOUGH:
        consumed = {twin for element, twin in zip(order, backup.iter(), strict=True) if element.tag == "done"}
        _recover(backup, body, tags, consumed)
        text = " ".join(body.itertext()).strip()
    return body, text


def _text(element: Element) -> str:
    return trim("".join(element.itertext()))  # type: ignore[no-any-return]


def _frames(tree: Element, firsts: Firsts) -> Iterator[Element]:
    """Yield the first element for each expression of BODY_XPATH. Each search is made after the tree was changed."""
    for i in range(len(FRAMES)):
        firsts = firsts or _first_frames(tree, i)
        frame = firsts[i]
        if frame is not None:
            yield frame
            firsts = []


def _first_frames(tree: Element, start: int) -> Firsts:
    """Return the first element for each expression from `start` on.

    The search ends when it finds an element for `start`.
    """
    firsts: Firsts = [None] * len(FRAMES)
    for element, flags in flagged_below(tree, _ANY_FRAME, _FRAME_TAGS, tuple(_SURE_FRAMES)):
        for i in range(start, len(FRAMES)):
            if firsts[i] is None and (flags & FRAMES[i] or _SURE_FRAMES.get(element.tag) == i):
                firsts[i] = element
        if firsts[start] is not None:
            break
    return firsts


def _extract(tree: Element, firsts: Firsts) -> tuple[Element, str, set[str]]:
    """Return the body from the first frame with enough text, its text, and the tags that count as text (`_extract`)."""
    tags = set(_TAGS)
    body = etree.Element("body")
    for frame in _frames(tree, firsts):
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
    """Return the number of characters in all <p> of a page, counted until there are enough.

    If no <p> has text, return -1.
    """
    length = -1
    for paragraph in tree.iter("p"):
        if next(paragraph.iterancestors("p"), None) is None and next(paragraph.itertext(), None) is not None:
            length = max(length, 0) + len(text_content(paragraph))
            if length >= ENOUGH:
                break
    return length


def _fill(body: Element, elements: list[Element], tags: set[str]) -> None:
    """Append trafilatura's version of each element to the body."""
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
    """Append text blocks from anywhere in a converted tree that are missing in the body (`recover_wild_text`)."""
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
