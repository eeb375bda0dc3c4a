"""The language screen: drop a page before extraction if the language stage would almost certainly drop it.

Extraction is most of the cost of a run, and half of a crawl is in languages that a recipe does not keep. The screen is
an approximation. The threshold of the screen is in the recipe, and `python -m benchmarks.screen` prints its error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from resiliparse.extract.html2text import extract_plain_text

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.stage import Limit, Measured
from corpus.warc.record import HTML
from filters.extract.page import Page, page_of
from filters.language.identification import FastTextStage, Language
from native import kernels

if TYPE_CHECKING:
    from corpus.stage import BoundStage

_FIRST_LOOK_CHARS = 1_000
_CHARS = 4_000
_SURE = 0.3
"""If a wanted language is at least this likely at the first look, the page passes at once."""

_FOREIGN = 0.005
"""If 1,000 characters make the wanted languages less likely than this, the page is not looked at again."""

_DOUBT = (0.02, 0.1)
"""Between these two values, resiliparse extracts the text before the decision.

67 of 3,010 pages are between these values.
"""

_LOOKS = 6
"""Before a page is dropped, this many places in it are looked at.

The first thousands of characters may be a consent text in another language than the article. On 5,083 pages this costs
.2 ms per page. The screen then catches 91.0 instead of 92.8% of the pages that the language rule drops.
"""

_MIN_RUN = 16
"""Shorter pieces of text are menus and buttons, which are often English on pages in other languages."""

_MIN_CHARS = 100
"""A page with less visible text than this is not judged."""


class LanguageScreen(FastTextStage):
    """The probability that the visible text of a page is in a wanted language, before extraction.

    `wanted_score` is the probability, by lid.176, that the page is in one of the `wanted` languages. The model reads
    the first 1,000 characters between tags. If the result is at least 0.3 or below 0.005, it counts. Otherwise the
    model reads the first 4,000 characters. If this result is doubtful (0.02 to 0.1), the model reads the first 4,000
    characters that resiliparse extracts. Before a page is dropped, the model reads 1,000 characters at each of six
    places of the page. A result of at least 0.3 there counts instead, so a foreign consent text before an English
    article does not decide. The score is null, so the page passes, if the page is not HTML or has fewer than 100
    characters. `label` tells which languages the dropped pages have: it is the most likely language of the text that
    was read last from the beginning of the page.
    """

    name = "screen"
    source = "our own; its error is measured by benchmarks/screen.py"
    reads = ("page",)
    gate = True

    label = Limit(of=str)
    """The most likely language of the page, as an ISO 639 code. Null if `wanted_score` is null or at least 0.1."""
    wanted_score = Limit(min=0.05, share=True)
    """The probability of the wanted languages. Null if the page can't be judged."""

    def __init__(self, *, wanted: Sequence[str] = ("en",), model: str = "", sha256: str = "") -> None:
        super().__init__(model=model, sha256=sha256)
        self.wanted = wanted
        """The languages to keep. They must be the languages that the language stage keeps."""

    def agree(self, stages: Sequence[BoundStage]) -> None:
        own = next(bound for bound in stages if bound.stage is self)
        if not own.limits["wanted_score"].bounds:
            return
        name, off = own.name, f"switch the screen off: {own.name}.wanted_score=off."
        if any("text" in bound.stage.sets for bound in stages[: stages.index(own)]):
            todo = f"Put {name} before the extraction, or {off}"
            raise ConfigError(f"{name} saves extraction, but comes after it.", todo)
        if not self.wanted:
            raise ConfigError(f"{name}.wanted is empty, so every page would be dropped.", f"Name languages, or {off}")
        for bound in stages:
            kept = bound.limits["label"].one_of if isinstance(bound.stage, Language) else self.wanted
            if kept is None:
                raise ConfigError(f"{bound.name} keeps every language, but {name} does not.", f"To keep all, {off}")
            if set(kept) != set(self.wanted):
                what = f"{name}.wanted = {list(self.wanted)} differs from the languages that {bound.name} keeps."
                raise ConfigError(what, f"Set {name}.wanted to {list(kept)}, or {off}")

    def apply(self, doc: Document) -> Iterator[Measured]:
        score, label = self._judge(doc)
        yield "label", label
        yield "wanted_score", score

    def _judge(self, doc: Document) -> tuple[float | None, str | None]:
        """Return the score and, if the score is low, the language."""
        if doc.record is None or doc.record.is_text:
            return None, None
        page = page_of(doc)
        if page.message.status not in (None, *range(200, 300)) or page.media_type not in HTML or not page.body:
            return None, None
        html = page.utf8
        score, beginning = self._first_score(page, html)
        if score is None or score >= _DOUBT[1]:
            return score, None
        text = kernels.visible_text(html, len(html), _MIN_RUN)
        last = len(text) - _FIRST_LOOK_CHARS
        starts = [last * look // (_LOOKS - 1) for look in range(1, _LOOKS)] if last > 0 else []
        found = (self._wanted(text[start : start + _FIRST_LOOK_CHARS]) for start in starts)
        sure = next((sure for sure in found if sure >= _SURE), None)
        if sure is not None:
            return sure, None
        label, _ = self.predictor_.best(beginning)
        return score, label or None

    def _first_score(self, page: Page, html: bytes) -> tuple[float | None, str]:
        """Return the probability for the beginning of the page, and the text from which it was computed."""
        text = kernels.visible_text(html, _FIRST_LOOK_CHARS, _MIN_RUN)
        if len(text) >= _MIN_CHARS:
            score = self._wanted(text)
            if score >= _SURE or (score < _FOREIGN and len(text) >= _FIRST_LOOK_CHARS):
                return score, text
            if len(text) >= _FIRST_LOOK_CHARS:
                text = kernels.visible_text(html, _CHARS, _MIN_RUN)
                score = self._wanted(text)
            if not _DOUBT[0] <= score < _DOUBT[1]:
                return score, text
        other = extract_plain_text(page.html, main_content=False, alt_texts=False, links=False)[:_CHARS]
        return (self._wanted(other) if len(other.strip()) >= _MIN_CHARS else None), other

    def _wanted(self, text: str) -> float:
        return round(self.predictor_.of(text, tuple(self.wanted)), 6)
