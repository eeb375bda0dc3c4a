"""What the driver holds of a finished pass: sums over all units, and some numbers of each unit.

All else is read with the commits when it is needed. A crawl has some three million units.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from corpus.storage.commits import Commit
from corpus.tables.ledger import Counts, add_counts, no_counts
from corpus.text.vocabulary import Ints
from jobs.build.timings import costs_of
from jobs.runner.execution import Execution


@dataclass(frozen=True)
class Units:
    """The commits of the units, in (archive, offset) order, with the archive of each unit and the sizes of its parts.

    `rows` and `bytes` have an array for each kind of part.
    """

    commits: Sequence[Commit]
    archives: list[str] = field(default_factory=list)
    """The names of all archives, in order."""
    archive: array[int] = field(default_factory=lambda: array("q"))
    """The number of each unit's archive."""
    rows: dict[str, array[int]] = field(default_factory=dict)
    bytes: dict[str, array[int]] = field(default_factory=dict)

    def read(self) -> Iterator[Commit]:
        """Fill the arrays, and yield the commits."""
        numbers: dict[str, int] = {}
        for commit in self.commits:
            archive = commit.facts["unit"]["warc"]
            if archive not in numbers:
                numbers[archive] = len(numbers)
                self.archives.append(archive)
            self.archive.append(numbers[archive])
            for part in commit.parts:
                self.rows.setdefault(part.kind, array("q")).append(part.rows)
                self.bytes.setdefault(part.kind, array("q")).append(part.bytes)
            yield commit

    def sizes(self, kind: str) -> tuple[array[int], array[int]]:
        """Return the rows and the bytes of each unit's part of a kind."""
        return self.rows.get(kind, array("q")), self.bytes.get(kind, array("q"))

    def by_archive(self, counts: Sequence[int]) -> Ints:
        """Return the sums of a count per unit over archives."""
        sums = np.zeros(len(self.archives), np.int64)
        np.add.at(sums, np.asarray(self.archive, np.int64), np.asarray(counts, np.int64))
        return sums


def units_of(commits: Sequence[Commit]) -> Units:
    """Return the units alone."""
    units = Units(commits)
    for _ in units.read():
        pass
    return units


@dataclass(frozen=True)
class Passed:
    """A finished pass."""

    units: Units
    counts: Counts
    """The records by outcome, before any comparison."""
    others: dict[str, int]
    """The records that are only counted, by type."""
    exceptions: list[dict[str, Any]]
    """The records that passed at the second try."""
    costs: dict[str, Any]
    """What timings.json says of the pass."""


def read_pass(execution: Execution, commits: Sequence[Commit]) -> Passed:
    """Read all commits once. Raises Stopped."""
    units, counts, others = Units(commits), no_counts(), dict[str, int]()
    exceptions: list[dict[str, Any]] = []

    def read() -> Iterator[Commit]:
        for commit in execution.follow("reading commits", units.read(), len(commits)):
            add_counts(counts, commit.facts["counts"])
            add_counts(others, commit.facts["other_records"])
            exceptions.extend(commit.facts["exceptions"])
            yield commit

    costs = costs_of(read())
    return Passed(units, counts, dict(sorted(others.items())), exceptions, costs)
