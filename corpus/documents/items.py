"""The items that a recipe can judge in memory: texts, dicts, documents, and the records of an archive."""

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

    A document without an id gets its number as its id. The first dict decides which names are read from all dicts. An
    item without text or HTML, or of another type, becomes a damage. `check` is called once, with the parts that the
    first document has.
    """
    if isinstance(items, str | bytes | Mapping):
        raise ConfigError("A document is not a list of documents.", "Put the document into a list: run([document]).")
    if hasattr(items, "columns"):
        what = f"A {type(items).__name__} is not a list of documents."
        raise ConfigError(what, "Use batch(table), or run(table['text']) with the column of texts.")
    items = items.to_pylist() if hasattr(items, "to_pylist") else items  # pyarrow's own iteration gives no str
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
