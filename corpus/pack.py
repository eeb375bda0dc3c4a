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
from corpus.errors import IntegrityError
from corpus.outcome import DROPPED
from corpus.recipe import digest
from corpus.samples import draw
from corpus.store import LocalStore

ROW_GROUP = {"corpus": 1024, "ledger": 65_536, "samples": 65_536}
"""Rows of a row group: 1024 pages are some 5 MB of text; a ledger row is small."""

ROWS_PER_LEDGER_PART = 1_000_000


@dataclass(frozen=True)
class Slice:
    """Rows [start, stop) of a unit's part, counted after the rows that dedup removed."""

    unit: int
    part: Part
    start: int
    stop: int


@dataclass(frozen=True)
class Verdicts:
    """The committed verdicts of dedup, its name in the recipe, and its limit."""

    part: Part
    stage: str
    limit: float


@dataclass(frozen=True)
class PackTask:
    """One output file: its kind, its number, and the rows that go into it."""

    kind: str
    index: int
    slices: tuple[Slice, ...]
    verdicts: Verdicts | None = None

    @property
    def key(self) -> str:
        return f"{self.kind}/part-{self.index:05d}.parquet"

    @property
    def rows(self) -> int:
        return sum(piece.stop - piece.start for piece in self.slices)


def plan_pack(
    kind: str, commits: Sequence[Commit], rows_per_part: int, removed: Sequence[int], verdicts: Verdicts | None
) -> list[PackTask]:
    """The output files for the rows of `commits` in the order given, less the `removed` ones of each; at least one
    file, so that the schema is there."""
    tasks: list[PackTask] = []
    slices: list[Slice] = []
    room = rows_per_part
    for unit, (done, gone) in enumerate(zip(commits, removed, strict=True)):
        part = done.part(kind)
        start, rows = 0, part.rows - gone
        while start < rows:
            stop = min(rows, start + room)
            slices.append(Slice(unit, part, start, stop))
            room -= stop - start
            start = stop
            if room == 0:
                tasks.append(PackTask(kind, len(tasks), tuple(slices), verdicts))
                slices, room = [], rows_per_part
    if slices or not tasks:
        tasks.append(PackTask(kind, len(tasks), tuple(slices), verdicts))
    return tasks


def pack_part(store: LocalStore, task: PackTask, schema: pa.Schema) -> Commit:
    """Write one output file, read its footer back, and commit it."""
    piece = {"kind": task.kind, "index": task.index}
    slices = [(piece.part.sha256, piece.start, piece.stop) for piece in task.slices]
    key = commit_key("pack", piece, digest([slices, task.verdicts.part.sha256 if task.verdicts else ""]))
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
    told = read_part(store, task.verdicts.part) if task.verdicts else None
    for piece in task.slices:
        overlay = None
        if task.verdicts and told is not None:
            mine = told.filter(pc.equal(told["unit"], piece.unit))
            overlay = _Overlay(task.kind, task.verdicts, mine) if mine.num_rows else None
        path = check_part(store, piece.part)
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            row = position = 0  # as read, and as counted without the removed ones
            for index in range(reader.num_record_batches):
                if position >= piece.stop:
                    break
                table = pa.Table.from_batches([reader.get_batch(index)])
                read = table.num_rows
                if overlay is not None:
                    table = overlay.apply(table, row)
                first, last = max(piece.start - position, 0), min(piece.stop - position, table.num_rows)
                if first < last:
                    yield table.slice(first, last - first)
                row += read
                position += table.num_rows


class _Overlay:
    """The verdicts of one unit, laid over its ledger or corpus rows."""

    def __init__(self, kind: str, verdicts: Verdicts, told: pa.Table) -> None:
        self._kind = kind
        self._verdicts = verdicts
        self._at = told["corpus_row" if kind == "corpus" else "row"].to_numpy()
        self._told: list[dict[str, Any]] = told.to_pylist()

    def apply(self, table: pa.Table, row: int) -> pa.Table:
        """`table` holds the unit's rows from `row` on, as they were read."""
        here = [
            (at - row, self._told[index])
            for index, at in enumerate(self._at.tolist())
            if row <= at < row + table.num_rows
        ]
        if not here:
            return table
        return self._corpus(table, here) if self._kind == "corpus" else self._ledger(table, here)

    def _corpus(self, table: pa.Table, here: list[tuple[int, dict[str, Any]]]) -> pa.Table:
        """Without the removed rows, and with the number of duplicates that a kept one stands for."""
        duplicates = np.zeros(table.num_rows, dtype=np.int64)
        kept = np.ones(table.num_rows, dtype=bool)
        for at, told in here:
            kept[at] = not told["removed"]
            duplicates[at] = told["cluster_size"] - 1
        place = table.schema.get_field_index("duplicates")
        return table.set_column(place, table.schema.field(place), [pa.array(duplicates)]).filter(pa.array(kept))

    def _ledger(self, table: pa.Table, here: list[tuple[int, dict[str, Any]]]) -> pa.Table:
        """With the outcome, the evidence and the measures of dedup."""
        stage = self._verdicts.stage
        changes: dict[str, dict[int, Any]] = {f"{stage}.{name}": {} for name in ("similarity", "exact", "cluster_size")}
        fixed = ("outcome", "stage", "rule", "value", "limit", "detail")
        changes |= {name: {} for name in fixed}
        for at, told in here:
            for name in ("similarity", "exact", "cluster_size"):
                changes[f"{stage}.{name}"][at] = told[name]
            if told["removed"]:
                verdict = (DROPPED, stage, "similarity", told["similarity"], self._verdicts.limit, told["kept_id"])
                for name, value in zip(fixed, verdict, strict=True):
                    changes[name][at] = value
        for name, values in changes.items():
            place = table.schema.get_field_index(name)
            column = table[name].to_pylist()
            for at, value in values.items():
                column[at] = value
            table = table.set_column(
                place, table.schema.field(place), [pa.array(column, table.schema.field(place).type)]
            )
        return table


def _samples(store: LocalStore, task: PackTask) -> Iterator[pa.Table]:
    """The samples of all units, drawn once more; those that dedup removed are no longer kept ones."""
    told = read_part(store, task.verdicts.part) if task.verdicts else None
    gone: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    if told is not None and task.verdicts is not None:
        gone = {verdict["id"]: verdict for verdict in told.filter(told["removed"]).to_pylist()}
    schema = None
    for piece in task.slices:
        table = read_part(store, piece.part)
        schema = table.schema
        rows = draw([*rows, *table.to_pylist()])
    for row in rows:  # only now: what was drawn as kept must not depend on the units
        verdict = gone.get(row["id"])
        if verdict is not None and task.verdicts is not None:
            row |= {"rule": f"{task.verdicts.stage}.similarity", "value": verdict["similarity"]}
            row |= {"limit": task.verdicts.limit, "detail": verdict["kept_id"]}
    if schema is not None:
        yield pa.Table.from_pylist(rows, schema=schema)
