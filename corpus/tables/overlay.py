"""The verdicts of comparisons, laid over a unit's ledger or corpus rows. The rows come in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.outcome import DROPPED, KEPT
from corpus.tables.verdicts import Compared
from corpus.text.lines import without_lines
from corpus.text.vocabulary import Flags, Ints


class Overlay:
    """The verdicts on one unit: a batch for each comparison, in the order of the recipe."""

    def __init__(self, stages: Sequence[Compared], verdicts: Sequence[pa.RecordBatch]) -> None:
        self._verdicts = [
            (one, batch, batch["corpus_row"].to_numpy()) for one, batch in zip(stages, verdicts, strict=True)
        ]
        self._before = 0  # the number of corpus rows so far

    def corpus(self, table: pa.Table) -> pa.Table:
        """Return the next corpus rows, without removed rows and without removed lines.

        `duplicates` counts the documents that were removed in favor of the kept one.
        """
        kept = np.ones(table.num_rows, dtype=bool)
        duplicates = np.zeros(table.num_rows, dtype=np.int64)
        for stage, verdicts, at in self._next(np.arange(table.num_rows)):
            removed = verdicts["removed"].to_numpy(zero_copy_only=False)
            kept[at] &= ~removed
            if stage.compares == "documents":
                duplicates[at] += verdicts["cluster_size"].to_numpy() - 1
                table = put(table, np.ones_like(kept), {"duplicates": pa.array(duplicates)})
            else:
                some, lines = at[~removed], verdicts["cut"].filter(pa.array(~removed)).to_pylist()
                texts = table["text"].take(pa.array(some)).to_pylist()
                texts = [without_lines(text, cut, stage.split) for text, cut in zip(texts, lines, strict=True)]
                table = put(table, _mask(some, table), {"text": pa.array(texts, pa.string())})
        return table if kept.all() else table.filter(pa.array(kept))

    def ledger(self, table: pa.Table) -> pa.Table:
        """Return the next ledger rows with the outcome, the evidence and the measures of all comparisons."""
        for stage, verdicts, at in self._next(np.flatnonzero(pc.equal(table["outcome"], KEPT).to_numpy())):
            measures = {f"{stage.stage}.{name}": verdicts[column] for name, column in stage.measures.items()}
            table = put(table, _mask(at, table), measures)
            gone = verdicts.filter(verdicts["removed"])
            about = {name: gone[name] for name in ("rule", "value", "limit", "detail")}
            removed = at[verdicts["removed"].to_numpy(zero_copy_only=False)]
            table = put(table, _mask(removed, table), {"outcome": DROPPED, "stage": stage.stage, **about})
        return table

    def _next(self, positions: Ints) -> Iterator[tuple[Compared, pa.RecordBatch, Ints]]:
        """Yield the verdicts on the next corpus rows, and the positions of their documents.

        `positions` are those of the corpus rows in a table.
        """
        first, end = self._before, self._before + len(positions)
        self._before = end
        for stage, verdicts, rows in self._verdicts:
            start, stop = np.searchsorted(rows, (first, end))
            if start < stop:
                yield stage, verdicts.slice(start, stop - start), positions[rows[start:stop] - first]


def put(table: pa.Table, here: np.ndarray, columns: Mapping[str, Any]) -> pa.Table:
    """Replace columns in some rows of a table. The new content is a single value or an array with a value per row."""
    mask = pa.array(here)
    for name, given in columns.items():
        index = table.schema.get_field_index(name)
        field = table.schema.field(index)
        column = table[name].combine_chunks()
        if isinstance(given, pa.Array | pa.ChunkedArray):
            values = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
            changed = pc.replace_with_mask(column, mask, values.cast(field.type))
        else:
            changed = pc.if_else(mask, pa.scalar(given, field.type), column)
        table = table.set_column(index, field, changed)
    return table


def _mask(at: Ints, table: pa.Table) -> Flags:
    mask = np.zeros(table.num_rows, dtype=np.bool_)
    mask[at] = True
    return mask
