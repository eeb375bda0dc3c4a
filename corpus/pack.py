"""Pack: the rows of all units, in (WARC, offset) order, into full parquet files.

Part k holds rows kN … (k+1)N of the whole, so that files and row groups depend on nothing but the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from corpus.commits import Commit, Part, add_part, check_part, commit, commit_key, read_commit
from corpus.errors import IntegrityError
from corpus.recipe import digest
from corpus.store import LocalStore

ROW_GROUP = {"corpus": 1024, "ledger": 65_536}
"""Rows of a row group: 1024 pages are some 5 MB of text; a ledger row is small."""

ROWS_PER_LEDGER_PART = 1_000_000


@dataclass(frozen=True)
class Slice:
    """Rows [start, stop) of a committed part."""

    part: Part
    start: int
    stop: int


@dataclass(frozen=True)
class PackTask:
    """One output file: its kind, its number, and the rows that go into it."""

    kind: str
    index: int
    slices: tuple[Slice, ...]

    @property
    def key(self) -> str:
        return f"{self.kind}/part-{self.index:05d}.parquet"


def plan_pack(kind: str, commits: list[Commit], rows_per_part: int) -> list[PackTask]:
    """The output files for the rows of `commits` in the order given; at least one, so that the schema is there."""
    tasks: list[PackTask] = []
    slices: list[Slice] = []
    room = rows_per_part
    for part in (done.part(kind) for done in commits):
        start = 0
        while start < part.rows:
            stop = min(part.rows, start + room)
            slices.append(Slice(part, start, stop))
            room -= stop - start
            start = stop
            if room == 0:
                tasks.append(PackTask(kind, len(tasks), tuple(slices)))
                slices, room = [], rows_per_part
    if slices or not tasks:
        tasks.append(PackTask(kind, len(tasks), tuple(slices)))
    return tasks


def pack_part(store: LocalStore, task: PackTask, schema: pa.Schema) -> Commit:
    """Write one output file, read its footer back, and commit it."""
    piece = {"kind": task.kind, "index": task.index}
    slices = [(piece.part.sha256, piece.start, piece.stop) for piece in task.slices]
    key = commit_key("pack", piece, digest(slices))
    done = read_commit(store, key)
    if done is not None and store.path(done.parts[0].key).exists():
        return done
    rows = sum(piece.stop - piece.start for piece in task.slices)
    scratch = store.scratch()
    try:
        _write(store, task, schema, scratch)
        written = pq.read_metadata(scratch).num_rows
        if written != rows:
            raise IntegrityError(f"{task.key} got {written} rows instead of {rows}.", "Please report this.")
        part = add_part(store, task.kind, scratch, rows, key=task.key)
    finally:
        scratch.unlink(missing_ok=True)
    return commit(store, key, [part], piece)


def _write(store: LocalStore, task: PackTask, schema: pa.Schema, path: Path) -> None:
    group = ROW_GROUP[task.kind]
    texts = {"text", "url"}  # long values: no dictionary, no statistics
    named = [field.name for field in schema if field.name not in texts]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in named if pa.types.is_string(schema.field(name).type) and name != "id"],
        write_statistics=named,
        write_page_checksum=True,
        store_schema=True,
    ) as writer:
        waiting: list[pa.RecordBatch] = []
        waiting_rows = 0
        for batch in _batches(store, task):
            waiting.append(batch)
            waiting_rows += batch.num_rows
            while waiting_rows >= group:
                table = pa.Table.from_batches(waiting, schema).combine_chunks()
                writer.write_table(table.slice(0, group), row_group_size=group)
                waiting = table.slice(group).to_batches()
                waiting_rows -= group
        if waiting_rows:
            writer.write_table(pa.Table.from_batches(waiting, schema).combine_chunks(), row_group_size=group)


def _batches(store: LocalStore, task: PackTask) -> Iterator[pa.RecordBatch]:
    for piece in task.slices:
        path = check_part(store, piece.part)
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            position = 0
            for index in range(reader.num_record_batches):
                if position >= piece.stop:
                    break
                batch = reader.get_batch(index)
                first, last = max(piece.start - position, 0), min(piece.stop - position, batch.num_rows)
                if first < last:
                    yield batch.slice(first, last - first)
                position += batch.num_rows
