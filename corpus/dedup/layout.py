"""Numbers of documents, and their division among tasks, from their count and the memory of a task.

A document's number is that of its row in the corpus before any comparison removes one, so it depends on neither units
nor tasks. Documents of earlier runs come after, each run with its own numbers, shifted. Keys and hashes are divided
into 2^bits ranges by their highest bits. No division changes a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.storage.boxes import bits_for
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.tables.verdicts import VerdictBox, removed_rows
from corpus.text.vocabulary import Flags, Ints

MEMORY_BYTES = 1 << 30
"""Memory for the rows that one task holds. Python and its libraries take some 150 MB more."""

_BYTES_PER_SIGNED = 1024  # a group has its keys in memory too, and uses a small part of what its task may take
_BYTES_PER_KEY = 64
_BYTES_PER_TEXT = 128
_BYTES_PER_NODE = 32
_BYTES_PER_MEMBER = 2048  # a verifier's memory is bounded anyway; this bounds its work
_BYTES_PER_LINE = 12  # a hash and a length
_HELD_PER_LINE = 128  # while a group is judged: hashes, lengths, documents, their order, and masks
_BYTES_PER_LINE_ENTRY = 96

_MOST_GROUPS = 64  # while memory allows it
_LEAST_GROUP = 1 << 17
"""The least number of documents of a group. A few hundred thousand documents then make several tasks. Smaller groups
would only mean more files."""
_LEAST_LINES_BYTES = 16 << 20
"""The least bytes of signed lines of a group."""
_KEYS_PER_TASK = 1 << 20
_LEAST_RANGE = 1 << 21
"""The least number of keys of a range. Sorting more of them leaves the cache and takes half as long again."""
_LEAST_MEMBERS = 1 << 17
"""The least number of documents of a verifier, since it reads a box of each group."""


@dataclass(frozen=True)
class Group:
    """Consecutive units whose documents one task holds: for each unit the part with its signatures, the number of its
    archive, and the verdicts of earlier comparisons."""

    parts: tuple[Part, ...]
    archives: tuple[int, ...]
    removed: tuple[tuple[VerdictBox, ...], ...]

    @property
    def rows(self) -> list[int]:
        """The corpus rows of each unit, before any comparison removed one."""
        return [part.rows for part in self.parts]

    def stays(self, store: Store) -> Flags:
        """Return which documents no earlier comparison removed."""
        found = np.ones(sum(self.rows), dtype=np.bool_)
        for first, boxes in zip(accumulate(self.rows, initial=0), self.removed, strict=False):
            found[first + removed_rows(store, boxes)] = False
        return found

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Group:
        removed = tuple(tuple(map(VerdictBox.from_dict, boxes)) for boxes in data["removed"])
        return cls(tuple(Part(**part) for part in data["parts"]), tuple(data["archives"]), removed)


@dataclass(frozen=True)
class Layout:
    """The division of documents. `groups` are the first documents of the groups, each of whole units, then the number
    of documents. Groups of earlier runs follow. A span is a fixed number of consecutive documents."""

    documents: int
    groups: tuple[int, ...]
    numbers: int
    """The highest number of a document plus one, earlier runs included."""
    bands: int
    key_bits: int
    text_bits: int
    span: int
    """Documents of a span. One task holds their components."""
    verifier_bits: int
    site_bits: int
    memory_bytes: int

    @property
    def keys_at_once(self) -> int:
        """Twice the keys that a range has on average."""
        return max(2 * self.memory_bytes // _BYTES_PER_KEY, 2)

    @property
    def boxes(self) -> int:
        """Boxes of keys: one for each band and range."""
        return self.bands << self.key_bits

    @property
    def boxes_at_once(self) -> int:
        """Boxes of keys that one task reads, one after the other. A task costs as much as some 10,000 keys."""
        return min(max((_KEYS_PER_TASK << self.key_bits) // max(self.documents, 1), 1), self.boxes)

    @property
    def spans(self) -> int:
        return max(-(-self.numbers // self.span), 1)

    @property
    def doc_type(self) -> pa.DataType:
        """The type of a document's number."""
        return pa.uint32() if self.numbers < 1 << 32 else pa.int64()

    def group_of(self, docs: Ints) -> Ints:
        return np.searchsorted(np.array(self.groups[1:]), docs, side="right")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Layout:
        return cls(**{**data, "groups": tuple(data["groups"])})


@dataclass(frozen=True)
class LineLayout:
    """The division of documents and lines. `groups` are the first documents of the groups, each of whole units, then
    the number of documents. `bits` divide the hashes of lines."""

    groups: tuple[int, ...]
    bits: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LineLayout:
        return cls(tuple(data["groups"]), data["bits"])


def make_layout(
    rows: Sequence[int], bands: int, earlier: Sequence[int] = (), memory_bytes: int = MEMORY_BYTES
) -> tuple[Layout, list[int]]:
    """Return the layout, and the first unit of each group with the number of units at the end. `rows` counts the corpus
    rows of each unit, `bands` the bands of a signature, and `earlier` the documents of each group of earlier runs."""
    documents = sum(rows)
    size = max(min(max(documents // _MOST_GROUPS, _LEAST_GROUP), memory_bytes // _BYTES_PER_SIGNED), 1)
    starts, units = _groups(rows, rows, size)
    for count in earlier:
        starts.append(starts[-1] + count)
    keys = max(memory_bytes // _BYTES_PER_KEY, 1)
    in_range = min(max(documents // _MOST_GROUPS, _LEAST_RANGE), keys)
    members = min(max(documents // 2 // _MOST_GROUPS, _LEAST_MEMBERS), max(memory_bytes // _BYTES_PER_MEMBER, 1))
    layout = Layout(
        documents=documents,
        groups=tuple(starts),
        numbers=starts[-1],
        bands=bands,
        key_bits=bits_for(documents, in_range),
        text_bits=bits_for(documents, max(memory_bytes // _BYTES_PER_TEXT, 1)),
        span=max(memory_bytes // _BYTES_PER_NODE, 1),
        verifier_bits=bits_for(documents // 2, members),
        site_bits=bits_for(documents, keys),
        memory_bytes=memory_bytes,
    )
    return layout, units


def make_line_layout(units: Sequence[Part], memory_bytes: int = MEMORY_BYTES) -> tuple[LineLayout, list[int]]:
    """Return the layout for units with these signed lines, and the first unit of each group with the number of units at
    the end."""
    total = sum(part.bytes for part in units)
    size = min(max(total // _MOST_GROUPS, _LEAST_LINES_BYTES), memory_bytes * _BYTES_PER_LINE // _HELD_PER_LINE)
    starts, firsts = _groups([part.rows for part in units], [part.bytes for part in units], size)
    bits = bits_for(total // _BYTES_PER_LINE, max(memory_bytes // _BYTES_PER_LINE_ENTRY, 1))
    return LineLayout(tuple(starts), bits), firsts


def _groups(rows: Sequence[int], sizes: Sequence[int], most: int) -> tuple[list[int], list[int]]:
    """Divide units into groups of at most `most` in size, or of one unit. Return the first document and the first unit
    of each group, and at the end the number of documents and of units."""
    starts, units, documents, filled = [0], [0], 0, 0
    for unit, (count, size) in enumerate(zip(rows, sizes, strict=True)):
        if filled and filled + size > most:
            starts.append(documents)
            units.append(unit)
            filled = 0
        documents += count
        filled += size
    return [*starts, documents], [*units, len(rows)]
