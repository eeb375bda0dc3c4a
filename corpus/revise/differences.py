"""The documents that moved between two runs, by rule.

Both ledgers are read side by side. The rows of a ledger are ordered by (archive, offset), and ids are unique, so
windows that end at the same row hold the same documents. Runs of any length need the memory of only a few row groups.
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
"""The usual number of example URLs per move. The first URLs are shown."""

ABSENT = "absent"
"""The verdict of a document in the run that does not have it."""

_END = ("\U0010ffff", 0)  # comes after every position
_LEDGER_ROWS = 1 << 16
_CORPUS_ROWS = 1 << 10  # these rows and their texts take about 5 MB


@dataclass
class Move:
    """Documents that had one verdict in the first run and have another in the second."""

    documents: int = 0
    examples: list[str] = field(default_factory=list)
    """The URLs of some documents, or the ids of documents without a URL."""
    ids: list[tuple[str, str]] = field(default_factory=list)
    """The ids of these documents in both runs, "" in the run that does not have the document."""


@dataclass
class Diff:
    """The differences between two runs. In each pair, the first number belongs to the first run."""

    recipe: list[str]
    """The differences between the recipes, one line each."""
    documents: tuple[int, int] = (0, 0)
    kept: tuple[int, int] = (0, 0)
    same: int = 0
    """The number of documents with the same verdict in both runs."""
    moves: dict[tuple[str, str], Move] = field(default_factory=dict)
    """The moves, by (first verdict, second verdict).

    A verdict is `kept`, `stage.rule`, `failed: kind` or `skipped: kind`.
    """
    same_text: int = 0
    """The number of documents kept in both runs with the same text."""
    other_text: int = 0
    """The number of documents kept in both runs with different texts."""
    text_examples: list[str] = field(default_factory=list)
    text_ids: list[tuple[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the differences as plain data."""
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


def diff(first: RunFiles, second: RunFiles, examples: int = EXAMPLES) -> Diff:
    """Compare two finished runs, document by document. `examples` is the most examples per move."""
    found = Diff(differences(first.info["recipe"], second.info["recipe"]))
    columns = ["id", "url", "warc", "offset", "outcome", "stage", "rule"]
    for one, other in _windows(*(_Side(run.paths("ledger"), columns, _LEDGER_ROWS) for run in (first, second))):
        _count(found, one, other, examples)
    columns = ["id", "url", "warc", "offset", "text"]
    for one, other in _windows(*(_Side(run.paths("corpus"), columns, _CORPUS_ROWS) for run in (first, second))):
        _compare_texts(found, one, other, examples)
    return found


@dataclass(frozen=True)
class Returned:
    """A page that comes back in a replay, as a whole or with lines that the run had removed.

    A page comes back when a takedown removes the page that it duplicated, or whose lines it repeated.
    """

    id: str
    url: str
    lines: int
    """The number of lines, or 0 for a whole page."""


def returned(run: RunFiles, replayed: RunFiles) -> Iterator[Returned]:
    """Yield the pages that come back in a replay of a run, in order. Both runs have the same rows."""
    lines = [
        f"{name}.{measure}"
        for name, one in run.info["compared"].items()
        for measure, column in one["measures"].items()
        if column == "lines_removed"
    ]
    columns = ["id", "url", "warc", "offset", "outcome", *lines]
    for old, new in _windows(*(_Side(one.paths("ledger"), columns, _LEDGER_ROWS) for one in (run, replayed))):
        kept = pc.equal(new["outcome"], KEPT).to_numpy()
        was_kept = pc.equal(old["outcome"], KEPT).to_numpy()
        back = np.zeros(old.num_rows, np.int64)
        for column in lines:
            back += pc.subtract(*(pc.fill_null(table[column], 0) for table in (old, new))).to_numpy()
        back[~was_kept] = 0
        here = pa.array(kept & (~was_kept | (back > 0)))
        for row, count in zip(new.filter(here).to_pylist(), back[here.to_numpy(False)].tolist(), strict=True):
            yield Returned(row["id"], row["url"], count)


class _Side:
    """The rows of one run, in order. A few rows are held in memory."""

    def __init__(self, paths: Sequence[Path], columns: list[str], rows: int) -> None:
        self._batches = (batch for batch in read_batches(paths, columns, rows) if batch.num_rows)
        self._held = read_rows(paths, 0, 0).select(columns)
        self.last: tuple[str, int] = ("", -1)
        """The position of the last row held, or _END after the last batch."""

    def load(self) -> None:
        """Read the next batch."""
        batch = next(self._batches, None)
        if batch is None:
            self.last = _END
        else:
            self._held = pa.concat_tables([self._held, pa.Table.from_batches([batch])]).combine_chunks()
            self.last = self._position(self._held.num_rows - 1)

    def take(self, end: tuple[str, int]) -> pa.Table:
        """Release the rows before a position."""
        number = bisect_left(range(self._held.num_rows), end, key=self._position)
        before, self._held = self._held.slice(0, number), self._held.slice(number)
        return before

    def _position(self, row: int) -> tuple[str, int]:
        return self._held["warc"][row].as_py(), self._held["offset"][row].as_py()


def _windows(one: _Side, other: _Side) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield rows of both sides. The windows of each pair end at the same position."""
    while (reach := min(one.last, other.last)) != _END:
        for side in (one, other):
            if side.last == reach:
                side.load()
        end = min(one.last, other.last)  # rows at this position stay, as the next batch may begin with more of them
        yield one.take(end), other.take(end)


def verdicts_of(table: pa.Table) -> pa.Array:
    """Return the verdict of each ledger row, as in `Diff.moves`."""
    stage, rule = (pc.fill_null(table[name], "") for name in ("stage", "rule"))
    dropped = pc.binary_join_element_wise(stage, rule, ".")
    other = pc.binary_join_element_wise(table["outcome"], rule, ": ")
    found = pc.if_else(pc.equal(table["outcome"], DROPPED), dropped, other)
    return pc.if_else(pc.equal(table["outcome"], KEPT), KEPT, found).combine_chunks()


def _count(found: Diff, one: pa.Table, other: pa.Table, most: int) -> None:
    verdicts = verdicts_of(one), verdicts_of(other)
    kept = [pc.sum(pc.equal(side, KEPT)).as_py() or 0 for side in verdicts]
    found.documents = (found.documents[0] + one.num_rows, found.documents[1] + other.num_rows)
    found.kept = (found.kept[0] + kept[0], found.kept[1] + kept[1])
    at = _positions(one, other)
    new = pa.array(~np.isin(np.arange(other.num_rows), at.drop_null()))
    rows = pa.concat_tables([one.select(["id", "url"]), other.select(["id", "url"]).filter(new)])
    olds = pa.concat_arrays([verdicts[0], pa.repeat(ABSENT, rows.num_rows - one.num_rows)])
    news = pa.concat_arrays([pc.fill_null(verdicts[1].take(at), ABSENT), verdicts[1].filter(new)])
    rows = rows.append_column("old", olds).append_column("new", news)
    moved = rows.filter(pc.not_equal(olds, news))
    found.same += rows.num_rows - moved.num_rows
    for pair in moved.group_by(["old", "new"]).aggregate([([], "count_all")]).to_pylist():
        move = found.moves.setdefault((pair["old"], pair["new"]), Move())
        move.documents += pair["count_all"]
        if len(move.examples) < most:
            same = pc.and_(pc.equal(moved["old"], pair["old"]), pc.equal(moved["new"], pair["new"]))
            there = pair["old"] != ABSENT, pair["new"] != ABSENT
            _add_examples(move.examples, move.ids, moved.filter(same), there, most)


def _positions(one: pa.Table, other: pa.Table) -> pa.Array:
    """Return, for each row, the row of the other table with the same document, or null if there is none."""
    return pc.index_in(one["id"], value_set=other["id"].combine_chunks()).combine_chunks()


def _compare_texts(found: Diff, one: pa.Table, other: pa.Table, most: int) -> None:
    at = _positions(one, other)
    both = one.filter(at.is_valid())
    same = pc.equal(both["text"], other["text"].combine_chunks().take(at.drop_null()))
    count = pc.sum(same).as_py() or 0
    found.same_text += count
    found.other_text += both.num_rows - count
    _add_examples(found.text_examples, found.text_ids, both.filter(pc.invert(same)), (True, True), most)


def _add_examples(
    examples: list[str], ids: list[tuple[str, str]], rows: pa.Table, there: tuple[bool, bool], most: int
) -> None:
    """Add the URLs of rows, or their ids, and the ids in each run that has them, until there are enough."""
    for row in rows.select(["url", "id"]).slice(0, most - len(examples)).to_pylist():
        examples.append(row["url"] or row["id"])
        ids.append((row["id"] if there[0] else "", row["id"] if there[1] else ""))
