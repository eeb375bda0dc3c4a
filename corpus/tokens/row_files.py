"""Texts as files for other trainers: the layout of the rows in files, and the two halves of the shuffle.

nanochat's trainer (`dataset.py` and `dataloader.py`) does not shuffle documents, so they must be shuffled here. It
needs at least two files, and validates on the last one. Each of n GPUs reads every n-th row group, so each file needs
enough row groups.

JSON Lines have Dolma's form, in zstd: `id`, `text`, `source`, `created`, and all else in `metadata`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import zstandard

from corpus.digests import digest
from corpus.errors import InputError
from corpus.storage.boxes import Outbox
from corpus.storage.commits import Commit, Part, add_part, commit, commit_key, is_there, read_commit
from corpus.storage.store import Store, scratch_file
from corpus.tokens.shuffle import KEY, WEIGHT, Cut, boxes_of, in_groups, keys_of, read_cut
from corpus.tokens.texts import TextSlice, read_slice

GROUP_ROWS = 1024
"""The number of documents per row group, as in nanochat's own files."""

FILE_BYTES = 250_000_000
"""The bytes of text per file. As zstd these are some 100 MB, which is nanochat's shard size."""

_FEW_GROUPS = 8
"""The least number of row groups.

A small corpus has smaller row groups, to reach this number. Rows that fill no row group go to the last file, which
would otherwise hold a large part of the corpus.
"""

_VAL_SHARE = 0.01
VAL_GROUPS = 8
"""The number of row groups of the last file, if there are enough documents: one for each GPU of a usual machine."""


@dataclass(frozen=True)
class RowLayout:
    """The layout of an export. `group` is the number of documents per row group; only the very last row group may have
    fewer. `borders` has the first row of each file, and the number of rows at the end. If it is `split`, the last file
    is for validation."""

    group: int
    borders: tuple[int, ...]
    split: bool = True

    @property
    def val_rows(self) -> int:
        return self.borders[-1] - self.borders[-2] if self.split else 0

    @property
    def val_groups(self) -> int:
        return -(-self.val_rows // self.group)


def plan_whole(documents: int, text_bytes: int) -> RowLayout:
    """Return the layout for this number of documents without a split. Raises InputError if there are none."""
    if not documents:
        raise InputError("No document has text.", "Give at least one.")
    files, groups = max(round(text_bytes / FILE_BYTES), 1), -(-documents // GROUP_ROWS)
    files = min(files, groups)
    borders = [min(GROUP_ROWS * (groups * file // files), documents) for file in range(files + 1)]
    return RowLayout(GROUP_ROWS, tuple(borders), split=False)


def plan_rows(documents: int, text_bytes: int) -> RowLayout:
    """Return the layout for this number of documents. Raises InputError for fewer than two documents."""
    if documents < 2:
        raise InputError(f"A corpus of {documents} document can't be split in two.", "Give at least two documents.")
    group = GROUP_ROWS
    while group > 1 and documents // group < _FEW_GROUPS:
        group //= 2
    groups = documents // group
    per_file = max(round(FILE_BYTES / (text_bytes / documents) / group), 1)
    val = min(max(round(groups * _VAL_SHARE), min(VAL_GROUPS, groups // 8), 1), per_file)
    train = groups - val
    files = max(round(train / per_file), 1)
    borders = [group * (train * file // files) for file in range(files + 1)]
    return RowLayout(group, (*borders, documents))


def send_rows(
    store: Store, texts: TextSlice, schema: pa.Schema, seed: int, bits: int, every_id: bool = False
) -> Commit:
    """Put the rows of a slice into boxes, and commit. The facts are the bytes of text, and the rows of each box. With
    `every_id`, the column `id` has the names of rows without an id, too."""
    key = commit_key("rows", texts.content(), digest([schema.to_string(), seed, bits, every_id]))
    done = read_commit(store, key)
    if done is not None:
        return done
    extra = [name for name in schema.names if name != "text" and not (every_id and name == "id")]
    weights = np.zeros(1 << bits, dtype=np.int64)
    text_bytes = 0
    with Outbox(store, "rows", 1 << bits) as out:
        for batch in read_slice(texts, extra):
            keys = keys_of(batch.column(0).to_pylist(), seed)
            ones = pa.array(np.ones(len(keys), dtype=np.int64))
            # if the file has two columns `id`, its own is the last one
            given = dict(zip(batch.schema.names, batch.columns, strict=True))
            columns = [given[field.name].cast(field.type) for field in schema]
            rows = pa.RecordBatch.from_arrays([pa.array(keys), ones, *columns], schema=boxed(schema))
            boxes = boxes_of(keys, bits)
            out.scatter(boxes, rows)
            weights += np.bincount(boxes, minlength=len(weights))
            text_bytes += pc.sum(pc.binary_length(given["text"])).as_py() or 0
        part = out.finish()
    return commit(store, key, [part], {"bytes": text_bytes, "weights": weights.tolist()})


def boxed(schema: pa.Schema) -> pa.Schema:
    """Return the schema of rows in the boxes: key, weight, and the columns of the output.

    The columns of the output are named by numbers, because one of them may be named `key` or `weight`.
    """
    return pa.schema([KEY, WEIGHT, *(field.with_name(str(number)) for number, field in enumerate(schema))])


@dataclass(frozen=True)
class RowsTask:
    """One output file: its key, its rows, the documents per row group, and the level of zstd. A `plain` file has no
    statistics and no dictionaries, as nanochat's own files. With a `source`, it has JSON Lines, whose documents are
    from there unless they say otherwise."""

    key: str
    cut: Cut
    group: int
    plain: bool
    level: int
    source: str | None = None


def write_rows(store: Store, task: RowsTask, parts: Sequence[Part], inputs: str, schema: pa.Schema) -> Commit:
    """Write one output file and commit it. `parts` are the files of boxes, `inputs` is a digest of them."""
    key = commit_key("write", {"key": task.key}, digest([asdict(task), inputs]))
    done = read_commit(store, key)
    if done is not None and is_there(store, done.parts[0]):
        return done
    batches = read_cut(store, parts, boxed(schema), task.cut)
    groups = (pa.Table.from_arrays(group.columns[2:], schema=schema) for group in in_groups(batches, task.group))
    with scratch_file(store) as scratch:
        write = _write_parquet if task.source is None else _write_json_lines
        rows = write(scratch, task, groups, schema)
        part = add_part(store, "rows", scratch, rows, key=task.key)
    return commit(store, key, [part], {"documents": rows})


def _write_parquet(file: Path, task: RowsTask, groups: Iterator[pa.Table], schema: pa.Schema) -> int:
    names = [field.name for field in schema if field.name not in ("text", "url", "id") and not task.plain]
    options = {"compression": "zstd", "compression_level": task.level, "write_page_checksum": True}
    rows = 0
    with pq.ParquetWriter(file, schema, use_dictionary=names, write_statistics=names, **options) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=task.group)
            rows += group.num_rows
    return rows


CREATED = ("created", "date")
"""The columns that may say when a document was made, in order of preference."""


def _write_json_lines(file: Path, task: RowsTask, groups: Iterator[pa.Table], schema: pa.Schema) -> int:
    created = next((name for name in CREATED if name in schema.names), "")
    rows = 0
    with file.open("xb") as out, zstandard.ZstdCompressor(level=task.level).stream_writer(out) as writer:
        for group in groups:
            for row in group.to_pylist():
                document = {"id": row.pop("id"), "text": row.pop("text")}
                document["source"] = row.pop("source", None) or task.source
                if (when := row.pop(created, None)) is not None:
                    document["created"] = when
                writer.write(orjson.dumps({**document, "metadata": row}, option=orjson.OPT_APPEND_NEWLINE))
            rows += group.num_rows
    return rows
