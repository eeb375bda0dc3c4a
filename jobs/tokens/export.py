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

from corpus.errors import ConfigError, InputError, IntegrityError, did_you_mean
from corpus.runs.row_groups import schema_of
from corpus.storage.commits import Commit, Part
from corpus.storage.store import Location, Store, as_json, local_file, open_store
from corpus.storage.task_commits import get_value, put_value
from corpus.tokens.row_files import RowsTask, plan_rows, plan_whole, send_rows, write_rows
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

ZSTD_LEVEL = 3
"""As in the corpus of a run, and in nanochat's own files."""


@dataclass(frozen=True)
class ExportJob:
    """An export as the user asked for it. Without `columns`, all that can be written are."""

    texts: Location
    out: Location
    target: str
    seed: int = 0
    columns: tuple[str, ...] | None = None
    zstd_level: int = ZSTD_LEVEL


def export(job: ExportJob, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Run an export to its end, or to the first stop signal. Raises CorpusError."""
    texts = open_texts(job.texts)
    schema, left_out = _schema(job, texts)
    plan = {"texts": texts.identity(), "target": job.target, "seed": job.seed, "columns": schema.names}
    plan |= {"zstd_level": job.zstd_level, "source": _source(job, texts), "versions": versions(TOKEN_ROOMS)}
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
                run = _Exporting(job, plan, texts, schema, execution)
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
    """Return the columns to write, and the names of the others. The columns are the text alone, or those that were
    chosen, or those that all files have with the same type. The text is always among them, and in JSON Lines the id.

    Raises ConfigError if a column that was chosen can't be written.
    """
    if job.target == "nanochat":
        return pa.schema([pa.field("text", pa.string())]), []
    schemas = [schema_of(local_file(file.location)) for file in texts.files]
    names = dict.fromkeys(name for schema in schemas for name in schema.names)
    found = {name: _field(name, schemas) for name in names}
    if job.target == "jsonl":
        found = {name: field for name, field in found.items() if not field or _is_json(field.type)}
        found = {"id": pa.field("id", pa.string()), **{name: found[name] for name in found if name != "id"}}
    writable = {name: field for name, field in found.items() if field}
    if job.columns is None:
        return pa.schema(list(writable.values())), [name for name in names if name not in writable]
    for name in job.columns:
        if name in names and name not in writable:
            what = f"The column '{name}' can't be written: its type differs from file to file, or is not for export."
            raise ConfigError(what, "Leave it out of --columns.")
        if name not in writable:
            raise ConfigError(f"There is no column '{name}'.", did_you_mean(name, writable))
    always = ("id", "text") if job.target == "jsonl" else ("text",)
    chosen = dict.fromkeys([*(name for name in always if name not in job.columns), *job.columns])
    return pa.schema([writable[name] for name in chosen]), []


def _source(job: ExportJob, texts: Texts) -> str | None:
    """Return what JSON Lines name as the source of documents that name none: the recipe of a run, or the folder."""
    if job.target != "jsonl":
        return None
    return str(texts.run.info["recipe"]["name"]) if texts.run else PurePosixPath(str(job.texts)).name


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


def _is_json(kind: pa.DataType) -> bool:
    """Return True if JSON has values of a type, or a text for them as for dates."""
    if any(is_nested(kind) for is_nested in _NESTED):
        return all(_is_json(kind.field(number).type) for number in range(kind.num_fields))
    return any(is_json(kind) for is_json in _JSON)


_TYPES = pa.types
_NESTED = (_TYPES.is_struct, _TYPES.is_list, _TYPES.is_large_list, _TYPES.is_fixed_size_list)
_PLAIN = (
    _TYPES.is_null, _TYPES.is_boolean, _TYPES.is_integer, _TYPES.is_floating, _TYPES.is_string, _TYPES.is_large_string,
    _TYPES.is_binary, _TYPES.is_large_binary, _TYPES.is_date, _TYPES.is_time, _TYPES.is_timestamp, _TYPES.is_duration,
    _TYPES.is_decimal128, _TYPES.is_decimal256, _TYPES.is_fixed_size_binary,
)  # fmt: skip
_JSON = (
    _TYPES.is_null, _TYPES.is_boolean, _TYPES.is_integer, _TYPES.is_floating, _TYPES.is_string, _TYPES.is_large_string,
    _TYPES.is_date,
)  # fmt: skip


@dataclass(frozen=True)
class _Exporting:
    """A running export."""

    job: ExportJob
    plan: dict[str, Any]
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
        common |= {"every_id": self.job.target == "jsonl"}
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
            layout = (plan_rows if self.job.target in SPLIT else plan_whole)(documents, text_bytes)
        except InputError:
            store.remove(".work")
            raise
        cuts = plan_cuts(np.sum([done.facts["weights"] for done in sent], axis=0).tolist(), layout.borders)
        names = [_name(self.job.target, at, len(cuts)) for at in range(len(cuts))]
        how = (layout.group, plain, self.job.zstd_level, self.plan["source"])
        tasks = [RowsTask(name, cut, *how) for name, cut in zip(names, cuts, strict=True)]
        common = {"store": store.location, "parts": put_value(store, [asdict(done.parts[0]) for done in sent])}
        payloads = [{**common, "task": asdict(task)} for task in tasks]
        files = [done.parts[0] for done in self.execution.commits("write", write_task, payloads)]
        written = sum(file.rows for file in files)
        if written != documents:
            raise IntegrityError(f"{written} documents were written of {documents}.", "Please report this.")
        return {
            "documents": {"in": self.texts.rows, "train": documents - layout.val_rows, "val": layout.val_rows},
            "bytes": text_bytes,
            "row_group": layout.group,
            "val_row_groups": layout.val_groups,
            "files": [{"name": one.key, "rows": one.rows, "bytes": one.bytes, "sha256": one.sha256} for one in files],
        }


_SCHEMA = ".work/schema"

SPLIT = ("nanochat", "datasets")
"""The targets whose files are split into train and validation."""


def _name(target: str, at: int, files: int) -> str:
    """Return the name of a file. If there is a split, the last file is for validation, by name too, as nanochat wants
    it. JSON Lines lie where Dolma's tools look for them."""
    if target not in SPLIT:
        return f"documents/part-{at:05d}.jsonl.zst" if target == "jsonl" else f"data/part-{at:05d}.parquet"
    if target == "nanochat":
        return f"shard_{at:05d}.parquet"
    if at == files - 1:
        return "data/validation-00000-of-00001.parquet"
    return f"data/train-{at:05d}-of-{files - 1:05d}.parquet"


def rows_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Put one slice into boxes, and commit."""
    store = open_store(payload["store"])
    part = TextSlice(**payload["slice"])
    schema = _read_schema(store)
    return send_rows(store, part, schema, payload["seed"], payload["bits"], payload["every_id"]).as_dict()


def write_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Write and commit one output file."""
    store = open_store(payload["store"])
    parts = [Part(**part) for part in get_value(store, payload["parts"])]
    task = RowsTask(**{**payload["task"], "cut": Cut(**payload["task"]["cut"])})
    return write_rows(store, task, parts, payload["parts"], _read_schema(store)).as_dict()


def _read_schema(store: Store) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(store.get(_SCHEMA) or b""))
