"""What dedup found of a unit, laid over its ledger or corpus rows, which come in order.

Both dedups count a unit's corpus rows before any is removed.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.outcome import DROPPED, KEPT
from corpus.tables.verdict_columns import CUT_MEASURES, MEASURES
from corpus.text.lines import without_lines
from corpus.text.vocabulary import Ints


class Overlay:
    """`told` are the verdicts of the dedup by documents, `cuts` of that by lines, of one unit."""

    def __init__(self, told: pa.RecordBatch, cuts: pa.RecordBatch) -> None:
        self._told, self._cuts = _Rows(told), _Rows(cuts)
        self._before = 0  # corpus rows so far

    def corpus(self, table: pa.Table, split: str) -> pa.Table:
        """The next corpus rows, without the removed ones, with the number of duplicates that a kept one stands for, and
        without the lines that go."""
        told, at, cuts, cut_at = self._next(np.arange(table.num_rows))
        kept = np.ones(table.num_rows, dtype=bool)
        if told.num_rows:
            duplicates = np.zeros(table.num_rows, dtype=np.int64)
            duplicates[at] = told["cluster_size"].to_numpy() - 1
            kept[at] = ~_bools(told["removed"])
            table = _set(table, "duplicates", pa.array(duplicates))
        if cuts.num_rows:
            removed = _bools(cuts["removed"])
            kept[cut_at] &= ~removed
            some, lines = cut_at[~removed], cuts["cut"].filter(pa.array(~removed)).to_pylist()
            texts = table["text"].take(pa.array(some)).to_pylist()
            texts = [without_lines(text, gone, split) for text, gone in zip(texts, lines, strict=True)]
            table = _with(table, some, {"text": pa.array(texts, pa.string())})
        return table if kept.all() else table.filter(pa.array(kept))

    def ledger(self, table: pa.Table, stage: str, limit: float | None, lines: str) -> pa.Table:
        """The next ledger rows, with the outcome, the evidence and the measures of dedup: of `stage` and `lines`."""
        told, at, cuts, cut_at = self._next(np.flatnonzero(pc.equal(table["outcome"], KEPT).to_numpy()))
        if told.num_rows:
            table = _with(table, at, {f"{stage}.{name}": told[name] for name in MEASURES})
            removed = told["removed"]
            gone = told.filter(removed)
            about = {"rule": pa.repeat("similarity", gone.num_rows), "value": gone["similarity"]}
            about |= {"limit": pa.array(np.full(gone.num_rows, limit, np.float64)), "detail": gone["kept_id"]}
            table = _drop(table, at[_bools(removed)], stage, about)
        if cuts.num_rows:
            table = _with(table, cut_at, {f"{lines}.{name}": cuts[column] for name, column in CUT_MEASURES.items()})
            removed = cuts["removed"]
            gone = cuts.filter(removed)
            about = {"detail": gone["kept_in"], **{name: gone[name] for name in ("rule", "value", "limit")}}
            table = _drop(table, cut_at[_bools(removed)], lines, about)
        return table

    def _next(self, places: Ints) -> tuple[pa.RecordBatch, Ints, pa.RecordBatch, Ints]:
        """What is said of the next corpus rows, which lie at `places` of a table, and the places that it is of."""
        first, end = self._before, self._before + len(places)
        self._before = end
        told, cuts = self._told.between(first, end), self._cuts.between(first, end)
        at, cut_at = (places[rows["corpus_row"].to_numpy() - first] for rows in (told, cuts))
        return told, at, cuts, cut_at


class _Rows:
    """Verdicts in the order of their rows."""

    def __init__(self, told: pa.RecordBatch) -> None:
        self._told = told
        self._at = told["corpus_row"].to_numpy()

    def between(self, first: int, end: int) -> pa.RecordBatch:
        start, stop = np.searchsorted(self._at, (first, end))
        return self._told.slice(start, stop - start)


def _drop(table: pa.Table, at: Ints, stage: str, about: dict[str, pa.Array]) -> pa.Table:
    """The ledger rows at `at` as dropped ones."""
    fixed = {"outcome": pa.repeat(DROPPED, len(at)), "stage": pa.repeat(stage, len(at))}
    return _with(table, at, {**fixed, **about})


def _with(table: pa.Table, at: Ints, columns: dict[str, pa.Array]) -> pa.Table:
    """The table with other values in the rows at `at`, in order."""
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[at] = True
    for name, values in columns.items():
        column = table[name].combine_chunks()
        table = _set(table, name, pc.replace_with_mask(column, pa.array(mask), values.cast(column.type)))
    return table


def _set(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), values)


def _bools(column: pa.Array) -> np.ndarray:
    found: np.ndarray = column.to_numpy(zero_copy_only=False)
    return found
