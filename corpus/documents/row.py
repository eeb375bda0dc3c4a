"""A row of a table of documents, as a record that stages judge like those of an archive."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpus.documents.columns import Columns
from corpus.warc.head import HEAD_BYTES
from corpus.warc.record import Damage, Place, Record

ROW = "row"
"""The type of a record that is a row."""

MAX_TEXT = 64 << 20
"""The longest text, page or line that is read, in bytes. A longer one is a damage."""


@dataclass(slots=True)
class Row(Record):
    """A row. `offset` and `inner` are its place in the file, `block` is its HTML, if it has a page.

    In JSON Lines, a row's place is the offset of its line in the (decompressed) file. In parquet it is the offset of
    its row group, and its number there.
    """

    text: str | None = None
    language: str | None = None
    metadata: str | None = None

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
    if len(content) > MAX_TEXT:
        detail = f"{columns.content} has more than {MAX_TEXT >> 20} MiB"
        return Damage(name, place[0], size, "length", detail, headers, place[1])
    metadata = _kept(values, columns) if columns.keep else None
    if columns.html:
        return _page(name, place, content, headers, metadata)
    if isinstance(content, bytes):
        try:
            content = content.decode()
        except UnicodeDecodeError as error:
            detail = f"{columns.content} is not UTF-8 at byte {error.start}"
            return Damage(name, place[0], size, "utf-8", detail, headers, place[1])
    language = _name(column_of(values, columns.language)) or None
    return Row(name, place[0], ROW, headers, b"", size, place[1], "", content, language, metadata)


def page_of_html(html: str | bytes, url: str = "", name: str = "") -> Row:
    """Return a page of HTML as a record. A text is taken to be UTF-8; bytes are read as browsers do."""
    headers = {"warc-target-uri": url} if url else {}
    return _page(name, (0, 0), html, headers)


def _page(name: str, place: Place, html: str | bytes, headers: dict[str, str], metadata: str | None = None) -> Row:
    kind = "text/html; charset=utf-8" if isinstance(html, str) else "text/html"
    block = html.encode("utf-8", "replace") if isinstance(html, str) else html
    headers |= {"content-type": kind}
    return Row(name, place[0], ROW, headers, block, len(block), place[1], metadata=metadata)


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
    """Return a value as a name: of a document, of its place, of its language. One as long as no header may be is none,
    since stages search it for much."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")  # JSON may have lone surrogates
    name = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
    if isinstance(value, int | float):
        name = str(value)
    if isinstance(value, datetime.date):
        name = value.isoformat()
    return name if len(name) <= HEAD_BYTES else ""


def _kept(values: Mapping[str, Any], columns: Columns) -> str | None:
    """Return the columns that travel along, as a JSON object. None if they are nested too deeply to be written."""
    try:
        kept = {name: _json_value(column_of(values, name)) for name in columns.keep}
        return json.dumps(kept, ensure_ascii=False).encode("utf-8", "replace").decode()
    except RecursionError:
        return None


def _json_value(value: Any) -> Any:
    """Return a value as JSON can have it: bytes as text, and NaN as null."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _json_value(inner) for name, inner in value.items()}
    return [_json_value(inner) for inner in value] if isinstance(value, list) else value
