"""What the driver holds of the units of a pass: some numbers of each.

All else is read with their commits when it is needed. A crawl has some three million units.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpus.storage.commits import Commit
from corpus.text.vocabulary import Ints


@dataclass(frozen=True)
class Units:
    """The commits of the units, in (archive, offset) order, with the archive of each unit and the sizes of its parts.

    `rows` and `bytes` have an array for each kind of part.
    """

    commits: Sequence[Commit]
    archives: list[str]
    """The names of all archives, in order."""
    archive: array[int]
    """The number of each unit's archive."""
    rows: dict[str, array[int]]
    bytes: dict[str, array[int]]

    @classmethod
    def of(cls, commits: Sequence[Commit]) -> Units:
        """Read the commits once."""
        numbers: dict[str, int] = {}
        archive = array("q")
        rows: dict[str, array[int]] = {}
        sizes: dict[str, array[int]] = {}
        for commit in commits:
            archive.append(numbers.setdefault(commit.facts["unit"]["warc"], len(numbers)))
            for part in commit.parts:
                rows.setdefault(part.kind, array("q")).append(part.rows)
                sizes.setdefault(part.kind, array("q")).append(part.bytes)
        return cls(commits, list(numbers), archive, rows, sizes)

    def __len__(self) -> int:
        return len(self.archive)

    def sizes(self, kind: str) -> tuple[array[int], array[int]]:
        """Return the rows and the bytes of each unit's part of a kind."""
        return self.rows.get(kind, array("q")), self.bytes.get(kind, array("q"))

    def by_archive(self, counts: Sequence[int]) -> Ints:
        """Return the sums of a count per unit over archives."""
        sums = np.zeros(len(self.archives), np.int64)
        np.add.at(sums, np.asarray(self.archive, np.int64), np.asarray(counts, np.int64))
        return sums
