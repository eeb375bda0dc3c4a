"""Signed lines in memory, as flat arrays with one entry per line, and what documents lose if some are removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.dedup.clusters import run_starts
from corpus.stage import BREAKS, BoundStage
from corpus.text.vocabulary import Flags, Hashes, Ints

NOT_COMPARED = 0
"""The hash of a line that is not compared."""

FACTS = ("lines", "removed", "chars", "chars_removed")
"""The counts for a document, as in `GroupLines.losses`."""

LOSERS_SCHEMA = pa.schema(
    [
        ("doc", pa.int64()),
        ("rule", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
        *((name, pa.int64()) for name in FACTS),
    ]
)


@dataclass(frozen=True)
class GroupLines:
    """The documents of a group and their lines, in order.

    `first` is the number of the first document, and the arrays count from there. `alive` is True for compared
    documents, and `doc` has the document of each line.
    """

    first: int
    ends: Ints
    """The end of each unit: its last document plus one."""
    alive: Flags
    archive: Ints
    offset: Ints
    inner: Ints
    hash: Hashes
    chars: Ints
    doc: Ints
    line: Ints
    """The number of each line in its document."""

    @property
    def compared(self) -> Flags:
        return np.not_equal(self.hash, NOT_COMPARED)

    def unit_of(self, docs: Ints) -> Ints:
        return np.searchsorted(self.ends, docs, side="right")

    def had(self) -> Hashes:
        """Return the sorted hashes of compared lines. A hash occurs once for each document that has the line."""
        at = np.flatnonzero(self.compared)
        order = at[np.argsort(self.hash[at], kind="stable")]  # documents ascend within a hash
        hashes = self.hash[order]
        return hashes[run_starts(hashes, self.doc[order])]

    def find(self, known: Hashes) -> Ints:
        """Return the index of each line in `known`, or -1 if the line is not there.

        `known` is sorted, without duplicates.
        """
        if not len(known):
            return np.full(len(self.hash), -1)
        at = np.minimum(np.searchsorted(known, self.hash), len(known) - 1)
        return np.where((known[at] == self.hash) & self.compared, at, -1)

    def first_of(self, at: Ints, count: int) -> Ints:
        """Return the first document that has each of `count` hashes, or -1 if none has it.

        `at` is the index of each line's hash.
        """
        firsts = np.full(count, -1, dtype=np.int64)
        lines = np.flatnonzero(at >= 0)[::-1]
        # the last write to an index counts, and the lines are written in reverse order
        firsts[at[lines]] = self.doc[lines]
        return firsts

    def losses(self, removed: Flags) -> dict[str, Ints]:
        """Return, for each document: lines compared, lines removed, characters, characters removed."""
        count = len(self.alive)
        sums = {
            "lines": np.bincount(self.doc[self.compared], minlength=count),
            "removed": np.bincount(self.doc[removed], minlength=count),
            "chars": np.bincount(self.doc, self.chars, minlength=count),
            "chars_removed": np.bincount(self.doc[removed], self.chars[removed], minlength=count),
        }
        return {name: values.astype(np.int64) for name, values in sums.items()}


def losing(lines: GroupLines, removed: Flags, bound: BoundStage, columns: Mapping[str, str]) -> pa.RecordBatch:
    """Return the documents that lose too many lines, with the first limit that each breaks.

    `removed` has one entry per line. `columns` names the evidence of each measure.
    """
    losses = lines.losses(removed)
    evidence = evidence_of(losses)
    rules: dict[int, tuple[str, float, float]] = {}
    for measure, limit in reversed(bound.limits.items()):
        values = evidence.get(columns[measure])
        # in reverse order, so that the first broken bound is written last
        for name, breaks in reversed(BREAKS.items()):
            if values is not None and (number := limit.bounds.get(name)) is not None:
                for doc in np.flatnonzero((losses["removed"] > 0) & breaks(values, number)).tolist():
                    rules[doc] = (measure, float(values[doc]), number)
    docs = np.array(sorted(rules), dtype=np.int64)
    verdicts = [[rules[doc][column] for doc in docs.tolist()] for column in range(3)]
    found = [docs + lines.first, *verdicts, *(losses[name][docs] for name in FACTS)]
    return pa.RecordBatch.from_arrays(found, schema=LOSERS_SCHEMA)


def evidence_of(losses: dict[str, Ints]) -> dict[str, np.ndarray]:
    """Return the columns of the verdicts that can drop a document, computed from the losses of each document."""
    return {
        "lines_compared": losses["lines"],
        "lines_removed": losses["removed"],
        "removed_ratio": losses["chars_removed"] / np.maximum(losses["chars"], 1),
        "chars_left": losses["chars"] - losses["chars_removed"],
    }


def best_kept(doc: Ints, keeper: Ints, chars: Ints) -> Ints:
    """Return one removed line of each document, by index. This line shows where the document's lines are kept.

    The line is one whose keeper has most of the document's removed lines, by characters. Among equal keepers the first
    is chosen. `doc`, `keeper` and `chars` have an entry per removed line.
    """
    order = np.lexsort((keeper, doc))
    starts = run_starts(doc[order], keeper[order])
    held = np.add.reduceat(chars[order], starts)
    firsts = order[starts]
    best = firsts[np.lexsort((keeper[firsts], -held, doc[firsts]))]
    return best[run_starts(doc[best])]
