"""The archives of a run side by side: the records of each, the kept records, and the rules that dropped most of the
others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np
import pyarrow as pa

from corpus.outcome import DROPPED, KEPT
from corpus.runs.row_groups import equal_rows
from jobs.report.spans import Verdict

_LOSSES = 3
_MOST = 200
"""The most archives that are shown by name."""

_FAR = 3.5
"""A share is far from the median if it is more than this many standard deviations away (Iglewicz and Hoaglin 1993)."""

_FEWEST = 5
"""If there are fewer archives than this, none of them is called unusual."""


@dataclass(frozen=True)
class Archive:
    """The number of records of an archive, the number of kept records, and the verdicts that removed most of the
    others.
    """

    name: str
    records: int
    kept: int
    losses: list[tuple[str, int]]
    far: str = ""
    """"low" or "high" if the share of kept records is far from the median of all archives."""


@dataclass(frozen=True)
class ArchiveTable:
    """The archives that are shown by name, and the sums over the other archives."""

    rows: list[Archive]
    others: int = 0
    other_records: int = 0
    other_kept: int = 0

    @property
    def widest(self) -> int:
        return max((row.records for row in self.rows), default=0)


class ArchiveCounts:
    """A counter of the verdicts of each archive. Rows must come archive by archive, so that one counter is enough."""

    def __init__(self) -> None:
        self._found: list[Archive] = []
        self._open = ""
        self._verdicts: Counter[Verdict] = Counter()

    def add(self, warcs: pa.Array, codes: np.ndarray, verdicts: list[Verdict]) -> None:
        """Add the next rows. Row i has the verdict `verdicts[codes[i]]`."""
        for warc, start, stop in equal_rows(warcs):
            if warc != self._open:
                self._close()
                self._open = warc
            numbers = np.bincount(codes[start:stop], minlength=len(verdicts)).tolist()
            self._verdicts.update(
                {verdict: number for verdict, number in zip(verdicts, numbers, strict=True) if number}
            )

    def table(self, inputs: Iterable[str]) -> ArchiveTable:
        """Return the archives of the rows, and the archives of `inputs` that have no rows.

        If there are too many, the archives are shown whose share of kept records is furthest from the median.
        """
        self._close()
        names = {archive.name for archive in self._found}
        return _table(self._found + [Archive(name, 0, 0, []) for name in inputs if name not in names])

    def _close(self) -> None:
        if self._verdicts:
            kept = sum(number for verdict, number in self._verdicts.items() if verdict[0] == KEPT)
            lost = Counter({_name(verdict): number for verdict, number in self._verdicts.items() if verdict[0] != KEPT})
            losses = sorted(lost.items(), key=lambda loss: (-loss[1], loss[0]))[:_LOSSES]
            self._found.append(Archive(self._open, self._verdicts.total(), kept, losses))
            self._verdicts.clear()


def _name(verdict: Verdict) -> str:
    outcome, stage, rule = verdict
    return f"{stage}.{rule}" if outcome == DROPPED else f"{outcome}: {rule}"


def _table(archives: list[Archive]) -> ArchiveTable:
    distance = dict(zip((one.name for one in archives), _distances(archives), strict=True))
    furthest = sorted(archives, key=lambda one: (-abs(distance[one.name]), one.name))
    shown, others = furthest[:_MOST], furthest[_MOST:]
    rows = []
    for one in sorted(shown, key=lambda one: one.name):
        far = one.records and len(archives) >= _FEWEST and abs(distance[one.name]) > _FAR
        side = ("low" if distance[one.name] < 0 else "high") if far else ""
        rows.append(Archive(one.name, one.records, one.kept, one.losses, side))
    return ArchiveTable(rows, len(others), sum(one.records for one in others), sum(one.kept for one in others))


def _distances(archives: list[Archive]) -> list[float]:
    """Return the distance of each archive's share of kept records from the median share, in standard deviations.

    The deviation between archives comes from the median of the distances. The deviation of a share by chance alone is
    at most .5 / √records. An archive without records counts as the furthest of all.
    """
    shares = [one.kept / one.records for one in archives if one.records]
    if not shares:
        return [0.0] * len(archives)
    middle = median(shares)
    among = 1.4826 * median(abs(share - middle) for share in shares)
    return [
        (one.kept / one.records - middle) / (among**2 + 0.25 / one.records) ** 0.5 if one.records else -np.inf
        for one in archives
    ]
