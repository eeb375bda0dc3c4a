"""The last stage of the runs that read training pages: it turns a page into the tokens that a classifier sees.

So HTML is read in page workers, like in every run, and only tokens and an excerpt leave them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from corpus.document import Document, storable
from corpus.plugins import Plugin
from corpus.recipes import Recipe
from corpus.stage import Measured, Stage
from filters import registry
from filters.classifier.tokens import CHARS, View, line_of

FACTORY = "jobs.classifier.token_line:recipe_from_dict"
EXCERPT_CHARS = 1_000
"""Twice as many as are shown, because personal data at the end of an excerpt must be seen whole to be replaced."""


class TokenLine(Stage):
    """The tokens of a page, and on the lines after them the beginning of its text. Measures nothing."""

    name = "token_line"
    source = "our own"
    reads = ("text",)

    def __init__(self, *, parts: Sequence[str] = ("words",), chars: int = CHARS) -> None:
        self.parts = parts
        self.chars = chars

    def apply(self, doc: Document) -> Iterator[Measured]:
        line = line_of(doc, View(tuple(self.parts), self.chars)) if doc.text.strip() else ""
        doc.text = storable(f"{line}\n{doc.text[:EXCERPT_CHARS]}")
        yield from ()


def table(view: View) -> dict[str, Any]:
    """Return the stage as a recipe writes it."""
    return {"stage": TokenLine.name, "parts": list(view.parts), "chars": view.chars}


def recipe_from_dict(data: dict[str, Any], modules: Sequence[Plugin] = ()) -> Recipe:
    """Return the recipe of a canonical form, as page workers receive it. The recipe may have the stage token_line."""
    return Recipe.from_dict(data, {**registry(modules), TokenLine.name: TokenLine})
