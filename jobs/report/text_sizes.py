"""The sizes of the kept texts: the total, by length and by language."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.run import Run
from corpus.runs.row_groups import read_batches
from jobs.report.bins import Bins

_ROWS = 1024
_PER_DECADE = 10
_EDGES = np.unique(np.round(10.0 ** (np.arange(8 * _PER_DECADE + 1) / _PER_DECADE)))
LENGTHS = Bins(np.append(0.0, np.append(_EDGES, np.inf)), "log", {})
"""Bins for empty texts, for texts of 1 byte to 100 MB, and for longer ones."""


@dataclass
class TextSizes:
    """The kept documents, and the UTF-8 bytes of their texts."""

    documents: int = 0
    bytes: int = 0
    most: int = 0
    lengths: np.ndarray = field(default_factory=lambda: np.zeros(LENGTHS.number, dtype=np.int64))
    languages: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The documents and bytes by language. "" is an unknown language."""


def measure_texts(run: Run) -> TextSizes:
    """Read the texts of a run's corpus, about a thousand at a time."""
    found = TextSizes()
    for batch in read_batches(run.paths("corpus"), ["text", "language"], _ROWS):
        sizes = pc.binary_length(batch["text"].cast(pa.binary())).to_numpy()
        if not len(sizes):
            continue
        found.documents += len(sizes)
        found.bytes += int(sizes.sum())
        found.most = max(found.most, int(sizes.max()))
        found.lengths += LENGTHS.count(sizes.astype(np.float64))
        table = pa.table({"language": pc.fill_null(batch["language"], ""), "bytes": pa.array(sizes, pa.int64())})
        for row in table.group_by("language").aggregate([("bytes", "count"), ("bytes", "sum")]).to_pylist():
            documents, size = found.languages.get(row["language"], (0, 0))
            found.languages[row["language"]] = documents + row["bytes_count"], size + row["bytes_sum"]
    return found
