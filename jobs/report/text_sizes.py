"""The kept texts: how many bytes they have, in all, by length and by language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.run import Run
from jobs.report.bins import Bins

_PER_DECADE = 10
_ROWS = 1024


_EDGES = np.unique(np.round(10.0 ** (np.arange(8 * _PER_DECADE + 1) / _PER_DECADE)))
LENGTHS = Bins(np.append(0.0, np.append(_EDGES, np.inf)), "log", {})
"""Bins of empty texts, of 1 byte to 100 MB, and of more."""


@dataclass
class Texts:
    """Kept documents and the UTF-8 bytes of their texts."""

    documents: int = 0
    bytes: int = 0
    most: int = 0
    lengths: np.ndarray = field(default_factory=lambda: np.zeros(LENGTHS.number, dtype=np.int64))
    languages: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Language to documents and bytes; "" where none was found out."""


def measure_texts(run: Run) -> Texts:
    """Read the texts of a run's corpus, some thousand at a time."""
    found = Texts()
    for batch in _batches(run):
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


def _batches(run: Run) -> Iterator[pa.RecordBatch]:
    for path in run.paths("corpus"):
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=_ROWS, columns=["text", "language"])
