"""The sequence of steps in trafilatura 2.3.1's precision mode.

    text = extract(html)

The docstring of each step names trafilatura's function for it. A step leaves out only work that can't change the text.
A comment at that point explains why.
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
from filters.extract.trafilatura.parse import Element, HtmlSource, delete
from filters.extract.trafilatura.readability import readability, text_bound
from filters.extract.trafilatura.tree import Found, clean, collect, convert, prune_comments, unwanted

_UNCLEAN = tuple(SANITIZED_XPATH.replace(".//", "").split("|"))


def extract(html: str, utf8: bytes | None = None, change: Callable[[Element], None] | None = None) -> str | None:
    """Return the text of a decoded page, or None if there is none.

    `utf8` is the page in UTF-8. `change` is applied to the page's tree first.
    """
    source = HtmlSource(html, utf8, change)
    tree = source.tree()
    if tree is None:
        return None
    found = collect(tree)
    forum = _is_forum(found)
    doomed, unread = unwanted(tree)
    delete(doomed)
    bound = sys.maxsize
    if "math" not in found:
        etree.strip_elements(tree, "script", "style", with_tail=False)
        found.pop("script", None)
        found.pop("style", None)
        bound = text_bound(tree, unread)

    def raw_again() -> Element:
        """Return the tree before cleaning. Parsing some pages twice costs less than copying the tree of each page."""
        tree = source.tree()
        if doomed:
            delete(unwanted(tree)[0])
        return tree

    def converted(tree: Element, found: Found | None = None) -> Element:
        divs = clean(tree, collect(tree) if found is None else found)
        convert(tree)
        if not forum:
            prune_comments(tree, divs)
        return tree

    body, text = content(converted(tree, found), lambda: converted(raw_again()))
    body, text = _second_opinions(raw_again, body, text, bound)
    if not text:
        return None
    output: str = determine_returnstring(Document(body=body), OPTIONS)
    return output


def _is_forum(found: Found) -> bool:
    """Return True if the page declares a forum thread.

    The posts are the content of such a page (`_forum_thread_page`).
    """
    return any(
        script.text and script.get("type") == "application/ld+json" and _DISCUSSION_FORUM_POSTING_RE.search(script.text)
        for script in found.get("script", ())
    )


def _second_opinions(raw_again: Callable[[], Element], body: Element, text: str, bound: int) -> tuple[Element, str]:
    """Return the body to use, and its text: the given body, readability's or jusText's (`compare_extraction`).

    `bound` is an upper bound for the length of readability's text.
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
        raw = raw_again() if raw is None else raw
        clean(raw, collect(raw))
        good, good_text = justext(raw)
        if good_text and (len(text) <= 3 * len(good_text) if unclean else len(text) < len(good_text)):
            return good, good_text
    if adopted:
        body, text = sanitize_tree(body, OPTIONS)
    return body, text


def _needed(body: Element, length: int) -> int:
    """Return the length that readability's text must exceed to replace this body (`_prefer_readability`).

    Precision mode prefers readability's text in three cases: there is no other text; it is more than twice as long; or
    it has more than 500 characters, while the body has no text in paragraphs or more tables than paragraphs.
    """
    if length == 0:
        return 0
    paragraphs = list(body.iterdescendants("p"))
    tables = sum(1 for _ in body.iterdescendants("table"))
    if tables > len(paragraphs) or not any(True for paragraph in paragraphs for _ in paragraph.itertext()):
        return min(2 * ENOUGH, 2 * length)
    return 2 * length
