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
"""The names that a part of a document usually has, the likeliest first: those of FineWeb, Dolma, C4, RedPajama."""


@dataclass(frozen=True)
class Columns:
    """The names of the columns. An empty one says that the documents have no such part. A dot leads to a field of a
    column: `metadata.url`. Exactly one of `text` and `html` is given."""

    text: str = ""
    html: str = ""
    id: str = ""
    url: str = ""
    date: str = ""
    language: str = ""
    keep: tuple[str, ...] = ()
    """The columns that travel along to the corpus."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Columns:
        """Return the columns of an `as_dict`."""
        return cls(**{**data, "keep": tuple(data.get("keep", ()))})

    @property
    def content(self) -> str:
        return self.text or self.html

    @property
    def gives(self) -> set[str]:
        """What each document has before any stage."""
        parts = {"text" if self.text else "page"}
        return parts | ({"url"} if self.url else set()) | ({"language"} if self.language and self.text else set())

    @property
    def names(self) -> list[str]:
        """The columns that are read, each once."""
        return list(dict.fromkeys([*self._by_part.values(), *self.keep]))

    @property
    def _by_part(self) -> dict[str, str]:
        return {part: name for part in PARTS if (name := getattr(self, part))}

    def as_dict(self) -> dict[str, Any]:
        """Return the columns as JSON data, without those that are not there."""
        return {**self._by_part, **({"keep": list(self.keep)} if self.keep else {})}

    def __str__(self) -> str:
        parts = [part if part == name else f"{part} from {name}" for part, name in self._by_part.items()]
        return ", ".join([*parts, *(f"{name} kept" for name in self.keep)])


PARTS = [field.name for field in fields(Columns) if field.name != "keep"]


def choose_columns(there: Sequence[str], asked: Mapping[str, str], file: str, keep: Sequence[str] = ()) -> Columns:
    """Return the columns that the user asked for, and the usual ones for the other parts.

    `there` are the names in the file, with those of fields inside columns, such as `metadata.url`. If the user names
    neither text nor HTML, a text is preferred. Raises ConfigError if a column is not there, or none has the content.
    """
    for part, name in (*asked.items(), *(("keep-columns", name) for name in keep)):
        if name not in there:
            raise ConfigError(f"{file} has no column '{name}' for --{part}.", did_you_mean(name, there))
    if asked.get("text") and asked.get("html"):
        raise ConfigError("A document is read from its text or from its HTML.", "Give one of --text and --html.")
    found = {part: next((name for name in USUAL[part] if name in there), "") for part in PARTS if part not in asked}
    found |= asked
    if "html" in asked or (found["html"] and not found["text"]):
        found["text"] = ""
    else:
        found["html"] = ""
    columns = Columns(**found, keep=tuple(dict.fromkeys(keep)))
    if not columns.content:
        names = ", ".join(there[:20]) or "none"
        what = f"{file} has no column of a known name for text. Its columns: {names}."
        raise ConfigError(what, "Call the column of texts `text`, or name it with --text.")
    return columns
