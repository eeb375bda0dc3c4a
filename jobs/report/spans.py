"""The bytes of the archives that belong to each verdict.

A ledger row counts the bytes from its record to the next row's record, or to the end of the archive. These bytes
include the request and metadata records between the two rows. The sums are therefore the size of the inputs, without
the bytes before the first row of each archive and without quarantined bytes. In an archive that is one compressed
stream, offsets count decompressed bytes. Its last record counts nothing, because the ledger does not say where this
record ends.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.runs.row_groups import equal_rows

Verdict = tuple[str, str, str]
"""Outcome, stage and rule; "" for null."""


class Spans:
    """A sum of spans over the rows of a ledger. Rows must come in (archive, offset) order."""

    def __init__(self, info: dict[str, Any]) -> None:
        self._sizes = {item["name"]: item["bytes"] for item in info["inputs"]}
        self._gaps: dict[str, list[tuple[int, int]]] = {}
        for unit in info["quarantined"]:
            self._gaps.setdefault(unit["warc"], []).append((unit["start"], unit["end"]))
        self.totals: Counter[Verdict] = Counter()
        """The bytes of each verdict."""
        self._open: tuple[str, int, Verdict] | None = None

    def add(self, warcs: pa.Array, offsets: np.ndarray, codes: np.ndarray, verdicts: list[Verdict]) -> None:
        """Add the next rows. Row i has the verdict `verdicts[codes[i]]`."""
        for warc, start, stop in equal_rows(warcs):
            if self._open is not None:
                self.end(int(offsets[start]) if self._open[0] == warc else None)
            self._count(warc, offsets[start:stop], codes[start : stop - 1], verdicts)
            self._open = (warc, int(offsets[stop - 1]), verdicts[codes[stop - 1]])

    def end(self, end: int | None = None) -> None:
        """Count the last row up to `end`, by default the end of its archive."""
        if self._open is not None:
            warc, start, verdict = self._open
            end = self._sizes.get(warc, 0) if end is None else end
            self._count(warc, np.array([start, end]), np.array([0]), [verdict])
            self._open = None

    def _count(self, warc: str, offsets: np.ndarray, codes: np.ndarray, verdicts: list[Verdict]) -> None:
        """Count the bytes between neighboring offsets, without quarantined bytes."""
        starts, ends = offsets[:-1], offsets[1:]
        sizes = np.maximum(ends - starts, 0)
        for first, last in self._gaps.get(warc, ()):
            sizes -= np.maximum(np.minimum(ends, last) - np.maximum(starts, first), 0)
        sums = np.zeros(len(verdicts), dtype=np.int64)
        np.add.at(sums, codes, sizes)
        for verdict, size in zip(verdicts, sums.tolist(), strict=True):
            self.totals[verdict] += size
