"""The way of boxes from many writers to many readers (`corpus.storage.boxes`), in one step or in two.

In one step, each reader opens the file of each writer. That is writers × readers openings, and on a bucket each of them
is two requests or more. Among many, a relay comes between: the writers are divided into batches and the readers into
slices, each about as many as the square root of their number. One task for each batch and slice copies the boxes of its
readers into one file. Then a reader opens one file of each batch. A thousand writers and a thousand readers open
64,000 files instead of a million.

Blocks are copied as they are, and a reader finds the blocks of each writer apart and in their order. So what a reader
makes of them does not depend on the relay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isqrt
from typing import Any

import pyarrow as pa

from corpus.storage.boxes import Box, Outbox, open_boxes
from corpus.storage.commits import Part
from corpus.storage.store import Store

MOST_DIRECT = 1 << 18
"""The most files that all readers open together without a relay. On a bucket, they are less than a million requests.

A relay writes and reads all rows once more, so it is not worth it for fewer.
"""


@dataclass(frozen=True)
class Grid:
    """The division of a relay: a task for each batch of writers and slice of readers, batch by batch."""

    writers: int
    readers: int

    @property
    def batch(self) -> int:
        """The number of writers in a batch."""
        return _root(self.writers)

    @property
    def slice(self) -> int:
        """The number of readers in a slice."""
        return _root(self.readers)

    @property
    def needed(self) -> bool:
        return self.writers * self.readers > MOST_DIRECT

    def tasks(self) -> list[dict[str, Any]]:
        """Return the writers and readers of each task."""
        return [
            {"writers": [first, min(first + self.batch, self.writers)], "readers": [start, end]}
            for first in range(0, self.writers, self.batch)
            for start, end in ((n, min(n + self.slice, self.readers)) for n in range(0, self.readers, self.slice))
        ]


@dataclass(frozen=True)
class Files:
    """The files in which readers find their boxes: one of each writer, or those of a relay if there is a grid."""

    parts: tuple[Part, ...]
    grid: Grid | None = None

    def boxes(self, store: Store, reader: int) -> Iterator[Box]:
        """Yield the boxes of one reader, one for each writer. Raises IntegrityError if a file is damaged."""
        if self.grid is None:
            for part in self.parts:
                yield from open_boxes(store, part, range(reader, reader + 1))
            return
        grid, (at, nth) = self.grid, divmod(reader, self.grid.slice)
        for first, part in zip(
            range(0, grid.writers, grid.batch), self.parts[at :: -(-grid.readers // grid.slice)], strict=True
        ):
            batch = min(grid.batch, grid.writers - first)
            yield from open_boxes(store, part, range(nth * batch, (nth + 1) * batch))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Files:
        return cls(tuple(Part(**part) for part in data["parts"]), Grid(**data["grid"]) if data["grid"] else None)


def relay(store: Store, kind: str, files: Sequence[Part], readers: range, memory_bytes: int) -> Part:
    """Copy the boxes of some readers from the files of some writers into one file.

    It has a box for each reader and writer: those of the first reader, by writer, come first. At most `memory_bytes`
    are held.
    """
    found = [open_boxes(store, part, readers) for part in files]
    sizes = [sum(boxes[n].bytes for boxes in found) for n in range(len(readers))]
    with Outbox(store, kind, len(readers) * len(files)) as out:
        for some in _runs(sizes, memory_bytes):
            blocks = _blocks(found, some)
            # the blocks of one reader come in the order of the file, so they need not be held
            for box, rows, block in blocks if len(some) == 1 else sorted(blocks, key=lambda one: one[0]):
                out.copy(box, rows, block)
        return out.finish()


def _blocks(found: Sequence[Sequence[Box]], readers: range) -> Iterator[tuple[int, int, pa.Buffer]]:
    """Yield the number of the box, the rows and the bytes of each block, writer by writer."""
    for writer, boxes in enumerate(found):
        for reader in readers:
            for block in range(boxes[reader].blocks):
                yield reader * len(found) + writer, *boxes[reader].stored(block)


def _runs(sizes: Sequence[int], most: int) -> Iterator[range]:
    """Divide readers into runs of at most `most` bytes, or of a single reader."""
    start = filled = 0
    for reader, size in enumerate(sizes):
        if reader > start and filled + size > most:
            yield range(start, reader)
            start, filled = reader, 0
        filled += size
    yield range(start, len(sizes))


def _root(count: int) -> int:
    """Return the square root, rounded up."""
    return isqrt(count - 1) + 1 if count else 1
