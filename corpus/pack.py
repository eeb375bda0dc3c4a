"""Pack: the rows of all units, in (archive, offset) order and with the verdicts of dedup, into full parquet files.

Part k holds rows kN … (k+1)N of the whole, so that files and row groups depend on nothing but the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from corpus.commits import Commit, Part, add_part, check_part, commit, commit_key, read_commit
from corpus.dedup.exchange import read_boxes
from corpus.dedup.told import MEASURES, VERDICTS_SCHEMA
from corpus.errors import IntegrityError
from corpus.outcome import DROPPED, KEPT
from corpus.recipe import digest
from corpus.samples import draw
from corpus.store import LocalStore

ROW_GROUP = {"corpus": 1024, "ledger": 65_536, "samples": 65_536}
"""Rows of a row group: 1024 pages are some 5 MB of text; a ledger row is small."""

ROWS_PER_LEDGER_PART = 1_000_000


@dataclass(frozen=True)
class Slice:
    """Rows [start, stop) of a unit's part, counted after the rows that dedup removed. What it said of the unit lies
    in one box of a file."""

    part: Part
    start: int
    stop: int
    told: Part | None = None
    box: int = 0


@dataclass(frozen=True)
class Verdicts:
    """What dedup found: how many rows each unit loses and where its verdicts lie, as file and box; its name in the
    recipe, and its limit."""

    removed: list[int]
    told: list[tuple[Part, int]]
    stage: str
    limit: float


@dataclass(frozen=True)
class PackTask:
    """One output file: its kind, its number, and the rows that go into it."""

    kind: str
    index: int
    slices: tuple[Slice, ...]
    stage: str = ""
    limit: float | None = None

    @property
    def key(self) -> str:
        return f"{self.kind}/part-{self.index:05d}.parquet"

    @property
    def rows(self) -> int:
        return sum(piece.stop - piece.start for piece in self.slices)


def plan_pack(
    kind: str, commits: Sequence[Commit], rows_per_part: int, verdicts: Verdicts | None = None
) -> list[PackTask]:
    """The output files for the rows of `commits` in the order given, a corpus less what dedup removed; at least one
    file, so that the schema is there."""
    stage, limit = (verdicts.stage, verdicts.limit) if verdicts else ("", None)
    tasks: list[PackTask] = []
    slices: list[Slice] = []
    room = rows_per_part
    for unit, done in enumerate(commits):
        part = done.part(kind)
        told, box = verdicts.told[unit] if verdicts else (None, 0)
        gone = verdicts.removed[unit] if verdicts and kind == "corpus" else 0
        start, rows = 0, part.rows - gone
        while start < rows:
            stop = min(rows, start + room)
            slices.append(Slice(part, start, stop, told, box))
            room -= stop - start
            start = stop
            if room == 0:
                tasks.append(PackTask(kind, len(tasks), tuple(slices), stage, limit))
                slices, room = [], rows_per_part
    if slices or not tasks:
        tasks.append(PackTask(kind, len(tasks), tuple(slices), stage, limit))
    return tasks


def pack_part(store: LocalStore, task: PackTask, schema: pa.Schema) -> Commit:
    """Write one output file, read its footer back, and commit it."""
    piece = {"kind": task.kind, "index": task.index}
    slices = [
        (piece.part.sha256, piece.start, piece.stop, piece.told.sha256 if piece.told else "", piece.box)
        for piece in task.slices
    ]
    key = commit_key("pack", piece, digest([slices, task.stage, task.limit]))
    done = read_commit(store, key)
    if done is not None and store.path(done.parts[0].key).exists():
        return done
    scratch = store.scratch()
    try:
        tables = _samples(store, task) if task.kind == "samples" else _tables(store, task)
        rows = _write(tables, task.kind, schema, scratch)
        written = pq.read_metadata(scratch).num_rows
        if written != rows or (task.kind != "samples" and rows != task.rows):
            raise IntegrityError(f"{task.key} got {written} rows instead of {task.rows}.", "Please report this.")
        part = add_part(store, task.kind, scratch, rows, key=task.key)
    finally:
        scratch.unlink(missing_ok=True)
    return commit(store, key, [part], piece)


def read_part(store: LocalStore, part: Part) -> pa.Table:
    """A whole intermediate part, checked."""
    with pa.memory_map(str(check_part(store, part))) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()


def _write(tables: Iterator[pa.Table], kind: str, schema: pa.Schema, path: Path) -> int:
    """Write a parquet file with full row groups; the number of rows."""
    group = ROW_GROUP[kind]
    texts = {"text", "url", "excerpt"}  # long values: no dictionary, no statistics
    named = [field.name for field in schema if field.name not in texts]
    rows = 0
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
        waiting = schema.empty_table()
        for table in tables:
            rows += table.num_rows
            waiting = pa.concat_tables([waiting, table.cast(schema)])
            while waiting.num_rows >= group:
                writer.write_table(waiting.slice(0, group).combine_chunks(), row_group_size=group)
                waiting = waiting.slice(group)
        if waiting.num_rows:
            writer.write_table(waiting.combine_chunks(), row_group_size=group)
    return rows


def _tables(store: LocalStore, task: PackTask) -> Iterator[pa.Table]:
    """The rows of a task, chunk by chunk, with what dedup found laid over them."""
    for piece in task.slices:
        told = _told(store, piece)
        overlay = _Overlay(task, told) if told.num_rows else None
        path = check_part(store, piece.part)
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            position = 0  # as counted without the removed ones
            for index in range(reader.num_record_batches):
                if position >= piece.stop:
                    break
                table = pa.Table.from_batches([reader.get_batch(index)])
                if overlay is not None:
                    table = overlay.apply(table)
                first, last = max(piece.start - position, 0), min(piece.stop - position, table.num_rows)
                if first < last:
                    yield table.slice(first, last - first)
                position += table.num_rows


def _told(store: LocalStore, piece: Slice) -> pa.RecordBatch:
    """What dedup said of the unit of a slice."""
    return read_boxes(store, [piece.told] if piece.told else [], piece.box, VERDICTS_SCHEMA)


class _Overlay:
    """The verdicts of one unit, laid over its ledger or corpus rows, which come in order."""

    def __init__(self, task: PackTask, told: pa.RecordBatch) -> None:
        self._task = task
        self._at = told["corpus_row"].to_numpy()
        self._told = told
        self._before = 0  # corpus rows so far

    def apply(self, table: pa.Table) -> pa.Table:
        """The next rows of the unit, changed."""
        if self._task.kind == "corpus":
            places = np.arange(table.num_rows)
        else:
            places = np.flatnonzero(pc.equal(table["outcome"], KEPT).to_numpy())
        first, last = np.searchsorted(self._at, (self._before, self._before + len(places)))
        at = places[self._at[first:last] - self._before]
        self._before += len(places)
        if first == last:
            return table
        told = self._told.slice(first, last - first)
        return self._corpus(table, at, told) if self._task.kind == "corpus" else self._ledger(table, at, told)

    def _corpus(self, table: pa.Table, at: np.ndarray, told: pa.RecordBatch) -> pa.Table:
        """Without the removed rows, and with the number of duplicates that a kept one stands for."""
        duplicates = np.zeros(table.num_rows, dtype=np.int64)
        duplicates[at] = told["cluster_size"].to_numpy() - 1
        kept = np.ones(table.num_rows, dtype=bool)
        kept[at] = ~told["removed"].to_numpy(zero_copy_only=False)
        place = table.schema.get_field_index("duplicates")
        return table.set_column(place, table.schema.field(place), [pa.array(duplicates)]).filter(pa.array(kept))

    def _ledger(self, table: pa.Table, at: np.ndarray, told: pa.RecordBatch) -> pa.Table:
        """With the outcome, the evidence and the measures of dedup."""
        stage = self._task.stage
        table = _with(table, at, {f"{stage}.{name}": told[name] for name in MEASURES})
        removed = told["removed"]
        gone = told.filter(removed)
        fixed = {"outcome": DROPPED, "stage": stage, "rule": "similarity", "limit": self._task.limit}
        columns: dict[str, pa.Array] = {name: pa.repeat(value, gone.num_rows) for name, value in fixed.items()}
        columns |= {"value": gone["similarity"], "detail": gone["kept_id"]}
        return _with(table, at[removed.to_numpy(zero_copy_only=False)], columns)


def _with(table: pa.Table, at: np.ndarray, columns: dict[str, pa.Array]) -> pa.Table:
    """The table with other values in the rows at `at`, in order."""
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[at] = True
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        column = table[name].combine_chunks()
        changed = pc.replace_with_mask(column, pa.array(mask), values.cast(field.type))
        table = table.set_column(place, field, changed)
    return table


def _samples(store: LocalStore, task: PackTask) -> Iterator[pa.Table]:
    """The samples of all units, drawn once more; those that dedup removed are no longer kept ones."""
    rows: list[dict[str, Any]] = []
    schema = None
    for number, piece in enumerate(task.slices):
        table = read_part(store, piece.part)
        schema = table.schema
        rows = draw([*rows, *({**row, "_slice": number} for row in table.to_pylist())])
    gone: dict[str, dict[str, Any]] = {}
    for number in sorted({row["_slice"] for row in rows}):
        told = _told(store, task.slices[number])
        gone |= {verdict["id"]: verdict for verdict in told.filter(told["removed"]).to_pylist()}
    for row in rows:  # only now: what was drawn as kept must not depend on the units
        verdict = gone.get(row["id"])
        if verdict is not None:
            row |= {"rule": f"{task.stage}.similarity", "value": verdict["similarity"]}
            row |= {"limit": task.limit, "detail": verdict["kept_id"]}
    if schema is not None:
        yield pa.Table.from_pylist(rows, schema=schema)
