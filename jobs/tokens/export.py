"""`corpus export`: a corpus as files for other trainers.

rows (one task per slice) → boxes of the shuffle → write (one task per file) → export.json, and a data card. Everything
except export.json is under .work/, or is a file that counts only once export.json names it. So the same command
continues a run from where it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.errors import InputError, IntegrityError
from corpus.runs.row_groups import schema_of
from corpus.storage.commits import Commit, Part
from corpus.storage.store import Location, Store, as_json, local_file, open_store
from corpus.storage.task_commits import get_value, put_value
from corpus.tokens.row_files import RowsTask, plan_rows, send_rows, write_rows
from corpus.tokens.shuffle import ROW_BYTES, Cut, fill_boxes, plan_cuts
from corpus.tokens.texts import STRINGS, Texts, TextSlice, open_texts, value_type
from corpus.version import TOKEN_ROOMS, versions
from jobs.runner.derived import register
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import Execution, JobResult, Stopped, executing
from jobs.runner.folder import claim, open_folder
from jobs.runner.progress import Progress
from jobs.runner.terminal import say
from jobs.tokens.data_card import data_card


@dataclass(frozen=True)
class ExportJob:
    """The options of an export."""

    texts: Location
    out: Location
    target: str
    seed: int = 0


def export(job: ExportJob, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Run an export to its end, or to the first stop signal. Raises CorpusError."""
    texts = open_texts(job.texts)
    schema, left_out = _schema(job, texts)
    plan = {"texts": texts.identity(), "target": job.target, "seed": job.seed, "columns": schema.names}
    plan["versions"] = versions(TOKEN_ROOMS)
    store = open_folder(job.out)
    with store.only_run(), Stop() as stop:
        finished = claim(store, plan, "export.json")
        if texts.run:
            register(job.texts, "export", job.out)
        if finished is not None:
            store.remove(".work")
            return JobResult(0, finished, already_done=True)
        if left_out:
            columns = ", ".join(left_out)
            say(f"Columns left out, because their type differs between files or contains dictionaries: {columns}")
        try:
            with executing(store, make_engine, stop, progress) as execution:
                run = _Exporting(job, texts, schema, execution)
                info = run.write(run.send()) | {"plan": plan}
        except Stopped:
            return JobResult(128 + stop.signal)
        if job.target == "datasets":
            info["columns_left_out"] = left_out
            # replaced, because an earlier try may have written a card with another folder name
            store.replace("README.md", data_card(PurePosixPath(store.location).name, texts, info).encode())
        store.put_new("export.json", as_json(info))
        store.remove(".work")
    return JobResult(0, info)


def _schema(job: ExportJob, texts: Texts) -> tuple[pa.Schema, list[str]]:
    """Return the columns to write, and the names of the columns left out.

    The columns are only the text, or all columns that have the same type in every file.
    """
    if job.target == "nanochat":
        return pa.schema([pa.field("text", pa.string())]), []
    schemas = [schema_of(local_file(file.location)) for file in texts.files]
    names = dict.fromkeys(name for schema in schemas for name in schema.names)
    found = {name: _field(name, schemas) for name in names}
    return pa.schema([field for field in found.values() if field]), [name for name in names if not found[name]]


def _field(name: str, schemas: Sequence[pa.Schema]) -> pa.Field | None:
    """Return the field of a column that has the same type in all files, or None."""
    if any(name not in schema.names for schema in schemas):
        return None
    fields = [schema.field(name) for schema in schemas]
    kinds = [value_type(field.type) for field in fields]
    kind = kinds[0]
    if all(one in STRINGS for one in kinds):
        kind = pa.large_string() if pa.large_string() in kinds else pa.string()
    elif any(other != kind for other in kinds) or not _is_plain(kind):
        return None
    return pa.field(name, kind, nullable=any(field.nullable for field in fields))


def _is_plain(kind: pa.DataType) -> bool:
    """Return True if the package `datasets` can read a type. It can't read maps, views, dictionaries and extensions."""
    if any(is_nested(kind) for is_nested in _NESTED):
        return all(_is_plain(kind.field(number).type) for number in range(kind.num_fields))
    return any(is_plain(kind) for is_plain in _PLAIN)


_TYPES = pa.types
_NESTED = (_TYPES.is_struct, _TYPES.is_list, _TYPES.is_large_list, _TYPES.is_fixed_size_list)
_PLAIN = (
    _TYPES.is_null, _TYPES.is_boolean, _TYPES.is_integer, _TYPES.is_floating, _TYPES.is_string, _TYPES.is_large_string,
    _TYPES.is_binary, _TYPES.is_large_binary, _TYPES.is_date, _TYPES.is_time, _TYPES.is_timestamp, _TYPES.is_duration,
    _TYPES.is_decimal128, _TYPES.is_decimal256, _TYPES.is_fixed_size_binary,
)  # fmt: skip


@dataclass(frozen=True)
class _Exporting:
    """A running export."""

    job: ExportJob
    texts: Texts
    schema: pa.Schema
    execution: Execution

    def send(self) -> list[Commit]:
        """Send the rows of all slices to boxes."""
        store = self.execution.store
        store.put_new(_SCHEMA, self.schema.serialize().to_pybytes())
        size = self.texts.bytes if self.job.target == "nanochat" else self.texts.all_bytes
        return fill_boxes(store, size + ROW_BYTES * self.texts.rows, self._send)[1]

    def _send(self, bits: int) -> list[Commit]:
        common = {"store": self.execution.store.location, "seed": self.job.seed, "bits": bits}
        payloads = [{**common, "slice": asdict(part)} for part in self.texts.slices()]
        return self.execution.commits("rows", rows_task, payloads)

    def write(self, sent: list[Commit]) -> dict[str, Any]:
        """Write the output files, in order, and return their part of export.json.

        Raises IntegrityError if counts differ. If there are too few documents, free the folder again and raise
        InputError.
        """
        store, plain = self.execution.store, self.job.target == "nanochat"
        documents, text_bytes = sum(done.parts[0].rows for done in sent), sum(done.facts["bytes"] for done in sent)
        try:
            layout = plan_rows(documents, text_bytes)
        except InputError:
            store.remove(".work")
            raise
        cuts = plan_cuts(np.sum([done.facts["weights"] for done in sent], axis=0).tolist(), layout.borders)
        names = [_name(self.job.target, at, len(cuts)) for at in range(len(cuts))]
        tasks = [RowsTask(name, cut, layout.group, plain) for name, cut in zip(names, cuts, strict=True)]
        common = {"store": store.location, "parts": put_value(store, [asdict(done.parts[0]) for done in sent])}
        payloads = [{**common, "task": asdict(task)} for task in tasks]
        files = [done.parts[0] for done in self.execution.commits("write", write_task, payloads)]
        written = sum(file.rows for file in files)
        if written != documents:
            raise IntegrityError(f"{written} documents were written of {documents}.", "Please report this.")
        return {
            "documents": {"in": self.texts.rows, "train": documents - files[-1].rows, "val": files[-1].rows},
            "bytes": text_bytes,
            "row_group": layout.group,
            "val_row_groups": layout.val_groups,
            "files": [{"name": one.key, "rows": one.rows, "bytes": one.bytes, "sha256": one.sha256} for one in files],
        }


_SCHEMA = ".work/schema"


def _name(target: str, at: int, files: int) -> str:
    """Return the name of a file. The last file is for validation. Its name shows this, except in nanochat's format."""
    if target == "nanochat":
        return f"shard_{at:05d}.parquet"
    if at == files - 1:
        return "data/validation-00000-of-00001.parquet"
    return f"data/train-{at:05d}-of-{files - 1:05d}.parquet"


def rows_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Put one slice into boxes, and commit."""
    store = open_store(payload["store"])
    part = TextSlice(**payload["slice"])
    return send_rows(store, part, _read_schema(store), payload["seed"], payload["bits"]).as_dict()


def write_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Write and commit one output file."""
    store = open_store(payload["store"])
    parts = [Part(**part) for part in get_value(store, payload["parts"])]
    task = RowsTask(**{**payload["task"], "cut": Cut(**payload["task"]["cut"])})
    return write_rows(store, task, parts, payload["parts"], _read_schema(store)).as_dict()


def _read_schema(store: Store) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(store.get(_SCHEMA) or b""))
