"""One attempt at a unit: run it under the guard, write its parts to scratch, commit them."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.sandbox.guard import Guard
from corpus.sandbox.unit import Batch, Unit, UnitFacts
from corpus.storage.commits import Commit, Part, add_part, commit, commit_key, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store
from corpus.tables.ledger import add_counts, no_counts
from corpus.tables.samples import SAMPLES_SCHEMA, draw

ROWS_PER_CHUNK = 1024
"""Rows of one record batch in a part. Fixed, so that a restarted page worker leaves the same bytes."""


class PartWriter:
    """Rows to an Arrow IPC file, in chunks that do not depend on how the rows arrived."""

    def __init__(self, path: Path, compression: str | None = "zstd") -> None:
        self.path = path
        self._compression = compression
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._writer: pa.RecordBatchFileWriter | None = None

    def add(self, table: pa.Table) -> None:
        if self._writer is None:
            options = pa.ipc.IpcWriteOptions(compression=self._compression, use_threads=False)
            self._writer = pa.ipc.new_file(str(self.path), table.schema, options=options)
        self.rows += table.num_rows
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        if self._waiting_rows >= ROWS_PER_CHUNK:
            self._flush(whole_chunks_only=True)

    def _flush(self, whole_chunks_only: bool) -> None:
        assert self._writer is not None
        rows = pa.concat_tables(self._waiting).combine_chunks()
        end = rows.num_rows - rows.num_rows % ROWS_PER_CHUNK if whole_chunks_only else rows.num_rows
        for start in range(0, end, ROWS_PER_CHUNK):
            self._writer.write_table(rows.slice(start, min(ROWS_PER_CHUNK, end - start)))
        self._waiting = [rows.slice(end)]
        self._waiting_rows = rows.num_rows - end

    def close(self) -> None:
        if self._writer is not None:
            self._flush(whole_chunks_only=False)
            self._writer.close()
            self._writer = None


def attempt_unit(
    store: Store,
    guard: Guard,
    unit: Unit,
    depends: str,
    *,
    taken: str = "",
    wall_s: float = math.inf,
    footprint: str = "",
) -> Commit:
    """The commit of a unit: the one that exists, or a new one. `depends` is a digest of recipe, code and versions; the
    rest is as in `Guard.run`."""
    key = commit_key("pass", unit.content(), depends)
    done = read_commit(store, key)
    if done is not None:
        return done
    reached("unit_begun")
    started = time.monotonic()
    stages: dict[str, float] = {}
    facts: UnitFacts = {
        "unit": unit.content(),
        "counts": no_counts(),
        "other_records": {},
        "exceptions": [],
        "seconds": 0.0,
    }
    writers: dict[str, PartWriter] = {}
    samples: list[dict[str, Any]] = []

    def take(batch: Batch) -> None:
        nonlocal samples
        samples = draw([*samples, *batch.tables["samples"].to_pylist()])
        for kind, table in batch.tables.items():
            if kind != "samples":
                writer(kind).add(table)
        reached("unit_batch_taken")
        add_counts(facts["counts"], batch.counts)
        add_counts(facts["other_records"], batch.other_records)
        add_counts(stages, batch.seconds)
        facts["exceptions"] += batch.exceptions
        facts["reached"] = batch.next[0]

    with ExitStack() as cleanup:

        def writer(kind: str) -> PartWriter:
            if kind not in writers:
                # hashes don't get smaller, and are read in place
                packed = kind not in ("signatures", "lines")
                writers[kind] = PartWriter(store.scratch(), "zstd" if packed else None)
                cleanup.callback(writers[kind].path.unlink, missing_ok=True)
                cleanup.callback(writers[kind].close)
            return writers[kind]

        guard.run(unit, take, taken=taken, wall_s=wall_s, footprint=footprint)
        if footprint:
            Path(footprint).unlink(missing_ok=True)  # no record is to blame for what comes now
        reached("unit_read")
        writer("samples").add(pa.Table.from_pylist(samples, schema=SAMPLES_SCHEMA))
        parts: list[Part] = []
        for kind, made in sorted(writers.items()):
            made.close()
            parts.append(add_part(store, kind, made.path, made.rows))
    facts["seconds"] = round(time.monotonic() - started, 3)
    facts["stages"] = {name: round(seconds, 3) for name, seconds in stages.items()}
    return commit(store, key, parts, facts)
