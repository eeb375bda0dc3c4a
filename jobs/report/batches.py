"""A run's files as record batches."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.run import Run


def batches(run: Run, kind: str, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Read the files of a kind in order. A dataset's scanner would read ahead and take a gigabyte."""
    for path in run.paths(kind):
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=rows, columns=columns)
