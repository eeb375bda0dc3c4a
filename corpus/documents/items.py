"""What a recipe judges in memory: texts, dicts, documents, and the records of an archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from corpus.document import Document
from corpus.documents.columns import Columns, choose_columns
from corpus.documents.row import Row, make_row
from corpus.errors import ConfigError
from corpus.warc.record import Damage, Record

Item = str | Mapping[str, Any] | Document | Record | Damage


def documents_of(items: Iterable[Item]) -> Iterator[Document | Record | Damage]:
    """Yield texts and dicts as documents, and the other items as they are.

    The id of a document is its own, or else its number. The first dict has the names that all of them have; a dict
    without text or HTML is a damage. Raises ConfigError for an item of another type.
    """
    if isinstance(items, str | bytes | Mapping):
        raise ConfigError("One document is no list of documents.", "Put it into a list: run([document]).")
    columns: Columns | None = None
    for number, item in enumerate(items):
        if isinstance(item, Document | Record | Damage):
            yield item
        elif isinstance(item, str):
            yield Document(id=str(number), text=item)
        elif isinstance(item, Mapping):
            if columns is None:
                columns = choose_columns([str(name) for name in _names(item)], {}, f"Document {number}")
            row = make_row("", (number, 0), 0, item, columns)
            if isinstance(row, Row):
                doc = Document.of(row)
                doc.id = row.record_id or str(number)
                yield doc
            else:
                yield row
        else:
            kind = type(item).__name__  # type: ignore[unreachable]  # what the types forbid happens
            raise ConfigError(f"Document {number} is of type {kind}.", "Give texts, dicts, documents or records.")


def _names(item: Mapping[str, Any]) -> Iterator[str]:
    for name, value in item.items():
        yield name
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in value)
