"""Which documents moved between two runs, by rule: both ledgers read side by side, in the order that both are in.

Rows are in (archive, offset) order and ids are unique, so that two windows that reach equally far hold the same
documents: memory is that of a few row groups, however long the runs are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.digests import differences
from corpus.outcome import KEPT
from corpus.tables.row_groups import read_batches

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.tables.run_files import RunFiles

EXAMPLES = 5
"""URLs shown for a move: the first ones."""

NOWHERE = "absent"
"""Where a document is that only one of the runs has."""

_LEDGER_ROWS = 1 << 16
_CORPUS_ROWS = 1 << 10  # texts: some 5 MB


@dataclass
class Move:
    """Documents that ended in one place in the first run and in another in the second."""

    documents: int = 0
    examples: list[str] = field(default_factory=list)
    """URLs, or ids where there is none."""


@dataclass
class Diff:
    """What two runs make of their documents."""

    recipe: list[str]
    """What differs between the recipes, one line each."""
    documents: tuple[int, int] = (0, 0)
    kept: tuple[int, int] = (0, 0)
    same: int = 0
    """Documents that end in the same place in both."""
    moves: dict[tuple[str, str], Move] = field(default_factory=dict)
    """By where they end in the first run and in the second: kept, `stage.rule`, or a kind of failure or skip."""
    same_text: int = 0
    other_text: int = 0
    """Documents kept in both, by whether their text is the same."""
    text_examples: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
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
    sides = (_Rows(run.paths("ledger"), columns, _LEDGER_ROWS) for run in (first, second))
    for one, other in _windows(*sides):
        _count(found, one, other)
    columns = ["id", "url", "warc", "offset", "text"]
    sides = (_Rows(run.paths("corpus"), columns, _CORPUS_ROWS) for run in (first, second))
    for one, other in _windows(*sides):
        _compare_texts(found, one, other)
    return found


class _Rows:
    """The rows of some files in order, held as far as needed."""

    def __init__(self, paths: Sequence[Path], columns: list[str], rows: int) -> None:
        self._batches = read_batches(paths, columns, rows)
        self.held: pa.Table | None = None
        self.ended = False

    def more(self) -> None:
        """Hold one batch more."""
        batch = next(self._batches, None)
        if batch is None:
            self.ended = True
            return
        table = pa.Table.from_batches([batch])
        self.held = table if self.held is None else pa.concat_tables([self.held, table]).combine_chunks()

    @property
    def last(self) -> tuple[str, int] | None:
        """The place of the last row held."""
        if self.held is None or not self.held.num_rows:
            return None
        return self.held["warc"][-1].as_py(), self.held["offset"][-1].as_py()

    def before(self, place: tuple[str, int] | None) -> pa.Table | None:
        """Give away the rows that lie before a place, all of them for None."""
        if self.held is None:
            return None
        end = self.held.num_rows if place is None else self._find(self.held, place)
        taken, self.held = self.held.slice(0, end), self.held.slice(end)
        return taken

    @staticmethod
    def _find(table: pa.Table, place: tuple[str, int]) -> int:
        low, high = 0, table.num_rows
        while low < high:
            middle = (low + high) // 2
            if (table["warc"][middle].as_py(), table["offset"][middle].as_py()) < place:
                low = middle + 1
            else:
                high = middle
        return low


def _windows(one: _Rows, other: _Rows) -> Iterator[tuple[pa.Table | None, pa.Table | None]]:
    """Rows of both sides up to the same places."""
    while not (one.ended and other.ended):
        for side in (one, other):
            if not side.ended and (side.last is None or side.last <= min(_lasts(one, other))):
                side.more()
        lasts = [side.last for side in (one, other) if not side.ended]
        if any(last is None for last in lasts):
            continue
        # what lies at the last place of one may go on in its next batch
        place = min((last for last in lasts if last is not None), default=None)
        yield one.before(place), other.before(place)


def _lasts(*sides: _Rows) -> list[tuple[str, int]]:
    return [side.last for side in sides if not side.ended and side.last is not None] or [("", 0)]


def _ends(table: pa.Table) -> pa.Array:
    """Where each row ends, as one text."""
    where = pc.binary_join_element_wise(pc.fill_null(table["stage"], ""), pc.fill_null(table["rule"], ""), ".")
    kept = pc.equal(table["outcome"], KEPT)
    dropped = pc.equal(table["outcome"], "dropped")
    other = pc.binary_join_element_wise(table["outcome"], pc.fill_null(table["rule"], ""), ": ")
    return pc.if_else(kept, KEPT, pc.if_else(dropped, where, other)).combine_chunks()


def _count(found: Diff, one: pa.Table | None, other: pa.Table | None) -> None:
    ends = [pa.array([], pa.string()) if side is None else _ends(side) for side in (one, other)]
    found.documents = (found.documents[0] + len(ends[0]), found.documents[1] + len(ends[1]))
    kept = [pc.sum(pc.equal(end, KEPT)).as_py() or 0 for end in ends]
    found.kept = (found.kept[0] + kept[0], found.kept[1] + kept[1])
    if one is None or other is None:
        for side, end in zip((one, other), ends, strict=True):
            if side is not None:
                _add(found, side, *((end, None) if side is one else (None, end)))
        return
    at = pc.index_in(one["id"], value_set=other["id"].combine_chunks()).combine_chunks()
    both = at.is_valid()
    mine, theirs = ends[0].filter(both), ends[1].take(at.drop_null())
    moved = pc.not_equal(mine, theirs)
    found.same += len(mine) - (pc.sum(moved).as_py() or 0)
    _add(found, one.filter(both).filter(moved), mine.filter(moved), theirs.filter(moved))
    alone = pc.invert(both)
    _add(found, one.filter(alone), ends[0].filter(alone), None)
    unseen = np.ones(other.num_rows, np.bool_)
    unseen[at.drop_null().to_numpy()] = False
    rest = pa.array(unseen)
    _add(found, other.filter(rest), None, ends[1].filter(rest))


def _add(found: Diff, rows: pa.Table, old: pa.Array | None, new: pa.Array | None) -> None:
    """Count moves; an end of None is that of documents that a run does not have."""
    if not rows.num_rows:
        return
    absent = pa.repeat(NOWHERE, rows.num_rows)
    table = pa.table({"old": absent if old is None else old, "new": absent if new is None else new})
    for pair in table.group_by(["old", "new"]).aggregate([([], "count_all")]).to_pylist():
        move = found.moves.setdefault((pair["old"], pair["new"]), Move())
        move.documents += pair["count_all"]
        if len(move.examples) < EXAMPLES:
            same = pc.and_(pc.equal(table["old"], pair["old"]), pc.equal(table["new"], pair["new"]))
            move.examples += _named(rows.filter(same).slice(0, EXAMPLES - len(move.examples)))


def _compare_texts(found: Diff, one: pa.Table | None, other: pa.Table | None) -> None:
    if one is None or other is None:
        return
    at = pc.index_in(one["id"], value_set=other["id"].combine_chunks()).combine_chunks()
    mine = one.filter(at.is_valid())
    same = pc.equal(mine["text"], other["text"].combine_chunks().take(at.drop_null()))
    count = pc.sum(same).as_py() or 0
    found.same_text += count
    found.other_text += mine.num_rows - count
    if len(found.text_examples) < EXAMPLES:
        found.text_examples += _named(mine.filter(pc.invert(same)).slice(0, EXAMPLES - len(found.text_examples)))


def _named(rows: pa.Table) -> list[str]:
    return [row["url"] or row["id"] for row in rows.select(["url", "id"]).to_pylist()]
