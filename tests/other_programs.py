"""Files of documents as other programs write them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, Any]]


def pandas_parquet(rows: Rows, path: Path, group: int) -> None:
    import pandas

    pandas.DataFrame(rows).to_parquet(f"{path}.parquet", row_group_size=group)


def pandas_gzip(rows: Rows, path: Path, group: int) -> None:
    """Lines in which each character beyond ASCII is escaped."""
    import pandas

    pandas.DataFrame(rows).to_json(f"{path}.jsonl.gz", orient="records", lines=True)


def polars_parquet(rows: Rows, path: Path, group: int) -> None:
    import polars

    polars.DataFrame(rows).write_parquet(f"{path}.parquet", row_group_size=group)


def polars_lines(rows: Rows, path: Path, group: int) -> None:
    import polars

    polars.DataFrame(rows).write_ndjson(f"{path}.ndjson")


def datasets_parquet(rows: Rows, path: Path, group: int) -> None:
    import datasets

    datasets.Dataset.from_list([dict(row) for row in rows]).to_parquet(f"{path}.parquet", batch_size=group)


def datasets_lines(rows: Rows, path: Path, group: int) -> None:
    import datasets

    datasets.Dataset.from_list([dict(row) for row in rows]).to_json(f"{path}.jsonl")


def duckdb_parquet(rows: Rows, path: Path, group: int) -> None:
    import duckdb
    import pyarrow as pa

    table = pa.Table.from_pylist(list(rows))
    with duckdb.connect() as connection:
        connection.register("given", table)
        connection.sql(f"COPY given TO '{path}.parquet' (CODEC zstd, ROW_GROUP_SIZE {group})")


def gzip_tool(rows: Rows, path: Path, group: int) -> None:
    """Members of `group` lines, one behind the other."""
    with open(f"{path}.jsonl.gz", "wb") as file:
        for start in range(0, len(rows), group):
            file.write(_piped(["gzip", "-9", "-c"], rows[start : start + group]))


def zstd_tool(rows: Rows, path: Path, group: int) -> None:
    """One frame with a long window."""
    Path(f"{path}.jsonl.zst").write_bytes(_piped(["zstd", "-q", "--long=27", "-c"], rows))


def _piped(command: Sequence[str], rows: Rows) -> bytes:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return subprocess.run(command, input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout


WRITERS: dict[str, Callable[[Rows, Path, int], None]] = {
    function.__name__: function
    for function in (
        pandas_parquet, pandas_gzip, polars_parquet, polars_lines, datasets_parquet, datasets_lines, duckdb_parquet,
        gzip_tool, zstd_tool,
    )
}  # fmt: skip
