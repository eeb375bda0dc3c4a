"""The documents that moved between two runs, by rule.

Both ledgers are read side by side. Their rows are ordered by (archive, offset), and ids are unique, so windows that end
at the same row hold the same documents. Memory is that of a few row groups, for runs of any length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.digests import differences
from corpus.outcome import DROPPED, KEPT
from corpus.runs.row_groups import read_batches, read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.runs.run_files import RunFiles

EXAMPLES = 5
"""URLs shown per move: the first ones."""

ABSENT = "absent"
"""The verdict of a document in the run that does not have it."""

_LEDGER_ROWS = 1 << 16
_CORPUS_ROWS = 1 << 10  # with their texts about 5 MB


@dataclass
class Move:
    """Documents with one verdict in the first run and another in the second."""

    documents: int = 0
    examples: list[str] = field(default_factory=list)
    """URLs, or ids of documents without one."""


@dataclass
class Diff:
    """The differences between two runs. Pairs of numbers are (first run, second run)."""

    recipe: list[str]
    """The differences between the recipes, one line each."""
    documents: tuple[int, int] = (0, 0)
    kept: tuple[int, int] = (0, 0)
    same: int = 0
    """Documents with the same verdict in both runs."""
    moves: dict[tuple[str, str], Move] = field(default_factory=dict)
    """The moves, by (first verdict, second verdict). A verdict is kept, `stage.rule`, `failed: kind` or
    `skipped: kind`."""
    same_text: int = 0
    """Documents kept in both runs with the same text."""
    other_text: int = 0
    """Documents kept in both runs with another text."""
    text_examples: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The differences as plain data."""
        ranked = sorted(self.moves.items(), key=lambda item: (-item[1].documents, item[0]))
        return {
            "recipe": self.recipe,
            "documents": list(self.documents),
            "kept": list(self.kept),
            "same": self.same,
            "moves": [
                {"from": old, "to": new, "documents": move.documents, "examples": move.examples}
                for (old, new), move in ranked
            ],
            "texts": {"same": self.same_text, "other": self.other_text, "examples": self.text_examples},
        }


def diff(first: RunFiles, second: RunFiles) -> Diff:
    """Compare two finished runs, document by document."""
    found = Diff(differences(first.info["recipe"], second.info["recipe"]))
    columns = ["id", "url", "warc", "offset", "outcome", "stage", "rule"]
    for one, other in _windows(*(_Side(run.paths("ledger"), columns, _LEDGER_ROWS) for run in (first, second))):
        _count(found, one, other)
    columns = ["id", "url", "warc", "offset", "text"]
    for one, other in _windows(*(_Side(run.paths("corpus"), columns, _CORPUS_ROWS) for run in (first, second))):
        _compare_texts(found, one, other)
    return found


class _Side:
    """The rows of one run, in order. Some are held in memory."""

    def __init__(self, paths: Sequence[Path], columns: list[str], rows: int) -> None:
        self._batches = read_batches(paths, columns, rows)
        self._held = read_rows(paths, 0, 0).select(columns)
        self.ended = False

    def load(self) -> None:
        """Read another batch."""
        batch = next(self._batches, None)
        if batch is None:
            self.ended = True
        else:
            self._held = pa.concat_tables([self._held, pa.Table.from_batches([batch])]).combine_chunks()

    @property
    def last(self) -> tuple[str, int] | None:
        """The position of the last row held."""
        return self._position(self._held.num_rows - 1) if self._held.num_rows else None

    def take(self, end: tuple[str, int] | None) -> pa.Table:
        """Release the rows before a position; all rows for None."""
        rows = self._held.num_rows
        number = rows if end is None else bisect_left(range(rows), end, key=self._position)
        before, self._held = self._held.slice(0, number), self._held.slice(number)
        return before

    def _position(self, row: int) -> tuple[str, int]:
        return self._held["warc"][row].as_py(), self._held["offset"][row].as_py()


def _windows(one: _Side, other: _Side) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield rows of both sides, up to the same position."""
    while not (one.ended and other.ended):
        reach = min((last for side in (one, other) if not side.ended and (last := side.last)), default=("", 0))
        for side in (one, other):
            if not side.ended and (side.last is None or side.last <= reach):
                side.load()
        lasts = [side.last for side in (one, other) if not side.ended]
        if None not in lasts:
            # the next batch may begin with more rows at the last position of this one
            end = min((last for last in lasts if last is not None), default=None)
            yield one.take(end), other.take(end)


def _verdicts(table: pa.Table) -> pa.Array:
    stage, rule = (pc.fill_null(table[name], "") for name in ("stage", "rule"))
    dropped = pc.binary_join_element_wise(stage, rule, ".")
    other = pc.binary_join_element_wise(table["outcome"], rule, ": ")
    found = pc.if_else(pc.equal(table["outcome"], DROPPED), dropped, other)
    return pc.if_else(pc.equal(table["outcome"], KEPT), KEPT, found).combine_chunks()


def _count(found: Diff, one: pa.Table, other: pa.Table) -> None:
    verdicts = _verdicts(one), _verdicts(other)
    kept = [pc.sum(pc.equal(side, KEPT)).as_py() or 0 for side in verdicts]
    found.documents = (found.documents[0] + one.num_rows, found.documents[1] + other.num_rows)
    found.kept = (found.kept[0] + kept[0], found.kept[1] + kept[1])
    at = pc.index_in(one["id"], value_set=other["id"].combine_chunks()).combine_chunks()
    both = at.is_valid()
    old, new = verdicts[0].filter(both), verdicts[1].take(at.drop_null())
    moved = pc.not_equal(old, new)
    found.same += len(old) - (pc.sum(moved).as_py() or 0)
    _add(found, one.filter(both).filter(moved), old.filter(moved), new.filter(moved))
    alone = pc.invert(both)
    _add(found, one.filter(alone), verdicts[0].filter(alone), None)
    unseen = np.ones(other.num_rows, np.bool_)
    unseen[at.drop_null().to_numpy()] = False
    rest = pa.array(unseen)
    _add(found, other.filter(rest), None, verdicts[1].filter(rest))


def _add(found: Diff, rows: pa.Table, old: pa.Array | None, new: pa.Array | None) -> None:
    """Add moves. The verdict None stands for a run that does not have these documents."""
    if not rows.num_rows:
        return
    absent = pa.repeat(ABSENT, rows.num_rows)
    table = pa.table({"old": absent if old is None else old, "new": absent if new is None else new})
    for pair in table.group_by(["old", "new"]).aggregate([([], "count_all")]).to_pylist():
        move = found.moves.setdefault((pair["old"], pair["new"]), Move())
        move.documents += pair["count_all"]
        if len(move.examples) < EXAMPLES:
            same = pc.and_(pc.equal(table["old"], pair["old"]), pc.equal(table["new"], pair["new"]))
            _add_examples(move.examples, rows, same)


def _compare_texts(found: Diff, one: pa.Table, other: pa.Table) -> None:
    at = pc.index_in(one["id"], value_set=other["id"].combine_chunks()).combine_chunks()
    both = one.filter(at.is_valid())
    same = pc.equal(both["text"], other["text"].combine_chunks().take(at.drop_null()))
    count = pc.sum(same).as_py() or 0
    found.same_text += count
    found.other_text += both.num_rows - count
    _add_examples(found.text_examples, both, pc.invert(same))


def _add_examples(examples: list[str], rows: pa.Table, chosen: pa.Array) -> None:
    """Add the URLs of chosen rows, or their ids, until there are enough."""
    if len(examples) < EXAMPLES:
        wanted = rows.select(["url", "id"]).filter(chosen).slice(0, EXAMPLES - len(examples))
        examples += [row["url"] or row["id"] for row in wanted.to_pylist()]
