"""Pack: the rows of all units, in (archive, offset) order and with the verdicts of dedup, into full parquet files.

Part k holds rows kN … (k+1)N of the whole, so that files and row groups depend on nothing but the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.storage.boxes import read_boxes
from corpus.storage.commits import (
    Commit,
    Part,
    add_part,
    check_part,
    commit,
    commit_key,
    is_there,
    part_content,
    read_commit,
)
from corpus.storage.crash_points import reached
from corpus.storage.store import Store
from corpus.tables.overlay import Overlay
from corpus.tables.samples import draw
from corpus.tables.verdict_columns import CUTS_SCHEMA, VERDICTS_SCHEMA

ROW_GROUP = {"corpus": 1024, "ledger": 65_536, "samples": 65_536, "signatures": 65_536}
"""Rows of a row group: 1024 pages are some 5 MB of text; a ledger row is small."""

_FOLDERS = {"signatures": "index/signatures"}
"""Where files lie, if not in a folder of the name of their kind."""

ROWS_PER_LEDGER_PART = 1_000_000


@dataclass(frozen=True)
class Slice:
    """Rows [start, stop) of a unit's part, counted after the rows that dedup removed. What it said of the unit lies
    in one box of a file: that by documents in `told`, that by lines in `cuts`."""

    part: Part
    start: int
    stop: int
    told: Part | None = None
    box: int = 0
    cuts: Part | None = None
    cuts_box: int = 0

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Slice:
        files = {name: Part(**data[name]) if data[name] else None for name in ("part", "told", "cuts")}
        return cls(**{**data, **files})


@dataclass(frozen=True)
class Verdicts:
    """What dedup found: how many rows each unit loses and where its verdicts lie, as file and box; its name in the
    recipe, and its limit."""

    removed: list[int]
    told: list[tuple[Part, int]]
    stage: str
    limit: float


@dataclass(frozen=True)
class Cuts:
    """What dedup by lines found: how many documents of each unit it drops and where its verdicts lie, as file and box;
    its name in the recipe, and what a line is."""

    dropped: list[int]
    told: list[tuple[Part, int]]
    stage: str
    split: str


@dataclass(frozen=True)
class PackTask:
    """One output file: its kind, its number, and the rows that go into it; and of the dedups by documents and by lines
    the names, the limit of the first, and the kind of lines of the second."""

    kind: str
    index: int
    slices: tuple[Slice, ...]
    stage: str = ""
    limit: float | None = None
    lines: str = ""
    split: str = ""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PackTask:
        return cls(**{**data, "slices": tuple(map(Slice.from_dict, data["slices"]))})

    @property
    def key(self) -> str:
        return f"{_FOLDERS.get(self.kind, f'{self.kind}/part')}-{self.index:05d}.parquet"

    @property
    def rows(self) -> int:
        return sum(piece.stop - piece.start for piece in self.slices)


def plan_pack(
    kind: str,
    commits: Sequence[Commit],
    rows_per_part: int,
    verdicts: Verdicts | None = None,
    cuts: Cuts | None = None,
) -> list[PackTask]:
    """The output files for the rows of `commits` in the order given, a corpus less what dedup removed; at least one
    file, so that the schema is there."""
    said: dict[str, Any] = {"stage": verdicts.stage, "limit": verdicts.limit} if verdicts else {}
    said |= {"lines": cuts.stage, "split": cuts.split} if cuts else {}
    tasks: list[PackTask] = []
    slices: list[Slice] = []
    room = rows_per_part
    for unit, done in enumerate(commits):
        part = done.part(kind)
        told, box = verdicts.told[unit] if verdicts else (None, 0)
        cut, cut_box = cuts.told[unit] if cuts else (None, 0)
        gone = (verdicts.removed[unit] if verdicts else 0) + (cuts.dropped[unit] if cuts else 0)
        start, rows = 0, part.rows - (gone if kind == "corpus" else 0)
        while start < rows:
            stop = min(rows, start + room)
            slices.append(Slice(part, start, stop, told, box, cut, cut_box))
            room -= stop - start
            start = stop
            if room == 0:
                tasks.append(PackTask(kind, len(tasks), tuple(slices), **said))
                slices, room = [], rows_per_part
    if slices or not tasks:
        tasks.append(PackTask(kind, len(tasks), tuple(slices), **said))
    return tasks


def pack_part(store: Store, task: PackTask, schema: pa.Schema | None = None) -> Commit:
    """Write one output file, by default with the schema of what goes into it, read its footer back, and commit it."""
    piece = {"kind": task.kind, "index": task.index}
    slices = [
        (one.part.sha256, one.start, one.stop, _name(one.told), one.box, _name(one.cuts), one.cuts_box)
        for one in task.slices
    ]
    key = commit_key("pack", piece, digest([slices, task.stage, task.limit, task.lines, task.split]))
    done = read_commit(store, key)
    if done is not None and is_there(store, done.parts[0]):
        return done
    reached("pack_begun")
    scratch = store.scratch()
    try:
        tables = _samples(store, task) if task.kind == "samples" else _tables(store, task)
        rows = write_rows(tables, task.kind, schema or _schema(store, task.slices[0].part), scratch)
        written = pq.read_metadata(scratch).num_rows
        if written != rows or (task.kind != "samples" and rows != task.rows):
            raise IntegrityError(f"{task.key} got {written} rows instead of {task.rows}.", "Please report this.")
        reached("pack_written")
        part = add_part(store, task.kind, scratch, rows, key=task.key)
    finally:
        scratch.unlink(missing_ok=True)
    return commit(store, key, [part], piece)


def _schema(store: Store, part: Part) -> pa.Schema:
    with pa.ipc.open_file(part_content(store, part)) as reader:
        return reader.schema


def _name(part: Part | None) -> str:
    return part.sha256 if part else ""


def read_part(store: Store, part: Part) -> pa.Table:
    """A whole intermediate part, checked."""
    with pa.ipc.open_file(check_part(store, part)) as reader:
        return reader.read_all()


def write_rows(tables: Iterator[pa.Table], kind: str, schema: pa.Schema, path: Path) -> int:
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


def _tables(store: Store, task: PackTask) -> Iterator[pa.Table]:
    """The rows of a task, chunk by chunk, with what dedup found laid over them."""
    for piece in task.slices:
        overlay = Overlay(*_told(store, piece))
        with pa.ipc.open_file(check_part(store, piece.part)) as reader:
            position = 0  # as counted without the removed ones
            for index in range(reader.num_record_batches):
                if position >= piece.stop:
                    break
                table = pa.Table.from_batches([reader.get_batch(index)])
                if task.kind == "corpus":
                    table = overlay.corpus(table, task.split)
                elif task.kind == "ledger":
                    table = overlay.ledger(table, task.stage, task.limit, task.lines)
                first, last = max(piece.start - position, 0), min(piece.stop - position, table.num_rows)
                if first < last:
                    yield table.slice(first, last - first)
                position += table.num_rows


def _told(store: Store, piece: Slice) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """What the dedups by documents and by lines said of the unit of a slice."""
    told = read_boxes(store, [piece.told] if piece.told else [], piece.box, VERDICTS_SCHEMA)
    return told, read_boxes(store, [piece.cuts] if piece.cuts else [], piece.cuts_box, CUTS_SCHEMA)


def _samples(store: Store, task: PackTask) -> Iterator[pa.Table]:
    """The samples of all units, drawn once more; those that dedup removed are no longer kept ones."""
    rows: list[dict[str, Any]] = []
    schema = None
    for number, piece in enumerate(task.slices):
        table = read_part(store, piece.part)
        schema = table.schema
        rows = draw([*rows, *({**row, "_slice": number} for row in table.to_pylist())])
    gone: dict[str, dict[str, Any]] = {}
    for number in sorted({row["_slice"] for row in rows}):
        told, cuts = _told(store, task.slices[number])
        for verdict in told.filter(told["removed"]).to_pylist():
            about = {"rule": f"{task.stage}.similarity", "value": verdict["similarity"], "limit": task.limit}
            gone[verdict["id"]] = {**about, "detail": verdict["kept_id"]}
        for verdict in cuts.filter(cuts["removed"]).to_pylist():
            about = {"rule": f"{task.lines}.{verdict['rule']}", "value": verdict["value"], "limit": verdict["limit"]}
            gone[verdict["id"]] = {**about, "detail": verdict["kept_in"]}
    for row in rows:  # only now: what was drawn as kept must not depend on the units
        row |= gone.get(row["id"], {})
    if schema is not None:
        yield pa.Table.from_pylist(rows, schema=schema)
