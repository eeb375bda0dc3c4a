"""The way of one page through the stages, as a recipe that page workers run: its text after each stage that changed it,
and the original page, without anything that could run or load, with its extracted blocks marked.

A page is hostile. So only a page worker parses it, and everything leaves the worker as one text, in place of the text
of the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import lxml.etree
import lxml.html

from corpus.collective import Collective
from corpus.document import Document, storable
from corpus.plugins import Plugin
from corpus.recipes import Recipe
from corpus.stage import Measured, Stage
from filters import registry
from filters.extract.page import page_of
from jobs.build.archives import without_limits

FACTORY = "jobs.browse.trace:recipe_from_dict"
MOST_CHARS = 400_000
"""The most characters of a text or source that are shown."""

_MOST_BLOCKS = 5_000
_LEAST_CHARS = 20
"""A shorter block is marked only if it is a whole line of the text."""

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "caption",
        "dd",
        "div",
        "dt",
        "figcaption",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "li",
        "main",
        "p",
        "pre",
        "section",
        "td",
        "th",
    ]
)
_REMOVED = frozenset(
    [
        "applet",
        "audio",
        "base",
        "bgsound",
        "embed",
        "fencedframe",
        "frame",
        "frameset",
        "iframe",
        "link",
        "math",
        "meta",
        "noembed",
        "noframes",
        "noscript",
        "object",
        "plaintext",
        "portal",
        "script",
        "source",
        "svg",
        "template",
        "textarea",
        "title",
        "track",
        "video",
        "xmp",
    ]
)
_KEPT_ATTRIBUTES = frozenset(
    [
        "align",
        "alt",
        "bgcolor",
        "border",
        "cellpadding",
        "cellspacing",
        "class",
        "cols",
        "colspan",
        "color",
        "dir",
        "face",
        "height",
        "hspace",
        "id",
        "lang",
        "nowrap",
        "role",
        "rowspan",
        "rules",
        "size",
        "span",
        "start",
        "style",
        "title",
        "type",
        "valign",
        "vspace",
        "width",
    ]
)
_LOADS = re.compile(r"@import|url\s*\(|image-set\s*\(|src\s*\(", re.IGNORECASE)
"""What loads something in a style. The policy of the frame forbids it, too."""

_MARK = (
    "[data-corpus=kept]{outline:2px solid #3c9a8d!important;background:#3c9a8d30!important}body{overflow-wrap:anywhere}"
)


class TraceText(Stage):
    """Notes the text of a page at this place. Measures nothing."""

    name = "trace_text"
    source = "our own"
    reads = ("text",)
    found: ClassVar[dict[str, list[tuple[str, str]]]] = {}
    """The texts of the pages at work, with the stage before each, by the id of the page."""

    def __init__(self, *, after: str = "") -> None:
        self.after = after

    def apply(self, doc: Document) -> Iterator[Measured]:
        texts = self.found.setdefault(doc.id, [])
        if not texts or texts[-1][1] != doc.text:
            texts.append((self.after, doc.text))
        yield from ()


class TracePage(Stage):
    """Notes the source of a page. Measures nothing."""

    name = "trace_page"
    source = "our own"
    reads = ("page",)
    sources: ClassVar[dict[str, str]] = {}

    def apply(self, doc: Document) -> Iterator[Measured]:
        self.sources[doc.id] = page_of(doc).html
        yield from ()


class TraceEnd(Stage):
    """Replaces the text by everything that was noted, as JSON. Measures nothing."""

    name = "trace_end"
    source = "our own"

    def apply(self, doc: Document) -> Iterator[Measured]:
        texts = TraceText.found.pop(doc.id, [])
        source = TracePage.sources.pop(doc.id, "")
        extracted = texts[0][1] if texts else ""
        told = {
            "texts": [[stage, text[:MOST_CHARS], len(text)] for stage, text in texts],
            "source": source[:MOST_CHARS],
            "source_chars": len(source),
            "shown": harmless(source, extracted),
        }
        doc.text = storable(json.dumps(told, ensure_ascii=False))
        yield from ()


_STAGES: dict[str, type[Stage]] = {stage.name: stage for stage in (TraceText, TracePage, TraceEnd)}


def traced(recipe: dict[str, Any], modules: Sequence[Plugin], pages: bool) -> dict[str, Any]:
    """Return a recipe without limits and comparisons that traces a page. `pages` is False if the documents of a run are
    texts without pages."""
    known = registry(modules)
    changed = without_limits(recipe)
    single = [one for one in changed["stages"] if not issubclass(known.get(one["stage"], Stage), Collective)]
    stages: list[dict[str, Any]] = [{"stage": TracePage.name}] if pages else []
    has_text = not any("text" in known.get(one["stage"], Stage).sets for one in single)
    for number, one in enumerate(single):
        stages.append(one)
        has_text = has_text or "text" in known.get(one["stage"], Stage).sets
        if has_text:
            stages.append({"stage": TraceText.name, "name": f"trace_{number}", "after": one["name"]})
    return {**changed, "stages": [*stages, {"stage": TraceEnd.name}]}


def recipe_from_dict(data: dict[str, Any], modules: Sequence[Plugin] = ()) -> Recipe:
    """Return the recipe of a canonical form, as page workers receive it. The recipe may have the stages of a trace."""
    return Recipe.from_dict(data, registry(modules) | _STAGES)


def harmless(source: str, text: str) -> str:
    """Return a page without anything that could run, load, be sent or lead elsewhere. Blocks that are in the text are
    marked."""
    if not source.strip():
        return ""
    try:
        parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
        root = lxml.html.document_fromstring(source.encode("utf-8", "replace"), parser=parser)
    except (lxml.etree.LxmlError, ValueError, AssertionError):
        return ""
    for element in list(root.iter()):
        if not isinstance(element.tag, str) or element.tag.lower() in _REMOVED or ":" in element.tag:
            if element.getparent() is not None:
                element.drop_tree()  # the text after it stays
            continue
        element.tag = "div" if element.tag == "form" else element.tag
        for name in [name for name in element.attrib if name.lower() not in _KEPT_ATTRIBUTES]:
            del element.attrib[name]
        if "style" in element.attrib:
            element.attrib["style"] = _LOADS.sub("none(", element.attrib["style"])
        if element.tag == "style" and element.text:
            element.text = _LOADS.sub("none(", element.text)
    _mark(root, text)
    body = lxml.etree.tostring(root, method="html", encoding="unicode")
    return f'<!DOCTYPE html><meta charset="utf-8"><style>{_MARK}</style>{body}'


def _mark(root: Any, text: str) -> None:
    lines = {_plain(line) for line in text.splitlines()} - {""}
    whole = _plain(text)
    seen = 0
    for element in root.iter():
        if element.tag not in _BLOCKS or any(inner.tag in _BLOCKS for inner in element.iterdescendants()):
            continue
        seen += 1
        if seen > _MOST_BLOCKS:
            return
        own = _plain(element.text_content())
        if own in lines or (len(own) >= _LEAST_CHARS and own in whole):
            element.set("data-corpus", "kept")


def _plain(text: str) -> str:
    return " ".join(text.split())
