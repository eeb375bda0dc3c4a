"""The verdicts of comparisons, laid over a unit's ledger or corpus rows, which come in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.outcome import DROPPED, KEPT
from corpus.tables.verdicts import Compared
from corpus.text.lines import without_lines
from corpus.text.vocabulary import Ints


class Overlay:
    """The verdicts on one unit: a batch for each comparison, in the order of the recipe."""

    def __init__(self, stages: Sequence[Compared], verdicts: Sequence[pa.RecordBatch]) -> None:
        self._verdicts = [
            (one, batch, batch["corpus_row"].to_numpy()) for one, batch in zip(stages, verdicts, strict=True)
        ]
        self._before = 0  # corpus rows so far

    def corpus(self, table: pa.Table) -> pa.Table:
        """Return the next corpus rows without the removed ones and without the lines that were cut. `duplicates` counts
        the documents for which a kept one stands."""
        kept = np.ones(table.num_rows, dtype=bool)
        duplicates = np.zeros(table.num_rows, dtype=np.int64)
        for stage, verdicts, at in self._next(np.arange(table.num_rows)):
            removed = _bools(verdicts["removed"])
            kept[at] &= ~removed
            if stage.compares == "documents":
                duplicates[at] += verdicts["cluster_size"].to_numpy() - 1
                table = _set(table, "duplicates", pa.array(duplicates))
            else:
                some, lines = at[~removed], verdicts["cut"].filter(pa.array(~removed)).to_pylist()
                texts = table["text"].take(pa.array(some)).to_pylist()
                texts = [without_lines(text, cut, stage.split) for text, cut in zip(texts, lines, strict=True)]
                table = _with(table, some, {"text": pa.array(texts, pa.string())})
        return table if kept.all() else table.filter(pa.array(kept))

    def ledger(self, table: pa.Table) -> pa.Table:
        """Return the next ledger rows with the outcome, the evidence and the measures of all comparisons."""
        for stage, verdicts, at in self._next(np.flatnonzero(pc.equal(table["outcome"], KEPT).to_numpy())):
            measures = {f"{stage.stage}.{name}": verdicts[column] for name, column in stage.measures.items()}
            table = _with(table, at, measures)
            gone = verdicts.filter(verdicts["removed"])
            fixed = {"outcome": pa.repeat(DROPPED, gone.num_rows), "stage": pa.repeat(stage.stage, gone.num_rows)}
            about = {name: gone[name] for name in ("rule", "value", "limit", "detail")}
            table = _with(table, at[_bools(verdicts["removed"])], {**fixed, **about})
        return table

    def _next(self, positions: Ints) -> Iterator[tuple[Compared, pa.RecordBatch, Ints]]:
        """Yield the verdicts on the next corpus rows, which lie at `positions` of a table, with the positions that they
        are about."""
        first, end = self._before, self._before + len(positions)
        self._before = end
        for stage, verdicts, rows in self._verdicts:
            start, stop = np.searchsorted(rows, (first, end))
            if start < stop:
                yield stage, verdicts.slice(start, stop - start), positions[rows[start:stop] - first]


def _with(table: pa.Table, at: Ints, columns: dict[str, pa.Array]) -> pa.Table:
    """Return the table with other values in the rows at `at`, in order."""
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[at] = True
    for name, values in columns.items():
        column = table[name].combine_chunks()
        table = _set(table, name, pc.replace_with_mask(column, pa.array(mask), values.cast(column.type)))
    return table


def _set(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    index = table.schema.get_field_index(name)
    return table.set_column(index, table.schema.field(index), values)


def _bools(column: pa.Array) -> np.ndarray:
    found: np.ndarray = column.to_numpy(zero_copy_only=False)
    return found
