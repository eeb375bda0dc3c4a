"""Reader of the rows of a parquet file, one row group after the other."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.documents.columns import Columns
from corpus.documents.row import Row, make_row
from corpus.errors import InputError, IntegrityError
from corpus.storage.parquet_files import ParquetFile
from corpus.warc.plan import Range
from corpus.warc.record import Damage, Place
from corpus.warc.source import Source, Window

_BATCH_BYTES = 8 << 20
_MOST_ROWS = 4096
"""Rows that are decoded together: about 8 MiB, as the footer tells, but not more than this number."""


class GroupReader(Iterator[Row | Damage]):
    """An iterator over the rows and damage in the row groups that begin in a part of a file.

    The place of a row is the offset of its row group, and its number there. Before each `next`, (`offset`, `inner`) is
    the place of the next row, where a reader can `resume`. Memory does not grow with the size of row groups.
    """

    def __init__(self, source: Source, part: Range, columns: Columns, resume: Place | None = None) -> None:
        self.offset, self.inner = resume or (part.start, 0)
        self.end = part.end
        self._name, self._columns = source.name, columns
        self._items = self._read(source, part, self.offset, self.inner)

    def __next__(self) -> Row | Damage:
        return next(self._items)

    def _read(self, source: Source, part: Range, first: int, skip: int) -> Iterator[Row | Damage]:
        with open_parquet(source) as file:
            starts = group_starts(file, source.size)
            for index, (start, after) in enumerate(pairwise([*starts, source.size])):
                if not max(part.start, first) <= start < part.end:
                    continue
                count = file.rows[index]
                size = (after - start) // max(count, 1)
                number = 0
                try:
                    for values in self._values(file, index):
                        number += 1
                        if start == first and number <= skip:
                            continue
                        self.offset, self.inner = (start, number) if number < count else (after, 0)
                        yield make_row(self._name, (start, number - 1), size, values, self._columns)
                except IntegrityError:
                    self.offset, self.inner = after, 0
                    detail = f"rows from number {number} of a row group with {count}"
                    yield Damage(self._name, start, after - start, "parquet", detail, inner=number)
            self.offset, self.inner = part.end, 0

    def _values(self, file: ParquetFile, index: int) -> Iterator[dict[str, Any]]:
        group = file.metadata.row_group(index)
        rows = max(1, min(_MOST_ROWS, _BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)))
        for batch in file.batches(rows, self._columns.names, [index]):
            columns = [_plain(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                yield dict(zip(batch.schema.names, row, strict=True))


def open_parquet(source: Source) -> ParquetFile:
    """Open a file behind a source. Raises IntegrityError if its footer can't be read."""
    return ParquetFile(pa.PythonFile(_File(source), "r"), source.name)


def group_starts(file: ParquetFile, size: int) -> list[int]:
    """Return the offsets at which the first columns of the row groups begin. Raises IntegrityError if that can't be."""
    found = []
    for index in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(index)
        columns = [group.column(number) for number in range(group.num_columns)]
        places = [(one.dictionary_page_offset, one.data_page_offset) for one in columns]
        found.append(min((min(filter(None, pair), default=0) for pair in places), default=0))
    if any(after <= before for before, after in pairwise([0, *found, size])):
        raise IntegrityError("The row groups of a parquet file are not where its footer says.", "Restore it.")
    return found


def check_columns(file: ParquetFile, name: str, columns: Columns) -> None:
    """Raise InputError if the column of text or HTML is not in a file, or not of a type that can be text."""
    path, kind = columns.content, file.schema
    for part in path.split(".") if path not in file.schema.names else [path]:
        index = kind.get_field_index(part) if isinstance(kind, pa.Schema | pa.StructType) else -1
        if index < 0:
            raise InputError(f"{name} has no column '{path}'.", "Its columns must be those of the other inputs.")
        kind = kind.field(index).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not _is_text(kind) and not pa.types.is_null(kind):
        raise InputError(f"The column '{path}' of {name} is of type {kind}.", "Name a column of texts.")


def _is_text(kind: pa.DataType) -> bool:
    tests = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "fixed_size_binary")
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _plain(column: pa.Array) -> Sequence[Any]:
    """Return the values of a column: texts as bytes, since they may not be UTF-8, structs as dicts, numbers and times
    as texts."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_struct(column.type):
        names = [column.type.field(number).name for number in range(column.type.num_fields)]
        inner = [_plain(pc.struct_field(column, [number])) for number in range(len(names))]
        return [dict(zip(names, row, strict=True)) for row in zip(*inner, strict=True)]
    if _is_text(column.type):
        wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
        found: list[Any] = column.cast(pa.large_binary() if wide else pa.binary()).to_pylist()
        return found
    if pa.types.is_nested(column.type):
        return [None] * len(column)
    try:
        texts: list[Any] = column.cast(pa.string()).to_pylist()
    except pa.ArrowException:
        return [None] * len(column)
    return [text.replace(" ", "T") if text else text for text in texts] if pa.types.is_temporal(column.type) else texts


class _File(io.RawIOBase):
    """A source as a file that can be read from any position."""

    def __init__(self, source: Source) -> None:
        self._window = Window(source)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._window.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = self._window.size - self._at
        data = self._window.read(self._at, left if size < 0 else min(size, left)) if left > 0 else b""
        self._at += len(data)
        return data
