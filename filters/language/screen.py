"""The language screen: drops a page before its text is extracted where the language rule is all but certain to.

Extraction is most of the cost of a run, and half of a crawl is in languages that a recipe does not keep. This is an
approximation, with its threshold in the recipe and its error printed by `python -m benchmarks.screen`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from resiliparse.extract.html2text import extract_plain_text

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.stage import Limit, Measured, Stage
from filters.extract.page import page_of
from filters.language.identification import Language, Predictor, checked_model

if TYPE_CHECKING:
    from corpus.stage import BoundStage

_FIRST_LOOK_CHARS = 1_000
_CHARS = 4_000
_SURE = 0.3
"""A page whose first look is at least this likely in a wanted language passes at once."""

_FOREIGN = 0.005
"""One that is less likely than this after 1,000 characters is not looked at again."""

_DOUBT = (0.02, 0.1)
"""A page that seems as likely as this is read properly before anything is said of it: 67 of 3,010 pages."""

_MIN_RUN = 16
"""Shorter stretches of text are menus and buttons, often English on pages that are not."""

_MIN_CHARS = 100
"""With less visible text than this there is nothing to judge by."""

_RUN = re.compile(rf">([^<]{{{_MIN_RUN},}})")  # the first character is a plain one: three times as fast
_HIDDEN = re.compile(r"<(script|style|noscript|template)\b", re.IGNORECASE)
_CLOSING = {
    name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("script", "style", "noscript", "template")
}  # fmt: skip
_HTML = ("text/html", "application/xhtml+xml")


class LanguageScreen(Stage):
    """Likelihood of the wanted languages in the visible text of a page, before extraction.

    `wanted_score` is the probability, by lid.176, that the page is in one of `wanted`: of the first 1,000 characters
    between tags if that is at least 0.3 or below 0.005, else of the first 4,000, and if that leaves a doubt (0.02 to
    0.1), of the first 4,000 that resiliparse reads. Null, and so never outside, for what is no HTML page, and for less
    than 100 characters."""

    name = "screen"
    source = "our own; its error is measured by benchmarks/screen.py"
    gate = True

    wanted_score = Limit(min=0.05)

    def __init__(self, *, wanted: Sequence[str] = ("en",), model: str = "", sha256: str = "") -> None:
        self.wanted = wanted
        """The languages that the language stage keeps: no others."""
        self.model = model
        """Path of a fastText model; empty: lid.176.ftz."""
        self.sha256 = sha256
        """What the model's digest must be; empty: any (for `model`)."""

    def prepare(self) -> None:
        self.predictor_ = Predictor(self.model, self.sha256)

    def resources(self) -> dict[str, str]:
        path, digest = checked_model(self.model, self.sha256)
        return {path.name: digest}

    def agree(self, stages: Sequence[BoundStage]) -> None:
        own = next(bound for bound in stages if bound.stage is self)
        if not own.limits["wanted_score"].bounds:
            return
        off = f"switch the screen off: {own.name}.wanted_score=off."
        if not self.wanted:
            raise ConfigError(f"{own.name}.wanted is empty, so every page would go.", f"Name languages, or {off}")
        for bound in stages:
            kept = bound.limits["label"].one_of if isinstance(bound.stage, Language) else self.wanted
            if kept is None:
                raise ConfigError(f"{bound.name} keeps every language, {own.name} does not.", f"Then {off}")
            if set(kept) != set(self.wanted):
                raise ConfigError(
                    f"{own.name}.wanted = {list(self.wanted)} differs from what {bound.name} keeps.",
                    f"Set {own.name}.wanted to {list(kept)}, or {off}",
                )

    def apply(self, doc: Document) -> Iterator[Measured]:
        yield "wanted_score", self._score(doc)

    def _score(self, doc: Document) -> float | None:
        if doc.record is None or doc.record.kind == "conversion":
            return None
        page = page_of(doc)
        if page.message.status not in range(200, 300) or page.media_type not in _HTML or not page.body:
            return None
        text = visible_text(page.html, _FIRST_LOOK_CHARS)
        if len(text) >= _MIN_CHARS:
            score = self._wanted(text)
            if score >= _SURE or (score < _FOREIGN and len(text) >= _FIRST_LOOK_CHARS):
                return score
            if len(text) >= _FIRST_LOOK_CHARS:
                score = self._wanted(visible_text(page.html, _CHARS))
            if not _DOUBT[0] <= score < _DOUBT[1]:
                return score
        other = extract_plain_text(page.html, main_content=False, alt_texts=False, links=False)[:_CHARS]
        return self._wanted(other) if len(other.strip()) >= _MIN_CHARS else None

    def _wanted(self, text: str) -> float:
        return round(self.predictor_.of(text, tuple(self.wanted)), 6)


def visible_text(html: str, chars: int) -> str:
    """Up to `chars` characters of the text between tags, in stretches of 16 and more, scripts and styles left out."""
    parts: list[str] = []
    size = at = 0
    if html[:1] != "<":
        html = ">" + html
    while size < chars and at < len(html):
        hidden = _HIDDEN.search(html, at)
        end = hidden.start() if hidden else len(html)
        for run in _RUN.finditer(html, at, end):
            text = run.group(1).strip()
            if len(text) >= _MIN_RUN:
                parts.append(text[: chars - size])
                size += len(parts[-1]) + 1
                if size >= chars:
                    break
        if hidden is None:
            break
        closing = _CLOSING[hidden.group(1).lower()].search(html, hidden.end())
        at = closing.end() if closing else len(html)
    return "\n".join(parts)
