"""A row of a table of documents, as a record that stages judge like those of an archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpus.documents.columns import Columns
from corpus.warc.record import Damage, Place, Record

ROW = "row"
"""The type of a record that is a row."""


@dataclass(slots=True)
class Row(Record):
    """A row. `offset` and `inner` are its place in the file, `block` is its HTML, if it has a page.

    In JSON Lines, a row's place is the offset of its line in the (decompressed) file. In parquet it is the offset of
    its row group, and its number there.
    """

    text: str | None = None
    language: str | None = None

    @property
    def judged(self) -> bool:
        return True

    @property
    def is_text(self) -> bool:
        return self.text is not None


def make_row(name: str, place: Place, size: int, values: Mapping[str, Any], columns: Columns) -> Row | Damage:
    """Return the row that holds these values, or a damage if it has neither text nor HTML.

    `values` maps the names of columns to what is there: texts, or UTF-8 in bytes. `size` is the length of the row in
    the file.
    """
    headers = {
        header: found
        for header, column in (
            ("warc-target-uri", columns.url),
            ("warc-date", columns.date),
            ("warc-record-id", columns.id),
        )
        if (found := _name(column_of(values, column)))
    }
    content = column_of(values, columns.content)
    if content is None:
        return Damage(name, place[0], size, "empty", f"no {columns.content}", headers, place[1])
    if not isinstance(content, str | bytes):
        detail = f"{columns.content} is of type {type(content).__name__}"
        return Damage(name, place[0], size, "type", detail, headers, place[1])
    if columns.html:
        return _page(name, place, content, headers)
    if isinstance(content, bytes):
        try:
            content = content.decode()
        except UnicodeDecodeError as error:
            detail = f"{columns.content} is not UTF-8 at byte {error.start}"
            return Damage(name, place[0], size, "utf-8", detail, headers, place[1])
    language = _name(column_of(values, columns.language)) or None
    return Row(name, place[0], ROW, headers, b"", size, place[1], "", content, language)


def page_of_html(html: str | bytes, url: str = "", name: str = "") -> Row:
    """Return a page of HTML as a record. A text is taken to be UTF-8; bytes are read as browsers do."""
    headers = {"warc-target-uri": url} if url else {}
    return _page(name, (0, 0), html, headers)


def _page(name: str, place: Place, html: str | bytes, headers: dict[str, str]) -> Row:
    kind = "text/html; charset=utf-8" if isinstance(html, str) else "text/html"
    block = html.encode("utf-8", "replace") if isinstance(html, str) else html
    return Row(name, place[0], ROW, headers | {"content-type": kind}, block, len(block), place[1])


def column_of(values: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column, or of a field inside one, as `metadata.url`. None if it is not there."""
    if not column:
        return None
    if column in values:
        return values[column]
    first, _, rest = column.partition(".")
    inner = values.get(first)
    return column_of(inner, rest) if rest and isinstance(inner, Mapping) else None


def _name(value: Any) -> str:
    """Return a value as a name: of a document, of its place, of its language."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
