"""The reader of the rows of a parquet file, one row group after another."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.documents.columns import Columns
from corpus.documents.row import Row, make_row
from corpus.errors import ConfigError, InputUnreachable, IntegrityError
from corpus.storage.parquet_files import ParquetFile
from corpus.warc.plan import Range
from corpus.warc.record import Damage, Place
from corpus.warc.source import BLOCK_BYTES, Source, Window

_BATCH_BYTES = 4 << 20
_MOST_ROWS = 512
"""The most rows that are decoded at once. Fewer are decoded if the footer says that they exceed 4 MiB. The footer shows
only the average, and some rows may be far longer."""


class GroupReader(Iterator[Row | Damage]):
    """An iterator over the rows and damage in the row groups that begin in a part of a file.

    The place of a row is the offset of its row group and the number of the row in the group. Before each `next`,
    (`offset`, `inner`) is the place of the next row. A reader can `resume` at this place. Memory does not grow with the
    size of row groups.
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
                number = skip if start == first else 0
                try:
                    for values in self._values(file, index, number):
                        self.offset, self.inner = (start, number + 1) if number + 1 < count else (after, 0)
                        yield make_row(self._name, (start, number), size, values, self._columns)
                        number += 1
                    complete = number >= count
                except IntegrityError:
                    complete = False
                if not complete:
                    self.offset, self.inner = after, 0
                    detail = f"rows from number {number} of a row group with {count}"
                    yield Damage(self._name, start, after - start, "parquet", detail, inner=number)
            self.offset, self.inner = part.end, 0

    def _values(self, file: ParquetFile, index: int, skip: int) -> Iterator[dict[str, Any]]:
        """Yield the rows of a row group, without the first `skip` rows."""
        group = file.metadata.row_group(index)
        rows = max(1, min(_MOST_ROWS, _BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)))
        there = {*file.names, *file.schema.names}
        for batch in file.batches(rows, [name for name in self._columns.names if name in there], [index]):
            passed = min(skip, batch.num_rows)
            skip -= passed
            columns = [_plain(column) for column in batch.slice(passed).columns]
            for row in zip(*columns, strict=True):
                yield dict(zip(batch.schema.names, row, strict=True))


def open_parquet(source: Source, exact: bool = False) -> ParquetFile:
    """Open the parquet file that a source reads. If `exact`, only the bytes of the columns that are asked for are read,
    each column of a row group at once. Raises IntegrityError if its footer can't be read."""
    block = 1 if exact else BLOCK_BYTES
    return ParquetFile(pa.PythonFile(_File(source, block), "r"), source.name, pieces=not exact)


def group_starts(file: ParquetFile, size: int) -> list[int]:
    """Return the offset at which each row group begins. Raises IntegrityError if these offsets are impossible."""
    found: list[int] = []
    for index in range(file.metadata.num_row_groups if file.metadata.num_rows else 0):
        group = file.metadata.row_group(index)
        columns = [group.column(number) for number in range(group.num_columns)]
        places = [(one.dictionary_page_offset, one.data_page_offset) for one in columns]
        found.append(min((min(filter(None, pair), default=0) for pair in places), default=0))
    if (
        any(after <= before for before, after in pairwise([0, *found, size]))
        or sum(file.rows) != file.metadata.num_rows
    ):
        raise IntegrityError("The row groups of a parquet file are not where its footer says.", "Restore it.")
    return found


def check_columns(file: ParquetFile, name: str, columns: Columns) -> None:
    """Raise ConfigError if a file lacks the column of text or HTML, or if the column's type can't hold text."""
    path, kind = columns.content, file.schema
    for part in path.split(".") if path not in file.schema.names else [path]:
        found = kind.get_all_field_indices(part) if isinstance(kind, pa.Schema | pa.StructType) else []
        if not found:
            todo = "Build this file in a separate run, or name a column that all files have."
            raise ConfigError(f"{name} has no column '{path}', but other files have it.", todo)
        if len(found) > 1:
            raise ConfigError(f"{name} has {len(found)} columns named '{path}'.", "Rename all but one.")
        kind = kind.field(found[0]).type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not _is_text(kind) and not pa.types.is_null(kind):
        raise ConfigError(f"The column '{path}' of {name} is of type {kind}.", "Name a column of texts.")


def _is_text(kind: pa.DataType) -> bool:
    tests = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "fixed_size_binary")
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _plain(column: pa.Array) -> Sequence[Any]:
    """Return the values of a column. Texts become bytes, because they may not be UTF-8. Structs become dicts. Types
    that JSON lacks, such as times, become text."""
    kind = column.type
    if isinstance(kind, pa.UuidType):
        return [value and str(value) for value in column.to_pylist()]
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(column.storage)
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if pa.types.is_struct(kind):
        names = [kind.field(number).name for number in range(kind.num_fields)]
        inner = [_plain(pc.struct_field(column, [number])) for number in range(len(names))]
        rows = zip(column.is_valid().to_pylist(), *inner, strict=True)
        return [dict(zip(names, row, strict=True)) if valid else None for valid, *row in rows]
    if pa.types.is_map(kind):
        column = column.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    if pa.types.is_nested(column.type):
        values = iter(_plain(column.flatten()))
        lengths = pc.list_value_length(column).to_pylist()
        return [None if length is None else list(islice(values, length)) for length in lengths]
    if _is_text(kind):
        wide = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
        return _listed(column.cast(pa.large_binary() if wide else pa.binary()))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return _listed(column)
    try:
        texts = _listed(column.cast(pa.string()))
    except pa.ArrowException:
        return [None] * len(column)
    return [text.replace(" ", "T") if text else text for text in texts] if pa.types.is_temporal(kind) else texts


def _listed(column: pa.Array) -> list[Any]:
    found: list[Any] = column.to_pylist()
    return found


class _File(io.RawIOBase):
    """A source as a file that can be read from any position."""

    def __init__(self, source: Source, block_bytes: int) -> None:
        self._window = Window(source, block_bytes)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._window.size}[whence]
        if at < 0:
            raise ValueError("the position is before the start of the file")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(self._window.size - self._at, 0)
        length = left if size < 0 else min(size, left)
        large = length > self._window.block_bytes  # a large page is read without the window
        try:
            data = (self._window.source if large else self._window).read(self._at, length)
        except OSError as error:  # the disk failed, the file is not damaged
            what = f"{self._window.source.name} can't be read: {error.strerror}."
            raise InputUnreachable(what, "Check the disk, and run the same command again.") from None
        self._at += len(data)
        return data
