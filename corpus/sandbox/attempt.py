"""An attempt at a unit. An attempt runs the unit under the guard, writes its parts, and commits them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.errors import IntegrityError
from corpus.net.urls import redact
from corpus.sandbox.captures import is_same, ranges_of, read_captures
from corpus.sandbox.guard import Guard
from corpus.sandbox.seen import see
from corpus.sandbox.unit import Batch, Unit, UnitFacts, UnitOptions
from corpus.storage.commits import Commit, Part, add_part, commit, commit_key, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store
from corpus.tables.ledger import add_counts, no_counts
from corpus.tables.samples import SAMPLES_SCHEMA, draw
from corpus.warc.source import input_changed

_REPORT = "Please report this."

ROWS_PER_CHUNK = 1024
"""The number of rows in a record batch of a part.

The number is fixed, so that a restarted page worker writes the same bytes.
"""


COMPRESSED_FROM = 1 << 16
"""A part is compressed if its rows have at least this many bytes.

Arrow makes a zstd context for each column, which takes 1.2 ms for one row of the ledger, and 1.4 ms when the row is
read.
"""


class PartWriter:
    """A writer of rows to an Arrow IPC file. The chunks of the file do not depend on how the rows arrived."""

    def __init__(self, path: Path, compression: str | None = "zstd") -> None:
        self.path = path
        self._compression = compression
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._written = 0
        self._writer: pa.RecordBatchFileWriter | None = None

    def add(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        self._waiting.append(table)
        if self.rows - self._written >= ROWS_PER_CHUNK:
            self._flush(self.rows - self.rows % ROWS_PER_CHUNK)

    def _flush(self, end: int) -> None:
        """Write the rows up to row `end` of the file."""
        rows = pa.concat_tables(self._waiting).combine_chunks()
        count = end - self._written
        # copied, because the bytes of a slice depend on its position in the table
        chunks = [
            rows.take(pa.array(range(start, min(start + ROWS_PER_CHUNK, count)), pa.int64()))
            for start in range(0, count, ROWS_PER_CHUNK)
        ]
        if self._writer is None:
            compression = self._compression if chunks and chunks[0].nbytes >= COMPRESSED_FROM else None
            options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
            self._writer = pa.ipc.new_file(str(self.path), rows.schema, options=options)
        for chunk in chunks:
            self._writer.write_table(chunk)
        self._waiting, self._written = [rows.slice(count)], end

    def close(self) -> None:
        if self._waiting:
            self._flush(self.rows)
        if self._writer is not None:
            self._writer.close()
        self._waiting, self._writer = [], None


class PartFiles(ExitStack):
    """The files of one commit's parts: one for each kind. On exit, files that were not moved are removed."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._writers: dict[str, PartWriter] = {}

    def add(self, kind: str, table: pa.Table) -> None:
        if kind not in self._writers:
            texts = kind in ("ledger", "corpus", "samples")  # the other kinds are hashes, which don't compress
            writer = self._writers[kind] = PartWriter(self._store.scratch(), "zstd" if texts else None)
            self.callback(writer.path.unlink, missing_ok=True)
            self.callback(writer.close)
        self._writers[kind].add(table)

    def finish(self) -> list[Part]:
        """Move the files into the store."""
        parts = []
        for kind, writer in sorted(self._writers.items()):
            writer.close()
            parts.append(add_part(self._store, kind, writer.path, writer.rows))
        return parts


def attempt_unit(store: Store, guard: Guard, unit: Unit, depends: str, options: UnitOptions | None = None) -> Commit:
    """Return the commit of a unit: the existing one, or a new one. `depends` is a digest of recipe, code and versions.

    Raises the errors of `Guard.run`, and InputChanged if the existing commit is for other bytes of the archive.
    """
    options = options or UnitOptions()
    key = commit_key("pass", unit.content(), depends)
    done = read_commit(store, key)
    if done is not None:
        seen = done.facts.get("seen")
        if seen and not is_same(store, unit.chosen, seen, unit.path, unit.tag):
            raise input_changed(redact(unit.path), "since the run read it")
        return done
    captures = read_captures(store, unit.chosen) if unit.chosen else None
    options = replace(options, chosen=captures)
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
    samples: list[dict[str, Any]] = []

    def take(batch: Batch) -> None:
        nonlocal samples
        samples = draw([*samples, *batch.tables["samples"].to_pylist()])
        for kind, table in batch.tables.items():
            if kind != "samples":
                files.add(kind, table)
        reached("unit_batch_taken")
        add_counts(facts["counts"], batch.counts)
        add_counts(facts["other_records"], batch.other_records)
        add_counts(stages, batch.seconds)
        facts["exceptions"] += batch.exceptions
        facts["reached"] = batch.next[0]

    with PartFiles(store) as files:
        guard.run(unit, take, options)
        if options.footprint:
            Path(options.footprint).unlink(missing_ok=True)  # from here on, no record can be the cause of a failure
        reached("unit_read")
        if captures is not None and facts["counts"]["in"] != len(captures):
            found = facts["counts"]["in"]
            raise IntegrityError(f"A unit of {len(captures)} captures of {unit.warc} gave {found} rows.", _REPORT)
        facts["seen"] = see(unit, ranges_of(captures) if captures is not None else None)
        files.add("samples", pa.Table.from_pylist(samples, schema=SAMPLES_SCHEMA))
        parts = files.finish()
    facts["seconds"] = round(time.monotonic() - started, 3)
    facts["stages"] = {name: round(seconds, 3) for name, seconds in stages.items()}
    return commit(store, key, parts, facts)
