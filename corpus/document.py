"""The document: one page on its way through the stages, with the views of its text that stages share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from corpus.text.vocabulary import Words
from corpus.text.words import Stretched, stretched

if TYPE_CHECKING:
    from corpus.warc.record import Record

_PARAGRAPH_BREAK = re.compile(r"\n{2,}")
_LINE_BREAK = re.compile(r"\n+")


class Document:
    """Identity, url, date, text and language of one page, and its words, lines and paragraphs, computed once.

    `record` is the WARC record that the text comes from (None for a bare text). Setting `text` forgets
    the views. `page` is what stages share of the raw page (`filters.extract.page`), None once there is a text.
    `language` is an ISO 639 code as fastText prints it, None until the language stage ran.
    """

    __slots__ = (
        "_lines",
        "_paragraphs",
        "_stretched",
        "_text",
        "_words",
        "date",
        "id",
        "language",
        "language_score",
        "page",
        "record",
        "url",
    )  # fmt: skip

    def __init__(
        self,
        *,
        id: str = "",
        url: str = "",
        date: str = "",
        text: str = "",
        record: Record | None = None,
        language: str | None = None,
    ) -> None:
        self.id = id
        self.url = url
        self.date = date
        self.record = record
        self.language = language
        self.language_score: float | None = None
        self.page: Any = None
        self.text = text

    @classmethod
    def of(cls, record: Record) -> Document:
        """The document of a response or conversion record; its text is empty until a stage extracts it."""
        return cls(id=record.id, url=record.url, date=record.date, record=record)

    @property
    def text(self) -> str:
        return self._text

    @text.setter
    def text(self, text: str) -> None:
        self._text = text
        self._stretched: dict[str, Stretched] = {}
        self._words: dict[str, Words] = {}
        self._lines: list[str] | None = None
        self._paragraphs: list[str] | None = None

    def shorten(self, text: str, stretches: Stretched) -> None:
        """Set the text, whose stretches are known."""
        self.text = text
        self._stretched[stretches.table.language] = stretches

    def stretches(self, language: str = "en") -> Stretched:
        """What stands between whitespace, as numbers of a table that knows the words of each."""
        if language not in self._stretched:
            self._stretched[language] = stretched(self._text, language)
        return self._stretched[language]

    def words(self, language: str = "en") -> Words:
        """spaCy's blank-tokenizer tokens, stripped, without empty ones: their lengths and kinds as arrays, the tokens
        themselves in `strings`."""
        if language not in self._words:
            self._words[language] = self.stretches(language).words
        return self._words[language]

    @property
    def lines(self) -> list[str]:
        """The text split at runs of newlines."""
        if self._lines is None:
            text = self._text
            self._lines = _LINE_BREAK.split(text) if "\n\n" in text else text.split("\n")
        return self._lines

    @property
    def paragraphs(self) -> list[str]:
        """The stripped text split at blank lines."""
        if self._paragraphs is None:
            text = self._text.strip()
            self._paragraphs = _PARAGRAPH_BREAK.split(text) if "\n\n" in text else [text]
        return self._paragraphs
