"""Which bytes of the archives belong to which verdict.

A ledger row stands for the bytes from its record to the next row's (a request or metadata record that follows it
included), or to the end of the archive. So the sums are what the inputs weigh, less what lies before the first row
of each archive and what was quarantined. In an archive that is one compressed stream, offsets count decompressed bytes,
and the last record counts nothing, since nothing tells where it ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

Verdict = tuple[str, str, str]


class Spans:
    """Adds up spans over the rows of a ledger, which come in (archive, offset) order."""

    def __init__(self, info: dict[str, Any]) -> None:
        self._sizes = {item["name"]: item["bytes"] for item in info["inputs"]}
        self._gaps: dict[str, list[tuple[int, int]]] = {}
        for unit in info["quarantined"]:
            self._gaps.setdefault(unit["warc"], []).append((unit["start"], unit["end"]))
        self._totals: dict[Verdict, int] = {}
        self._open: tuple[str, int, Verdict] | None = None

    def add(self, warcs: pa.Array, offsets: np.ndarray, verdicts: list[Verdict]) -> None:
        """The next rows."""
        names = warcs.dictionary_encode()
        codes = names.indices.to_numpy()
        starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1])) if len(codes) else np.array([], dtype=int)
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(codes)], strict=True):
            self._add_run(names.dictionary[int(codes[start])].as_py(), offsets[start:stop], verdicts[start:stop])

    def _add_run(self, warc: str, offsets: np.ndarray, verdicts: list[Verdict]) -> None:
        """Rows of one archive."""
        if self._open is not None:
            before, offset, verdict = self._open
            self._count(before, offset, int(offsets[0]) if before == warc else self._sizes.get(before, 0), verdict)
        ends = offsets[1:].astype(np.int64)
        sizes = np.maximum(ends - offsets[:-1], 0)
        for start, end in self._gaps.get(warc, ()):
            inside = np.minimum(ends, end) - np.maximum(offsets[:-1], start)
            sizes -= np.maximum(inside, 0)
        known: dict[Verdict, int] = {}
        codes = np.array([known.setdefault(verdict, len(known)) for verdict in verdicts])
        sums = np.zeros(len(known), dtype=np.int64)
        np.add.at(sums, codes[:-1], sizes)
        for verdict, total in zip(known, sums.tolist(), strict=True):
            self._totals[verdict] = self._totals.get(verdict, 0) + total
        self._open = (warc, int(offsets[-1]), verdicts[-1])

    def _count(self, warc: str, start: int, end: int, verdict: Verdict) -> None:
        size = max(end - start, 0)
        for first, last in self._gaps.get(warc, ()):
            size -= max(min(end, last) - max(start, first), 0)
        self._totals[verdict] = self._totals.get(verdict, 0) + size

    def end(self) -> dict[Verdict, int]:
        """The bytes of each verdict."""
        if self._open is not None:
            warc, offset, verdict = self._open
            self._count(warc, offset, self._sizes.get(warc, 0), verdict)
            self._open = None
        return self._totals
