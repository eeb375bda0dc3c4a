"""A file of the columnar index of a crawl: which captures meet the conditions, and where they are.

The index of a crawl has 300 files of 1 GB, sorted by `url_surtkey`. Of each file, the footer is read, and of each row
group that may have such captures, the column of one condition after the other, as long as some row meets all conditions
so far. Only then are the columns of the places read. Common Crawl describes the columns in its repository
cc-index-table (cc-index-schema-flat.json).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.documents.footers import check_footer
from corpus.documents.parquet_rows import open_parquet
from corpus.errors import InputChanged, InputError, InputUnreachable, IntegrityError
from corpus.warc.chosen import hash_of_url
from corpus.warc.source import START_BYTES, Source
from jobs.build.choice import Choice

_PLACE = {"warc_filename": "text", "warc_record_offset": "whole numbers", "warc_record_length": "whole numbers"}
_KEY = "url_surtkey"
_END_BYTES = 256 << 10
"""The bytes that are read of the end of a file. The footer of 30 columns and 10 row groups has 50 KB."""

_MOST_BYTES = 1 << 40
"""The largest offset and length that are believed. An archive of Common Crawl has 1 GB."""

_HELD_ROWS, _HELD_BYTES = 1 << 17, 64 << 20
"""Captures are given out when there are so many. Texts that may repeat are read a thousand rows at a time, and to find
the names of archives among 90,000 takes 15 ms, however few there are."""

FOUND_SCHEMA = pa.schema(
    [("archive", pa.string()), ("offset", pa.uint64()), ("length", pa.uint64()), ("url", pa.uint64())]
)
"""The archive as the index names it, and the fields of `corpus.warc.chosen.Capture`."""


class CountingSource:
    """A source that counts its reads. It holds the start and the end of the file, where its identity and its footer
    are."""

    def __init__(self, source: Source) -> None:
        self.name, self.size = source.name, source.size
        self.requests = self.bytes = 0
        self._source = source
        self._start, self._end_at, self._end = b"", self.size, b""
        self._start = self.read(0, START_BYTES)
        self.hold_end(_END_BYTES)

    def hold_end(self, length: int) -> None:
        start = max(self.size - length, 0)
        self._end_at, self._end = start, self.read(start, self._end_at - start) + self._end

    def read(self, offset: int, length: int) -> bytes:
        if offset + length <= len(self._start):
            return self._start[offset : offset + length]
        if offset >= self._end_at:
            return self._end[offset - self._end_at :][:length]
        self.requests += 1
        found = self._source.read(offset, length)
        self.bytes += len(found)
        return found


class IndexFile:
    """An open file of the index. Raises InputError if it is damaged, or lacks a column that the choice needs."""

    def __init__(self, source: CountingSource, choice: Choice) -> None:
        self._name, self._choice = source.name, choice
        try:
            size = int.from_bytes(source.read(source.size - 8, 4), "little")
            if _END_BYTES < size + 8 <= source.size:
                source.hold_end(size + 8)
            check_footer(source)
            self._file = open_parquet(source, exact=True)
        except (InputChanged, InputUnreachable):
            raise
        except (InputError, IntegrityError):
            raise self._damaged() from None
        wanted = dict.fromkeys(["url", *choice.tests()], "text") | _PLACE
        wanted |= {_KEY: "text"} if choice.key_ranges is not None else {}
        for name, kind in wanted.items():
            there = self._file.schema.get_field_index(name)
            if there < 0:
                raise InputError(f"{self._name} has no column '{name}'.", _LAYOUT)
            found = self._file.schema.field(there).type
            if not (_is_text(found) if kind == "text" else pa.types.is_integer(found)):
                raise InputError(f"The column '{name}' of {self._name} has {found}, not {kind}.", _LAYOUT)
        self.rows = sum(self._file.rows)
        self.groups = len(self._file.rows)
        self.wanted = [number for number in range(self.groups) if self._may_have(number)]
        """The row groups that may have captures that meet the conditions."""

    def close(self) -> None:
        self._file.close()

    def captures(self) -> Iterator[pa.Table]:
        """Yield the captures that meet the conditions, in tables of FOUND_SCHEMA. Raises InputError."""
        held: list[pa.RecordBatch] = []
        rows = size = 0
        try:
            for batch in (batch for group in self.wanted for batch in self._in_group(group)):
                held.append(batch)
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if rows >= _HELD_ROWS or size >= _HELD_BYTES:
                    yield pa.Table.from_batches(held, FOUND_SCHEMA)
                    held, rows, size = [], 0, 0
        except IntegrityError:
            raise self._damaged() from None
        if held:
            yield pa.Table.from_batches(held, FOUND_SCHEMA)

    def _in_group(self, group: int) -> Iterator[pa.RecordBatch]:
        meets = np.ones(self._file.rows[group], np.bool_)
        tests = self._choice.tests()
        if "url" not in tests:
            tests = tests | {"url": _any}
        urls: list[np.ndarray] = []
        for name, test in tests.items():  # the URLs come last, so their hashes are those of the captures that are left
            for rows, batch in self._batches(group, meets, [name]):
                column = _text(batch.column(0))
                rows &= test(column)
                if name == "url":
                    urls.append(self._hashes(column.filter(pa.array(rows))))
        hashes, at = np.concatenate([np.empty(0, np.uint64), *urls]), 0
        for rows, batch in self._batches(group, meets, list(_PLACE)):
            chosen = batch.filter(pa.array(rows))
            archives, offsets, lengths = (chosen[name] for name in _PLACE)
            if archives.null_count or not (_are_places(offsets, 0) and _are_places(lengths, 1)):
                raise self._without_place()
            own, at = hashes[at : at + chosen.num_rows], at + chosen.num_rows
            made = [_text(archives), offsets.cast(pa.uint64()), lengths.cast(pa.uint64()), pa.array(own)]
            yield pa.RecordBatch.from_arrays(made, schema=FOUND_SCHEMA)

    def _hashes(self, urls: pa.Array) -> np.ndarray:
        if urls.null_count:
            raise self._without_place()
        return np.fromiter(map(hash_of_url, urls.cast(pa.binary()).to_pylist()), np.uint64, len(urls))

    def _without_place(self) -> InputError:
        return InputError(f"{self._name} has a capture without a place or a URL.", _LAYOUT)

    def _batches(
        self, group: int, meets: np.ndarray, columns: Sequence[str]
    ) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """Yield the rows of a row group, in batches of which some row may meet the conditions, each with its part of
        `meets`."""
        if not meets.any():
            return
        at = 0
        for batch in self._file.batches(columns=columns, groups=[group]):
            rows = meets[at : at + batch.num_rows]
            at += batch.num_rows
            if rows.any():
                yield rows, batch

    def _may_have(self, group: int) -> bool:
        """Return False if the statistics of a row group show that it has no capture that meets the conditions."""
        ranges = self._choice.key_ranges
        if ranges is None:
            return True
        described = self._file.metadata.row_group(group)
        column = next(
            described.column(number)
            for number in range(described.num_columns)
            if described.column(number).path_in_schema == _KEY
        )
        statistics = column.statistics
        try:
            least, most = (_bytes(value) for value in (statistics.min, statistics.max))
        except (AttributeError, TypeError, ValueError, pa.ArrowException):  # there are none, or they can't be read
            return True
        number = bisect_left(ranges, least, key=itemgetter(1))  # the first range that does not end before the group
        return number < len(ranges) and bool(ranges[number][0] <= most)

    def _damaged(self) -> InputError:
        return InputError(f"{self._name} is damaged, or is not a parquet file.", "Copy it again.")


_LAYOUT = "Give the index as Common Crawl publishes it, in cc-index/table/cc-main/warc/."


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _text(column: pa.Array) -> pa.Array:
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return column.cast(pa.string())


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _are_places(numbers: pa.Array, least: int) -> bool:
    """Return True if there are only numbers from `least` to the size of a large file."""
    found = pc.min_max(numbers).as_py() if len(numbers) else {"min": least, "max": least}
    return not numbers.null_count and bool(least <= found["min"] and found["max"] <= _MOST_BYTES)


def _any(column: pa.Array) -> np.ndarray:
    return np.ones(len(column), np.bool_)
