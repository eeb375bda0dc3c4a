"""What a recipe judges in memory: texts, dicts, documents, and the records of an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from corpus.document import Document
from corpus.documents.columns import Columns, choose_columns
from corpus.documents.row import Row, make_row
from corpus.errors import ConfigError
from corpus.warc.record import Damage, Record

Item = str | bytes | Mapping[str, Any] | Document | Record | Damage

_TEXT = Columns(text="text")


def documents_of(
    items: Iterable[Item], check: Callable[[set[str]], None] = lambda gives: None
) -> Iterator[Document | Record | Damage]:
    """Yield texts and dicts as documents, and the other items as they are.

    The id of a document is its own, or else its number. The first dict has the names that all of them have. An item
    without text or HTML, or of another type, is a damage. `check` is called once with what the texts or dicts give.
    """
    if isinstance(items, str | bytes | Mapping):
        raise ConfigError("One document is no list of documents.", "Put it into a list: run([document]).")
    if hasattr(items, "columns") or hasattr(items, "iloc"):
        what = f"A {type(items).__name__} is no list of documents."
        raise ConfigError(what, "Use batch(table), or run(table.to_dict('records')).")
    columns: Columns | None = None
    checked = False
    for number, item in enumerate(items):
        if isinstance(item, Record | Damage):
            yield item
            continue
        if isinstance(item, Document):
            item.id = item.id or str(number)
            gives = {"text" if item.record is None else "page", *(["url"] if item.url else [])}
            found: Document | Damage = item
        else:
            named: Columns = _TEXT
            if isinstance(item, Mapping):
                columns = named = columns or choose_columns([str(name) for name in _names(item)], {}, f"Item {number}")
            gives = named.gives
            found = _document(number, item if isinstance(item, Mapping) else {"text": item}, named)
        if not checked:
            check(gives | ({"language"} if isinstance(item, Document) and item.language else set()))
            checked = True
        yield found


def _document(number: int, values: Mapping[str, Any], columns: Columns) -> Document | Damage:
    row = make_row("", (number, 0), 0, values, columns)
    if not isinstance(row, Row):
        return row
    doc = Document.of(row)
    doc.id = row.record_id or str(number)
    return doc


def _names(item: Mapping[str, Any]) -> Iterator[str]:
    for name, value in item.items():
        yield name
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in value)
