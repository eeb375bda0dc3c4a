"""Parquet tables of several files, read by row group, by batch or by row number. Page checksums are verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from corpus.cpus import usable_cpus
from corpus.storage.ahead import ahead
from corpus.storage.parquet_files import ParquetFile

Columns = Callable[[Sequence[str]], pa.Table]
"""A function that returns the named columns of some rows."""

T = TypeVar("T")


class Rows(Protocol):
    """Consecutive rows of a table."""

    @property
    def first(self) -> int:
        """The number of the first row in the table."""

    @property
    def rows(self) -> int:
        """The number of rows."""

    @property
    def names(self) -> list[str]:
        """The names of the columns."""

    def open(self) -> AbstractContextManager[Columns]:
        """Open the rows. The result is a function that returns columns of these rows."""


@dataclass(frozen=True)
class RowGroup:
    """A row group of a table."""

    path: Path
    index: int
    """The index of the row group in its file."""
    first: int
    """The number of the first row in the table."""
    rows: int

    @property
    def names(self) -> list[str]:
        return list(schema_of(self.path).names)

    @contextmanager
    def open(self) -> Iterator[Columns]:
        """Open the file.

        The result is a function that reads columns of this row group. Each column may be read once.
        """
        with ParquetFile(self.path) as file:
            held: dict[str, pa.ChunkedArray] = {}

            def read(names: Sequence[str]) -> pa.Table:
                missing = [name for name in dict.fromkeys(names) if name not in held]
                if missing:
                    table = file.group(self.index, missing)
                    held.update({name: table[name] for name in missing})
                return pa.table({name: held[name] for name in names})

            yield read


def row_groups(paths: Sequence[Path]) -> list[RowGroup]:
    """Return the row groups of a table, in order. Only the footers of its files are read."""
    found: list[RowGroup] = []
    first = 0
    for path in paths:
        with ParquetFile(path) as file:
            sizes = file.rows
        for index, rows in enumerate(sizes):
            found.append(RowGroup(path, index, first, rows))
            first += rows
    return found


def map_row_groups(function: Callable[[Rows, Columns], T], groups: Sequence[Rows], threads: int) -> Iterator[T]:
    """Yield the result of a function for each row group, in order. At most `threads` row groups are open at a time."""

    def call(group: Rows) -> T:
        with group.open() as read:
            return function(group, read)

    return ahead(call, groups, min(threads, usable_cpus()))


def rows_where(
    groups: Sequence[Rows], choose: Callable[[Columns], pa.Array | pa.ChunkedArray], columns: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """Yield the rows that `choose` marks, for each row group with such rows. By default the rows have all columns."""
    for group in groups:
        with group.open() as read:
            chosen = choose(read)
            if pc.any(chosen).as_py():
                yield read(columns or group.names).filter(chosen)


def read_batches(paths: Sequence[Path], columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table in batches of at most `rows`.

    A dataset scanner is not used, because it would buffer a gigabyte.
    """
    for path in paths:
        with ParquetFile(path) as file:
            yield from file.batches(rows, columns)


def read_tables(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield the rows of a table with all columns, row group by row group."""
    for group in row_groups(paths):
        with ParquetFile(group.path) as file:
            yield file.group(group.index)


def read_rows(paths: Sequence[Path], first: int, end: int) -> pa.Table:
    """Read the rows [first, end) of a table. Only the row groups that contain them are read."""
    tables = []
    for group in row_groups(paths):
        start, stop = max(first - group.first, 0), min(end - group.first, group.rows)
        if start < stop:
            with ParquetFile(group.path) as file:
                tables.append(file.group(group.index).slice(start, stop - start))
    return pa.concat_tables(tables or [schema_of(paths[-1]).empty_table()]).combine_chunks()


def schema_of(path: Path) -> pa.Schema:
    """Return the columns of a parquet file."""
    with ParquetFile(path) as file:
        return file.schema


def equal_rows(column: pa.Array) -> Iterator[tuple[Any, int, int]]:
    """Yield each stretch of equal neighbors as (value, start, stop)."""
    stretches = pc.run_end_encode(column)
    ends = stretches.run_ends.to_pylist()
    return zip(stretches.values.to_pylist(), [0, *ends], ends, strict=False)
