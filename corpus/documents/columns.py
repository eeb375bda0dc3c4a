"""The columns that hold the parts of a document: its text or HTML, its id, URL, date and language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from corpus.errors import ConfigError, did_you_mean

USUAL = {
    "text": ("text", "content", "raw_content", "document", "body"),
    "html": ("html", "raw_html", "html_content"),
    "id": ("id", "doc_id", "document_id", "uuid"),
    "url": ("url", "metadata.url", "meta.url", "source_url", "uri"),
    "date": ("date", "timestamp", "created", "metadata.date", "meta.date", "date_download"),
    "language": ("language", "lang", "metadata.language", "meta.language"),
}
"""The names that FineWeb, Dolma, C4, RedPajama and others use for each part of a document, the likeliest first."""


@dataclass(frozen=True)
class Columns:
    """The name of the column for each part of a document. An empty name means that the documents lack this part. A dot
    separates a column from a field inside it: `metadata.url`. Exactly one of `text` and `html` is set."""

    text: str = ""
    html: str = ""
    id: str = ""
    url: str = ""
    date: str = ""
    language: str = ""
    keep: tuple[str, ...] = ()
    """Other columns to copy to the corpus."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Columns:
        """Make Columns from the result of `as_dict`."""
        return cls(**{**data, "keep": tuple(data.get("keep", ()))})

    @property
    def content(self) -> str:
        return self.text or self.html

    @property
    def gives(self) -> set[str]:
        """The parts that each document has before any stage."""
        parts = {"text" if self.text else "page"}
        return parts | ({"url"} if self.url else set()) | ({"language"} if self.language and self.text else set())

    @property
    def names(self) -> list[str]:
        """The names of all columns to read, without duplicates."""
        return list(dict.fromkeys([*self._by_part.values(), *self.keep]))

    @property
    def _by_part(self) -> dict[str, str]:
        return {part: name for part in PARTS if (name := getattr(self, part))}

    def as_dict(self) -> dict[str, Any]:
        """Return the names as JSON data, without empty names."""
        return {**self._by_part, **({"keep": list(self.keep)} if self.keep else {})}

    def __str__(self) -> str:
        parts = [part if part == name else f"{part} from {name}" for part, name in self._by_part.items()]
        return ", ".join([*parts, *(f"{name} kept" for name in self.keep)])


PARTS = [field.name for field in fields(Columns) if field.name != "keep"]


def choose_columns(there: Sequence[str], asked: Mapping[str, str], file: str, keep: Sequence[str] = ()) -> Columns:
    """Return the columns that the user named, and columns with usual names for the other parts.

    `there` lists the names in the file, including fields inside columns, such as `metadata.url`. If the user names
    neither text nor HTML, text is preferred. Raises ConfigError if a named column is missing, or if no column has text
    or HTML.
    """
    for name in keep:
        choose_names(there, {"keep-columns": name}, {}, file)
    found = choose_names(there, asked, USUAL, file)
    if asked.get("text") and asked.get("html"):
        raise ConfigError("Both --text and --html were given.", "Give one: a build reads either text or HTML.")
    if "html" in asked or (found["html"] and not found["text"]):
        found["text"] = ""
    else:
        found["html"] = ""
    columns = Columns(**found, keep=tuple(dict.fromkeys(keep)))
    if not columns.content:
        names = ", ".join(there[:20]) or "none"
        what = f"{file} has no column with a known name for text. It has the columns {names}."
        raise ConfigError(what, "Rename the column of texts to `text`, or give its name with --text.")
    return columns


def choose_names(
    there: Sequence[str], asked: Mapping[str, str], usual: Mapping[str, Sequence[str]], file: str
) -> dict[str, str]:
    """Return the column for each part: the one that the user named, or one with a usual name, or "".

    Raises ConfigError if a named column is missing.
    """
    for part, name in asked.items():
        if name not in there:
            raise ConfigError(f"{file} has no column '{name}' for --{part}.", did_you_mean(name, there))
    return {part: next((name for name in names if name in there), "") for part, names in usual.items()} | dict(asked)
