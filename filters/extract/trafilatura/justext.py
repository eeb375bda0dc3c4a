"""JusText's extraction of a page, as trafilatura 2.3.1 calls it."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from justext.core import PARAGRAPH_TAGS  # type: ignore[import-untyped]
from justext.utils import get_stoplist, get_stoplists  # type: ignore[import-untyped]
from lxml import etree
from trafilatura.utils import trim

from filters.extract.trafilatura.parse import Element, delete
from filters.extract.trafilatura.rules import BASIC, flagged_below

_BASIC_TAGS = ("aside", "fencedframe", "footer", "script", "style", "svg", "template")


class Paragraph(NamedTuple):
    """A stretch of text between block tags."""

    text: str
    in_links: int
    """The number of characters in links."""
    select: bool
    """True inside an element with "select" in its name."""


def justext(tree: Element) -> tuple[Element, str]:
    """Return the paragraphs of a cleaned tree that jusText considers content, and their text (`justext_rescue`)."""
    doomed = {element for element, _ in flagged_below(tree, BASIC)}
    delete(doomed.union(tree.iterdescendants(*_BASIC_TAGS)))
    body = etree.Element("body")
    for text in _good_texts(_paragraphs(tree)):
        etree.SubElement(body, "p").text = text
    return body, trim(" ".join(body.itertext()))


_BLANKS = re.compile(r"\s\s+|[^\S \n]")


def _blank(found: re.Match[str]) -> str:
    blanks = found[0]
    return "\n" if "\n" in blanks or "\r" in blanks else " "


def _paragraphs(tree: Element) -> list[Paragraph]:
    """Return the paragraphs of jusText's `ParagraphMaker`, without the detour over SAX."""
    paragraphs: list[Paragraph] = []
    parts: list[str] = []
    link_chars = 0
    link = after_break = False
    selects = 0
    select = False

    def add(text: str) -> None:
        nonlocal link_chars, after_break
        if not text or text.isspace():
            return
        text = _BLANKS.sub(_blank, text)
        parts.append(text)
        if link:
            link_chars += len(text)
        after_break = False

    def start() -> None:
        nonlocal link_chars, parts, select
        if parts:
            text = "".join(parts).strip()
            paragraphs.append(Paragraph(_BLANKS.sub(_blank, text), link_chars, select))
            parts = []
        link_chars = 0
        select = selects > 0

    for event, element in etree.iterwalk(tree, events=("start", "end")):
        tag = element.tag
        if event == "start":
            if "select" in tag:
                selects += 1
            if tag in PARAGRAPH_TAGS or (after_break and tag == "br"):
                start()
            else:
                after_break = tag == "br"
                if after_break:
                    parts.append(" ")
                elif tag == "a":
                    link = True
            if text := element.text:
                add(text)
        else:
            if "select" in tag:
                selects -= 1
            if tag in PARAGRAPH_TAGS:
                start()
            elif tag == "a":
                link = False
            if text := element.tail:
                add(text)
    start()
    return paragraphs


@cache
def _stopwords() -> frozenset[str]:
    """Return the stop words of all languages of jusText."""
    return frozenset(word.lower() for language in get_stoplists() for word in get_stoplist(language))


_SHORT, _BAD, _NEAR, _GOOD = range(4)


def _good_texts(paragraphs: list[Paragraph]) -> list[str]:
    """Return the texts of good paragraphs (`classify_paragraphs`, `revise_paragraph_classification`)."""
    kinds = [_first_kind(p) for p in paragraphs]
    if _GOOD not in kinds:
        # without a good paragraph, all short and near paragraphs have only bad neighbors and become bad
        return []
    for i, p in enumerate(paragraphs):
        if kinds[i] >= _NEAR:
            words = p.text.split()
            stopwords = _stopwords()
            density = sum(word.lower() in stopwords for word in words) / len(words)
            kinds[i] = (_GOOD if len(p.text) > 150 else _NEAR) if density >= 0.2 else _NEAR if density >= 0.1 else _BAD
    if _GOOD not in kinds:
        return []
    return [p.text for p, kind in zip(paragraphs, _revised(kinds), strict=True) if kind == _GOOD]


def _first_kind(p: Paragraph) -> int:
    """Return the best kind that a paragraph can have, judged without its words."""
    length = len(p.text)
    if (length and p.in_links / length > 0.25) or p.select or "\xa9" in p.text or "&copy" in p.text:
        return _BAD
    if length < 50:
        return _BAD if p.in_links else _SHORT
    return _GOOD if length > 150 else _NEAR


def _revised(kinds: list[int]) -> list[int]:
    """Make each short or near paragraph good or bad, depending on its neighbors."""
    before, before_near = _neighbors(kinds)
    after, after_near = (side[::-1] for side in _neighbors(kinds[::-1]))
    revised = list(kinds)
    for i, kind in enumerate(kinds):
        if kind == _SHORT:
            if before[i] == after[i]:
                revised[i] = before[i]
            else:
                near = (before[i] == _BAD and before_near[i] == _NEAR) or (after[i] == _BAD and after_near[i] == _NEAR)
                revised[i] = _GOOD if near else _BAD
    after = _neighbors(revised[::-1])[0][::-1]
    last = _BAD
    for i, kind in enumerate(revised):
        if kind == _NEAR:
            revised[i] = _BAD if last == after[i] == _BAD else _GOOD
        last = revised[i]
    return revised


def _neighbors(kinds: list[int]) -> tuple[list[int], list[int]]:
    """Return two kinds for each paragraph: the last good or bad kind before it, and the last kind before it that is not
    short.
    """
    sures, longs = [_BAD], [_BAD]
    for kind in kinds:
        sures.append(kind if kind in (_GOOD, _BAD) else sures[-1])
        longs.append(kind if kind != _SHORT else longs[-1])
    return sures[:-1], longs[:-1]
