"""The pack phase: the rows of all units, in (archive, offset) order and with all verdicts, as full parquet files.

File k holds rows kN … (k+1)N of all rows, so files and row groups depend only on the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from corpus.digests import digest
from corpus.errors import IntegrityError
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
from corpus.storage.store import Store, scratch_file
from corpus.storage.task_commits import get_value, put_value
from corpus.tables.overlay import Overlay
from corpus.tables.samples import draw
from corpus.tables.verdicts import Compared, VerdictBox, Verdicts

ROW_GROUP = {"corpus": 1024, "ledger": 65_536, "samples": 65_536}
"""The number of rows in a row group.

1024 pages are some 5 MB of text, while a ledger row is small. All other kinds are signatures of stages. They have the
row groups of the ledger, and are in index/.
"""

ROWS_PER_LEDGER_PART = 1_000_000


@dataclass(frozen=True)
class Slice:
    """Rows [start, stop) of a unit's part.

    Rows that comparisons removed are not counted. `verdicts` has one box for each comparison.
    """

    part: Part
    start: int
    stop: int
    verdicts: tuple[VerdictBox, ...] = ()


@dataclass(frozen=True)
class PackTask:
    """One output file: its kind, its number, its rows, and the comparisons whose verdicts apply."""

    kind: str
    index: int
    slices: tuple[Slice, ...]
    compared: tuple[Compared, ...] = ()

    def stored(self, store: Store) -> dict[str, Any]:
        """Return the task as a small payload. Its slices are stored, because there may be thousands of them."""
        files: dict[Part, int] = {}
        """The numbers of the files of verdicts. Hundreds of units have theirs in one file."""
        rows = [
            (
                *(one.part.key, one.part.rows, one.part.bytes, one.part.sha256, one.start, one.stop),
                [(files.setdefault(box.part, len(files)), box.box) for box in one.verdicts],
            )
            for one in self.slices
        ]
        slices = put_value(store, {"files": [vars(part) for part in files], "slices": rows})
        return {
            "kind": self.kind, "index": self.index, "slices": slices, "compared": [asdict(one) for one in self.compared]
        }  # fmt: skip

    @classmethod
    def from_stored(cls, store: Store, data: Mapping[str, Any]) -> PackTask:
        compared = tuple(Compared(**one) for one in data["compared"])
        stored = get_value(store, data["slices"])
        files = [Part(**part) for part in stored["files"]]
        slices = []
        for *part, start, stop, boxes in stored["slices"]:
            verdicts = (VerdictBox(one.compares, files[n], box) for one, (n, box) in zip(compared, boxes, strict=False))
            slices.append(Slice(Part(data["kind"], *part), start, stop, tuple(verdicts)))
        return cls(data["kind"], data["index"], tuple(slices), compared)

    @property
    def key(self) -> str:
        folder = f"{self.kind}/part" if self.kind in ROW_GROUP else f"index/{self.kind}"
        return f"{folder}-{self.index:05d}.parquet"

    @property
    def rows(self) -> int:
        return sum(one.stop - one.start for one in self.slices)


def plan_pack(
    commits: Iterable[Commit], rows_per_part: Mapping[str, int], verdicts: Sequence[Verdicts] = ()
) -> Iterator[PackTask]:
    """Yield the output files for the rows of `commits`, of each kind in order. The commits are read once.

    A corpus has only the rows that no comparison removed. There is always at least one file of each kind, so that the
    schema is available. Verdicts are laid over the corpus and the ledger, not over signatures.
    """
    plans = [_KindPlan(kind, size, verdicts if kind in ROW_GROUP else ()) for kind, size in rows_per_part.items()]
    for unit, done in enumerate(commits):
        boxes = tuple(one.boxes[unit] for one in verdicts)
        removed = sum(one.removed[unit] for one in verdicts)
        for plan in plans:
            yield from plan.add(done.part(plan.kind), removed if plan.kind == "corpus" else 0, boxes)
    for plan in plans:
        yield plan.task()


class _KindPlan:
    """The plan for the output files of one kind."""

    def __init__(self, kind: str, rows_per_part: int, verdicts: Sequence[Verdicts]) -> None:
        self.kind = kind
        self._compared = tuple(one.compared for one in verdicts)
        self._most = self._room = rows_per_part
        self._index, self._slices = 0, list[Slice]()

    def add(self, part: Part, removed: int, boxes: tuple[VerdictBox, ...]) -> Iterator[PackTask]:
        """Add the rows of a unit, and yield the files that are full."""
        start, rows = 0, part.rows - removed
        while start < rows:
            if self._room == 0:
                yield self.task()
                self._index, self._slices, self._room = self._index + 1, [], self._most
            stop = min(rows, start + self._room)
            self._slices.append(Slice(part, start, stop, boxes if self._compared else ()))
            self._room -= stop - start
            start = stop

    def task(self) -> PackTask:
        """Return the file that is being filled."""
        return PackTask(self.kind, self._index, tuple(self._slices), self._compared)


def pack_part(store: Store, task: PackTask, schema: pa.Schema | None = None) -> Commit:
    """Write one output file, check its footer by reading it back, and commit it.

    Without `schema`, the rows give the schema.
    """
    piece = {"kind": task.kind, "index": task.index}
    slices = [
        (one.part.sha256, one.start, one.stop, [(box.part.sha256, box.box) for box in one.verdicts])
        for one in task.slices
    ]
    key = commit_key("pack", piece, digest([slices, [asdict(one) for one in task.compared]]))
    done = read_commit(store, key)
    if done is not None and is_there(store, done.parts[0]):
        return done
    reached("pack_begun")
    with scratch_file(store) as scratch:
        tables = _samples(store, task) if task.kind == "samples" else _tables(store, task)
        schema = schema or pa.ipc.open_file(part_content(store, task.slices[0].part)).schema
        rows = write_rows(tables, task.kind, schema, scratch)
        written = pq.read_metadata(scratch).num_rows
        if written != rows or (task.kind != "samples" and rows != task.rows):
            raise IntegrityError(f"{task.key} got {written} rows instead of {task.rows}.", "Please report this.")
        reached("pack_written")
        part = add_part(store, task.kind, scratch, rows, key=task.key)
    return commit(store, key, [part], piece)


def read_part(store: Store, part: Part) -> pa.Table:
    """Return a whole intermediate part. Raises IntegrityError if it is not as committed."""
    with pa.ipc.open_file(check_part(store, part)) as reader:
        return reader.read_all()


def write_rows(tables: Iterator[pa.Table], kind: str, schema: pa.Schema, path: Path) -> int:
    """Write a parquet file with full row groups and return the number of rows."""
    group = ROW_GROUP.get(kind, ROW_GROUP["ledger"])
    texts = {"text", "url", "excerpt", "metadata"}  # long values have no dictionary and no statistics
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
        waiting: list[pa.Table] = []
        written = 0
        for table in tables:
            rows += table.num_rows
            waiting.append(table.cast(schema))
            if rows - written >= group:
                whole = pa.concat_tables(waiting)
                for start in range(0, whole.num_rows - group + 1, group):
                    writer.write_table(whole.slice(start, group).combine_chunks(), row_group_size=group)
                    written += group
                waiting = [whole.slice(whole.num_rows - (rows - written))]
        if rows > written:
            writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=group)
    return rows


def _tables(store: Store, task: PackTask) -> Iterator[pa.Table]:
    """Yield the rows of a task, chunk by chunk, with the verdicts laid over them."""
    for piece in task.slices:
        overlay = Overlay(task.compared, [box.read(store) for box in piece.verdicts])
        with pa.ipc.open_file(check_part(store, piece.part)) as reader:
            position = 0  # removed rows are not counted
            for index in range(reader.num_record_batches):
                if position >= piece.stop:
                    break
                table = pa.Table.from_batches([reader.get_batch(index)])
                if task.kind == "corpus":
                    table = overlay.corpus(table)
                elif task.kind == "ledger":
                    table = overlay.ledger(table)
                first, last = max(piece.start - position, 0), min(piece.stop - position, table.num_rows)
                if first < last:
                    yield table.slice(first, last - first)
                position += table.num_rows


def choose_samples(store: Store, task: PackTask) -> Commit:
    """Commit the numbers of the slices from which samples are drawn, if only these slices are there."""
    key = commit_key("pack", {"kind": "chosen", "index": task.index}, digest([one.part.sha256 for one in task.slices]))
    done = read_commit(store, key)
    if done is None:
        reached("choice_begun")
        rows, _ = _drawn(store, task)
        done = commit(store, key, [], {"slices": sorted({row["_slice"] for row in rows})})
    return done


def _drawn(store: Store, task: PackTask) -> tuple[list[dict[str, Any]], pa.Schema | None]:
    """Return the samples that are drawn from all slices, each with the number of its slice, and their schema."""
    rows: list[dict[str, Any]] = []
    schema = None
    for number, piece in enumerate(task.slices):
        table = read_part(store, piece.part)
        schema = table.schema
        rows = draw([*rows, *({**row, "_slice": number} for row in table.to_pylist())])
    return rows, schema


def _samples(store: Store, task: PackTask) -> Iterator[pa.Table]:
    """Yield the samples of all units, drawn again.

    A kept page that a comparison removed now belongs to another rule.
    """
    rows, schema = _drawn(store, task)
    gone: dict[str, dict[str, Any]] = {}
    for number in sorted({row["_slice"] for row in rows}):
        for stage, box in zip(task.compared, task.slices[number].verdicts, strict=True):
            verdicts = box.read(store)
            for one in verdicts.filter(verdicts["removed"]).to_pylist():
                about = {name: one[name] for name in ("value", "limit", "detail")}
                gone[one["id"]] = {"rule": f"{stage.stage}.{one['rule']}", **about}
    for row in rows:  # drawn only here, because the division into units must not decide which kept pages are drawn
        row |= gone.get(row["id"], {})
    if schema is not None:
        yield pa.Table.from_pylist(rows, schema=schema)
