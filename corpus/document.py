"""The document: one page on its way through the stages, with the views of its text that stages share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from corpus.text.vocabulary import Words
from corpus.text.words import PAGE, TextStretches, stretches_of

if TYPE_CHECKING:
    from corpus.warc.record import Record

_PARAGRAPH_BREAK = re.compile(r"\n{2,}")
_LINE_BREAK = re.compile(r"\n+")


class Document:
    """One page: its identity, URL, date, text and language, and views of the text (words, lines, paragraphs).

    Each view is computed once, at first use. Setting `text` discards the views. `record` is the WARC record of the
    page, or None for a bare text. `page` holds the parts of the raw page that stages share (`filters.extract.page`). It
    is None once the text is extracted. `language` is an ISO 639 code as fastText prints it, or None before the language
    stage. `license` is the licence that the page declares, or None. `title` and `published` (YYYY-MM-DD) are what the
    page says of itself, if the stage that extracts its text was asked for them.
    """

    __slots__ = (
        "_lines",
        "_paragraphs",
        "_stretches",
        "_text",
        "date",
        "id",
        "language",
        "language_score",
        "license",
        "page",
        "published",
        "record",
        "title",
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
        self.license: str | None = None
        self.title: str | None = None
        self.published: str | None = None
        self.page: Any = None
        self.text = text

    @classmethod
    def of(cls, record: Record) -> Document:
        """Return the document of a judged record. The text is empty until a stage extracts it, except that of a row."""
        return cls(
            id=record.id,
            url=record.url,
            date=record.date,
            text=record.text or "",
            record=record,
            language=record.language,
        )

    @property
    def text(self) -> str:
        return self._text

    @text.setter
    def text(self, text: str) -> None:
        self._text = text
        self._stretches: dict[str, TextStretches] = {}
        self._lines: list[str] | None = None
        self._paragraphs: list[str] | None = None

    def shorten(self, text: str, stretches: TextStretches) -> None:
        """Replace the text by a part of itself whose stretches are already known."""
        self.text = text
        self._stretches[stretches.table.language] = stretches

    def stretches(self, language: str = "en") -> TextStretches:
        """The runs of characters without whitespace, as numbers. A table has the words of each run."""
        language = self.rules(language)
        if language not in self._stretches:
            self._stretches[language] = stretches_of(self._text, language)
        return self._stretches[language]

    def rules(self, language: str) -> str:
        """Return the language whose rules split words: that of the page for `PAGE`, otherwise the given one."""
        return (self.language or "xx") if language == PAGE else language

    def words(self, language: str = "en") -> Words:
        """The tokens of the text by spaCy's blank tokenizer, with punctuation and without whitespace.

        `strings` has the tokens. The other fields are arrays with one value per token.
        """
        return self.stretches(language).words

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


def storable(text: str) -> str:
    """Return text that UTF-8 can encode. Headers from broken crawlers may contain lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
