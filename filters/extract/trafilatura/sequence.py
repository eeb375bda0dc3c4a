"""The way of a page through trafilatura 2.3.1's precision mode.

    text = extract(html)

Each step is that of trafilatura with the same purpose, named in its docstring. What the steps leave out, they leave
out because it can't change the text; why it can't is said where that is done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import copy

from lxml import etree
from trafilatura.core import _DISCUSSION_FORUM_POSTING_RE, determine_returnstring
from trafilatura.external import SANITIZED_XPATH, _prefer_readability, sanitize_tree
from trafilatura.settings import Document

from filters.extract.trafilatura.body import ENOUGH, OPTIONS, content
from filters.extract.trafilatura.justext import justext
from filters.extract.trafilatura.parse import Element, Source, delete
from filters.extract.trafilatura.readability import readability, text_bound
from filters.extract.trafilatura.tree import Found, clean, collect, convert, prune_comments, unwanted

_UNCLEAN = tuple(SANITIZED_XPATH.replace(".//", "").split("|"))


def extract(html: str, utf8: bytes | None = None) -> str | None:
    """The text of a decoded page, None where there is none. `utf8` is the page in UTF-8, for those who have it."""
    source = Source(html, utf8)
    tree = source.tree()
    if tree is None:
        return None
    found = collect(tree)
    forum = _is_forum(found)
    doomed, unread = unwanted(tree)
    for element in doomed:
        delete(element)
    bound = sys.maxsize
    if "math" not in found:
        etree.strip_elements(tree, "script", "style", with_tail=False)
        found.pop("script", None)
        found.pop("style", None)
        bound = text_bound(tree, unread)

    def raw_again() -> Element:
        """The tree before cleaning: parsing twice where that is needed costs less than a copy for each page."""
        tree = source.tree()
        if doomed:
            for element in unwanted(tree)[0]:
                delete(element)
        return tree

    def converted(tree: Element, found: Found) -> Element:
        divs = clean(tree, found)
        convert(tree)
        if not forum:
            prune_comments(tree, divs)
        return tree

    def converted_again() -> Element:
        tree = raw_again()
        return converted(tree, collect(tree))

    body, text = content(converted(tree, found), converted_again)
    body, text = _second_opinions(raw_again, body, text, bound)
    if not text:
        return None
    output: str = determine_returnstring(Document(body=body), OPTIONS)
    return output


def _is_forum(found: Found) -> bool:
    """Whether the page says that it is a forum thread: then the posts are its content (`_forum_thread_page`)."""
    for script in found.get("script", ()):
        text = script.text
        if text and script.get("type") == "application/ld+json" and _DISCUSSION_FORUM_POSTING_RE.search(text):
            return True
    return False


def _second_opinions(raw_again: Callable[[], Element], body: Element, text: str, bound: int) -> tuple[Element, str]:
    """The body to use, and its text: the given one, readability's or jusText's (`compare_extraction`).

    `bound` is what the text of readability is not longer than.
    """
    raw: Element | None = None
    adopted = False
    needed = _needed(body, len(text))
    if bound > needed:
        raw = raw_again()
        spare = copy(raw) if len(text) < ENOUGH else None
        found = readability(raw, needed)
        raw = spare
        if found and _prefer_readability(body, found[0], found[1], len(text), len(found[1]), OPTIONS):
            body, text = found
            adopted = True
    unclean = next(body.iterdescendants(*_UNCLEAN), None) is not None
    if unclean or len(text) < ENOUGH:
        if raw is None:
            raw = raw_again()
        clean(raw, collect(raw))
        good, good_text = justext(raw)
        if good_text and (len(text) <= 3 * len(good_text) if unclean else len(text) < len(good_text)):
            return good, good_text
    if adopted:
        body, text = sanitize_tree(body, OPTIONS)
    return body, text


def _needed(body: Element, length: int) -> int:
    """How long a text of readability must at least be, less one, to be preferred to this body (`_prefer_readability`).

    Precision mode prefers it where there is nothing else, where it is more than twice as long, and where it has more
    than 500 characters while the body has no text in paragraphs or more tables than paragraphs.
    """
    if length == 0:
        return 0
    paragraphs = list(body.iterdescendants("p"))
    tables = sum(1 for _ in body.iterdescendants("table"))
    if tables > len(paragraphs) or not any(True for paragraph in paragraphs for _ in paragraph.itertext()):
        return min(2 * ENOUGH, 2 * length)
    return 2 * length
