"""A run that is served: its ledger is read from a copy, and its texts by the numbers of their rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import InputError
from corpus.outcome import KEPT
from corpus.run import Run
from corpus.runs.ledger_copy import LedgerCopy, cache_folder
from corpus.runs.row_groups import Rows


@dataclass(frozen=True)
class ServedRun(Run):
    """A finished run that answers many questions."""

    @property
    def folder(self) -> Path:
        """The folder for what is made from the run, and can be made again."""
        return cache_folder(self.location)

    @cached_property
    def copy(self) -> LedgerCopy:
        return LedgerCopy(self, self.folder)

    @cached_property
    def _texts(self) -> Sequence[Rows]:
        return super().groups("corpus")

    def groups(self, kind: str) -> Sequence[Rows]:
        return self.copy.groups if kind == "ledger" else self._texts

    @cached_property
    def _kept_before(self) -> list[int]:
        """The number of kept pages before each row group of the ledger."""
        counts = [0]
        for group in self.groups("ledger"):
            with group.open() as read:
                counts.append(counts[-1] + int(pc.sum(pc.equal(read(["outcome"])["outcome"], KEPT)).as_py() or 0))
        return counts

    def row(self, number: int) -> dict[str, Any]:
        """Return a row of the ledger with all columns. Raises InputError if there is no such row."""
        group = self._group("ledger", number)
        with group.open() as read:
            (row,) = read(group.names).slice(number - group.first, 1).to_pylist()
        return dict(row)

    def rows_of(self, texts: Sequence[int]) -> list[int]:
        """Return the ledger rows of texts, which are rows of the corpus, in ascending order."""
        found: list[int] = []
        wanted = np.asarray(sorted(texts))
        for number, group in enumerate(self.groups("ledger")):
            first, end = self._kept_before[number : number + 2]
            here = wanted[(wanted >= first) & (wanted < end)] - first
            if len(here):
                with group.open() as read:
                    kept = np.flatnonzero(pc.equal(read(["outcome"])["outcome"], KEPT).to_numpy())
                found += (kept[here] + group.first).tolist()
        return found

    def kept_text(self, number: int) -> dict[str, Any] | None:
        """Return the corpus row of a kept page, or None. `number` is its row in the ledger."""
        groups = self.groups("ledger")
        at = bisect_right(groups, number, key=lambda group: group.first) - 1
        with groups[at].open() as read:
            kept = pc.equal(read(["outcome"])["outcome"], KEPT).to_numpy()
        here = number - groups[at].first
        if not kept[here]:
            return None
        text = self._kept_before[at] + int(np.count_nonzero(kept[:here]))
        group = self._group("corpus", text)
        with group.open() as read:
            (row,) = read(group.names).slice(text - group.first, 1).to_pylist()
        return dict(row)

    def number_of(self, record: str) -> int:
        """Return the row of an id in the ledger. Raises InputError if there is no such id."""
        for group in self.groups("ledger"):
            with group.open() as read:
                found = pc.index(read(["id"])["id"], pa.scalar(record)).as_py()
            if found >= 0:
                return int(found) + group.first
        raise InputError("The run has no such page.", "It may have been removed.")

    def _group(self, kind: str, number: int) -> Rows:
        groups = self.groups(kind)
        at = bisect_right(groups, number, key=lambda group: group.first) - 1
        if at < 0 or not groups[at].first <= number < groups[at].first + groups[at].rows:
            raise InputError("The run has no such page.", "It may have been removed.")
        return groups[at]
