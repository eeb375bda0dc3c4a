"""Parquet files that a stranger may have written. Only this module opens them for reading.

A file of 500 bytes can hold a text of a megabyte that a million rows repeat, or claim that it has a billion values. So
the footer is checked against the size of the file before anything is read, and texts that may repeat are read a few
rows at a time. A footer can also give a wrong size for a page. A wrong size is noticed only after the page was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.errors import IntegrityError

_LEAST = 1 << 30
_TIMES = 64
"""A row group may take 64 times the size of its file plus a GiB of memory.

A ledger takes a fifth of a GiB at most. Web pages compress to a third, and pages of one template to a tenth.
"""

_BUFFER_BYTES = 1 << 20
_VALUE_BYTES = 8
_ROWS = 1 << 16
_MAY_REPEAT = {"PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_BYTE_ARRAY"}


class _Leaf:
    """A column of plain values.

    `names` has its own name, which may contain dots, and the names of the columns that it may be a part of.
    """

    def __init__(self, column: pq.ColumnSchema) -> None:
        parts = column.path.split(".")
        self.names = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
        self.value_bytes = max(_VALUE_BYTES, column.length or 0)


def _names(fields: pa.Schema | pa.StructType, before: str = "") -> Iterator[str]:
    for field in fields:
        yield before + field.name
        if pa.types.is_struct(field.type):
            yield from _names(field.type, f"{before}{field.name}.")


class ParquetFile:
    """An open parquet file. Its page checksums are verified. Errors call the file `name`.

    Raises FileNotFoundError, and IntegrityError if the file is damaged or needs far more memory than its size allows.
    """

    def __init__(self, source: Path | pa.Buffer | pa.NativeFile, name: str = "", pieces: bool = True) -> None:
        """A stream is read in pieces of a MiB, or each column of a row group in one piece."""
        self._name = name or str(source)
        streamed = isinstance(source, pa.NativeFile)
        size = source.stat().st_size if isinstance(source, Path) else source.size() if streamed else source.size
        self._most = _LEAST + _TIMES * size
        with self._named_errors():
            opened = pa.BufferReader(source) if isinstance(source, pa.Buffer) else source
            # a column of a row group is read as a whole, unless there is a buffer for pieces of it, and nothing ahead
            self._file = pq.ParquetFile(
                opened,
                page_checksum_verification=True,
                buffer_size=_BUFFER_BYTES if streamed and pieces else 0,
                pre_buffer=not (streamed and pieces),
            )
            self.metadata = self._file.metadata
            self.schema: pa.Schema = self._file.schema_arrow
            self._leaves = [_Leaf(self.metadata.schema.column(number)) for number in range(self.metadata.num_columns)]
            self.names = list(dict.fromkeys(_names(self.schema)))
            """The names of the columns, and of the fields inside them, such as `metadata.url`."""

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def rows(self) -> list[int]:
        """The number of rows of each row group."""
        return [self.metadata.row_group(number).num_rows for number in range(self.metadata.num_row_groups)]

    def check(self) -> None:
        """Raise IntegrityError if a row group needs too much memory."""
        for index in range(self.metadata.num_row_groups):
            self._rows_at_once(index, self.schema.names, _ROWS)

    def group(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a row group with all columns, or with the named columns."""
        wanted = self._columns(columns)
        if self._rows_at_once(index, wanted, _ROWS) < _ROWS:
            batches = list(self._batches(index, wanted, _ROWS))
            with self._named_errors():
                return pa.Table.from_batches(batches, batches[0].schema if batches else self._schema(wanted))
        with self._named_errors():
            return self._file.read_row_group(index, columns=wanted, use_threads=False)

    def batches(
        self, rows: int = _ROWS, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all or some row groups, in batches of at most `rows`."""
        wanted = self._columns(columns)
        for index in range(self.metadata.num_row_groups) if groups is None else groups:
            yield from self._batches(index, wanted, rows)

    def _batches(self, index: int, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        taken = 0
        at_once = self._rows_at_once(index, columns, rows)
        with self._named_errors():
            reader = self._file.iter_batches(at_once, row_groups=[index], columns=columns, use_threads=False)
            for batch in reader:
                taken += batch.nbytes
                if taken > self._most:
                    raise self._too_large()
                yield batch

    def _rows_at_once(self, index: int, columns: Sequence[str], rows: int) -> int:
        """Return how many rows of a row group may be read at once, at most `rows`.

        Raises IntegrityError if the row group needs too much memory by its footer.
        """
        wanted = set(columns)
        with self._named_errors():
            group = self.metadata.row_group(index)
            asked = 0
            for number, leaf in enumerate(self._leaves):
                if wanted.isdisjoint(leaf.names):
                    continue
                chunk = group.column(number)
                size = chunk.total_uncompressed_size
                asked += size + chunk.num_values * leaf.value_bytes
                repeats = chunk.physical_type == "BYTE_ARRAY" and not _MAY_REPEAT.isdisjoint(chunk.encodings)
                if repeats and size * chunk.num_values > self._most:  # a value may be as long as the whole column
                    rows = min(rows, max(self._most // size, 1))
            if asked > self._most or group.num_rows > self._most:
                raise self._too_large()
        return rows

    def _columns(self, columns: Sequence[str] | None) -> list[str]:
        missing = set(columns or ()) - set(self.names)
        if missing:
            raise IntegrityError(f"{self._name} has no column `{min(missing)}`.", "Restore it.")
        return list(self.schema.names if columns is None else columns)

    def _schema(self, columns: Sequence[str]) -> pa.Schema:
        return pa.schema([self.schema.field(name) for name in columns], metadata=self.schema.metadata)

    def _too_large(self) -> IntegrityError:
        return IntegrityError(f"{self._name} is damaged: it needs more memory than its size allows.", "Restore it.")

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, MemoryError, OverflowError, UnicodeDecodeError):
            raise IntegrityError(f"{self._name} is damaged.", "Restore it, or build again.") from None
