"""The numbers of documents, and the division of documents among tasks.

A document's number is its row in the corpus before any comparison removes rows. So it depends on neither units nor
tasks. Documents of earlier runs come after this run's documents. Documents of earlier runs have shifted numbers, run by
run. Keys and hashes are divided into 2^bits ranges by their highest bits. The division follows from the number of
documents and the memory of a task, and it never changes a verdict.
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

_BYTES_PER_SIGNED = 1024  # a group also has its keys in memory, and uses a small part of a task's memory
_BYTES_PER_KEY = 64
_BYTES_PER_TEXT = 128
_BYTES_PER_NODE = 32
_BYTES_PER_MEMBER = 2048  # a verifier's memory is bounded in any case; this number bounds its work
_BYTES_PER_LINE = 12  # a hash and a length
_HELD_PER_LINE = 128  # while a group is judged: hashes, lengths, documents, their order, and masks
_BYTES_PER_LINE_ENTRY = 96

_MOST_GROUPS = 64  # fewer if memory is short
_LEAST_GROUP = 1 << 17
"""The least number of documents in a group.

With it, a few hundred thousand documents make several tasks. Smaller groups would only mean more files.
"""
_LEAST_LINES_BYTES = 16 << 20
"""The least bytes of signed lines of a group."""
_KEYS_PER_TASK = 1 << 20
_LEAST_RANGE = 1 << 21
"""The least number of keys in a range. Sorting more keys than fit the cache takes half as long again per key."""
_LEAST_MEMBERS = 1 << 17
"""The least number of documents per verifier.

Each verifier reads a box of each group, so many small ones cost too much.
"""


@dataclass(frozen=True)
class Group:
    """Consecutive units whose documents one task holds.

    For each unit: the part with its signatures, the number of its archive, and the verdicts of earlier comparisons.
    """

    parts: tuple[Part, ...]
    archives: tuple[int, ...]
    removed: tuple[tuple[VerdictBox, ...], ...]

    @property
    def rows(self) -> list[int]:
        """The number of corpus rows of each unit, before any comparison removed rows."""
        return [part.rows for part in self.parts]

    def stays(self, store: Store) -> Flags:
        """Return True for each document that no earlier comparison removed."""
        found = np.ones(sum(self.rows), dtype=np.bool_)
        for first, boxes in zip(accumulate(self.rows, initial=0), self.removed, strict=False):
            found[first + removed_rows(store, boxes)] = False
        return found

    def by_archive(self, counts: Ints) -> list[list[int]]:
        """Return the sums of a count per unit over archives, as [number of the archive, sum]."""
        archives, at = np.unique(np.array(self.archives, np.int64), return_inverse=True)
        sums = np.zeros(len(archives), np.int64)
        np.add.at(sums, at, counts)
        return [[*pair] for pair in zip(archives.tolist(), sums.tolist(), strict=True)]

    def as_dict(self) -> dict[str, Any]:
        removed = [[box.as_dict() for box in boxes] for boxes in self.removed]
        return {"parts": [vars(part) for part in self.parts], "archives": self.archives, "removed": removed}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Group:
        removed = tuple(tuple(map(VerdictBox.from_dict, boxes)) for boxes in data["removed"])
        return cls(tuple(Part(**part) for part in data["parts"]), tuple(data["archives"]), removed)


@dataclass(frozen=True)
class Layout:
    """The division of documents. A group holds whole units, and a span is a fixed number of consecutive documents.

    `groups` lists the first document of each group, then the number of documents, and then the groups of earlier runs.
    """

    documents: int
    groups: tuple[int, ...]
    numbers: int
    """The highest number of any document, earlier runs included, plus one."""
    bands: int
    key_bits: int
    text_bits: int
    span: int
    """The number of documents in a span. One task holds their components."""
    verifier_bits: int
    site_bits: int
    memory_bytes: int

    @property
    def keys_at_once(self) -> int:
        """Twice the keys that a range has on average."""
        return max(2 * self.memory_bytes // _BYTES_PER_KEY, 2)

    @property
    def boxes(self) -> int:
        """The number of boxes of keys: one for each band and range."""
        return self.bands << self.key_bits

    @property
    def boxes_at_once(self) -> int:
        """The number of boxes of keys that one task reads, one after the other.

        Starting a task costs as much as some 10,000 keys.
        """
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
    """The division of documents and lines.

    A group holds whole units. `groups` lists the first document of each group, then the number of documents. `bits` is
    the number of bits that divide the hashes of lines into ranges.
    """

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
    """Return the layout, and the first unit of each group, followed by the number of units.

    `rows` counts the corpus rows of each unit, `bands` is the number of bands of a signature, and `earlier` counts the
    documents of each group of earlier runs.
    """
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


def make_line_layout(
    rows: Sequence[int], sizes: Sequence[int], memory_bytes: int = MEMORY_BYTES
) -> tuple[LineLayout, list[int]]:
    """Return the layout for units with so many rows and bytes of signed lines, and the first unit of each group,
    followed by the number of units.
    """
    total = sum(sizes)
    size = min(max(total // _MOST_GROUPS, _LEAST_LINES_BYTES), memory_bytes * _BYTES_PER_LINE // _HELD_PER_LINE)
    starts, firsts = _groups(rows, sizes, size)
    bits = bits_for(total // _BYTES_PER_LINE, max(memory_bytes // _BYTES_PER_LINE_ENTRY, 1))
    return LineLayout(tuple(starts), bits), firsts


def _groups(rows: Sequence[int], sizes: Sequence[int], most: int) -> tuple[list[int], list[int]]:
    """Divide units into groups.

    A group is at most `most` in size, or a single unit. Return the first document of each group, followed by the number
    of documents, and the first unit of each group, followed by the number of units.
    """
    starts, units, documents, filled = [0], [0], 0, 0
    for unit, (count, size) in enumerate(zip(rows, sizes, strict=True)):
        if filled and filled + size > most:
            starts.append(documents)
            units.append(unit)
            filled = 0
        documents += count
        filled += size
    return [*starts, documents], [*units, len(rows)]
