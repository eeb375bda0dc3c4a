"""Texts to train on: the corpus of a finished run, or any folder of parquet files with a column `text`.

Jobs read texts in slices of whole row groups, so that many tasks can share the work on one large file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpus.errors import InputChanged, InputError, IntegrityError
from corpus.net.urls import redact
from corpus.runs.run_files import RunFiles
from corpus.storage.parquet_files import ParquetFile
from corpus.storage.store import Location, local_file, open_store
from corpus.warc.source import LocalSource, digest_of_ends, input_changed

SLICE_BYTES = 64 << 20
"""The bytes of text in a slice. A slice takes some seconds of work."""

_MOST_SLICES = 1 << 14
_ROWS_AT_ONCE = 1024
_SAMPLE_SEED = 0x5A
_HIDDEN = re.compile(r"(^|/)[._]")
"""Hidden files, which Spark and other programs leave, are not data."""


@dataclass(frozen=True)
class TextSlice:
    """Consecutive row groups of one file. `first` is the number of their first row in the file."""

    name: str
    location: str
    identity: str
    groups: tuple[int, ...]
    first: int
    has_id: bool
    of_run: bool
    has_url: bool = False

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that say what a document is: its text, and its URL if there is one."""
        return ("text", "url") if self.has_url else ("text",)

    def content(self) -> dict[str, Any]:
        """Return the data on which a result depends. The location is left out."""
        return {"name": self.name, "identity": self.identity, "groups": self.groups}


@dataclass(frozen=True)
class TextFile:
    """A parquet file, as its footer describes it.

    `of_run` is True for a part of a run. `has_id` is True if the column `id` can identify documents. `has_url` is True
    if there is a column `url` of strings.
    """

    name: str
    location: str
    identity: str
    of_run: bool
    has_id: bool
    columns: tuple[str, ...]
    groups: tuple[tuple[int, int], ...]
    """The number of rows and the bytes of text of each row group."""
    all_bytes: int
    """The number of bytes of all columns."""
    has_url: bool = False

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.groups)

    def slices(self, most_bytes: int) -> Iterator[TextSlice]:
        """Yield the file in slices of at most `most_bytes` of text.

        A row group that is larger becomes a slice by itself.
        """
        start = first = size = row = 0
        groups = [*self.groups, (0, most_bytes + 1)]  # the extra entry at the end closes the last slice
        for number, (rows, group_bytes) in enumerate(groups):
            if number > start and size + group_bytes > most_bytes:
                numbers = tuple(range(start, number))
                flags = (self.has_id, self.of_run, self.has_url)
                yield TextSlice(self.name, self.location, self.identity, numbers, first, *flags)
                start, first, size = number, row, 0
            size += group_bytes
            row += rows


@dataclass(frozen=True)
class Texts:
    """The files of a folder, in the order of their rows. If they are the corpus of a run, `run` is that run."""

    files: tuple[TextFile, ...]
    run: RunFiles | None

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """The bytes of text before compression. Repeated texts count once if they are in a dictionary."""
        return sum(size for file in self.files for _, size in file.groups)

    @property
    def all_bytes(self) -> int:
        """The bytes of all columns before compression."""
        return sum(file.all_bytes for file in self.files)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that all files have."""
        first = self.files[0].columns
        return tuple(name for name in first if all(name in file.columns for file in self.files))

    def identity(self) -> dict[str, Any]:
        """Return the identity of the texts. The location of the texts is not a part of it."""
        made_by = {"fingerprint": self.run.info["fingerprint"]} if self.run else {}
        files = [{"name": file.name, "rows": file.rows, "identity": file.identity} for file in self.files]
        return {**made_by, "files": files}

    def slices(self) -> list[TextSlice]:
        most_bytes = max(SLICE_BYTES, self.bytes // _MOST_SLICES)
        return [part for file in self.files for part in file.slices(most_bytes)]


def open_texts(folder: Location) -> Texts:
    """Open the texts in a folder, in one parquet file, or under a URL. Raises InputError if there are none."""
    above, alone = _one_file(folder)
    store = open_store(above)
    run = RunFiles.open(folder) if not alone and store.size("run.json") is not None else None
    if run is not None:
        parts = [(part.key, part.sha256) for part in run.parts("corpus")]
    else:
        keys = [alone] if alone else store.keys("")
        parts = [(key, "") for key in keys if key.endswith(".parquet") and not _HIDDEN.search(key)]
    where = store.where()
    if not parts:
        raise InputError(f"{where} holds neither a finished run nor parquet files.", "Name the folder of a run.")
    found = Texts(tuple(_text_file(store.location, key, identity) for key, identity in parts), run)
    if not found.rows:
        raise InputError(f"{where} holds no text.", "See run.json, or `corpus explain`, for why no page was kept.")
    return found


def _one_file(location: Location) -> tuple[Location, str]:
    """Return the folder and the name of a parquet file. For a folder, return the folder and an empty name."""
    above, slash, name = str(location).rpartition("/")
    folder = above + slash if above in ("", "/") else above
    if name.endswith(".parquet") and not open_store(location).names() and open_store(folder or ".").size(name):
        return folder or ".", name
    return location, ""


def _text_file(folder: str, key: str, identity: str) -> TextFile:
    location = f"{folder}/{key}"
    path = redact(location)
    of_run = bool(identity)
    try:
        file = local_file(location)
        if not of_run:
            identity = _digest(file)
        with ParquetFile(file, path) as opened:
            metadata, schema = opened.metadata, opened.schema
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing.", "Restore it, or build again.") from None
    except (OSError, IntegrityError):
        raise InputError(f"{path} is not a parquet file.", "Move it away, or name another folder.") from None
    twice = {name for name in schema.names if schema.names.count(name) > 1}
    if twice:
        raise InputError(f"{path} has two columns `{min(twice)}`.", "Rename one of them.")
    kinds = {field.name: value_type(field.type) for field in schema}
    if "text" not in kinds:
        raise InputError(f"{path} has no column `text`.", "Rename the column that holds the texts.")
    if kinds["text"] not in (*STRINGS, pa.null()):  # the type is null if the file has no text at all
        raise InputError(f"{path} has a column `text` of {kinds['text']}.", "Write the texts as strings.")
    id_kind = kinds.get("id", pa.null())
    has_id = id_kind in STRINGS or pa.types.is_integer(id_kind) or pa.types.is_floating(id_kind)
    leaves = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    column = leaves.index("text")  # a nested column may also be named `text`
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    sizes = tuple((group.num_rows, group.column(column).total_uncompressed_size) for group in groups)
    all_bytes = sum(group.total_byte_size for group in groups)
    name = key.rpartition("/")[2] if of_run else key
    has_url = kinds.get("url") in STRINGS
    return TextFile(name, location, identity, of_run, has_id, tuple(schema.names), sizes, all_bytes, has_url)


STRINGS = (pa.string(), pa.large_string())


def value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values of a column. Arrow supports dictionaries and views only in part."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(kind, kind)


def _digest(file: Path) -> str:
    """Return a digest of both ends of a file without a sha256 from a run. The second end contains the footer."""
    with closing(LocalSource(file)) as source:
        return digest_of_ends(source)


def _check(part: TextSlice, file: Path) -> None:
    """Raise InputChanged if a file has changed.

    The corpus of a run is not checked here, because it has page checksums.
    """
    if not part.of_run and _digest(file) != part.identity:
        raise input_changed(redact(part.location))


def read_slice(part: TextSlice, extra: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a slice that have text, in order, in batches of `id`, `text` and the extra columns. If `id` is
    an extra column, it is passed on unchanged. Raises the errors of `read_rows`."""
    for batch in read_rows(part, ("text", *extra)):
        yield pa.RecordBatch.from_arrays(batch.columns[1:], names=batch.schema.names[1:])


def read_rows(part: TextSlice, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a slice, in order, in batches of `row` (its number in the file), `id` and the columns. If
    `text` is one of the columns, rows without text are left out.

    A row gets a name made of file and row if it has no id, or if its id is neither a string nor a number. If `id` is
    one of the columns, it is passed on unchanged. Raises InputError if a text is not UTF-8, and InputChanged or
    IntegrityError if the file has changed.
    """
    wanted = {*(["id"] if part.has_id else []), *columns}
    row, shown = part.first, redact(part.location)
    try:
        path = local_file(part.location)
        _check(part, path)
        file = ParquetFile(path, shown)
        for batch in file.batches(_ROWS_AT_ONCE, sorted(wanted), part.groups):
            numbers = range(row, row + batch.num_rows)
            ids = pa.array([f"{part.name}:{number}" for number in numbers], pa.string())
            if part.has_id:
                own = batch["id"].cast(value_type(batch["id"].type))
                ids = pc.coalesce(own.cast(pa.string()), ids)
            row += batch.num_rows
            given = [batch[name].cast(_read_type(name, batch)) for name in columns]
            whole = pa.RecordBatch.from_arrays(
                [pa.array(numbers, pa.int64()), ids, *given], names=["row", "id", *columns]
            )
            if "text" in columns:
                texts = given[list(columns).index("text")]
                texts.validate(full=True)
                whole = whole.filter(pc.greater(pc.fill_null(pc.binary_length(texts), 0), 0))
            yield whole
        _check(part, path)
    except FileNotFoundError:
        raise InputChanged(f"{shown} is gone.", "Restore it, and run the same command again.") from None
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, pa.ArrowInvalid) and "UTF8" in str(error):
            raise InputError(f"{shown} has a text before row {row} that is not UTF-8.", "Write it again.") from None
        raise IntegrityError(f"{shown} is damaged.", "Restore it.") from None


def _read_type(name: str, batch: pa.RecordBatch) -> pa.DataType:
    return pa.string() if name == "text" else value_type(batch[name].type)


def read_sample(texts: Texts, most_bytes: int, extra: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yield documents with about `most_bytes` of text, or all documents. The hash of their ids selects them."""
    limit = min(most_bytes / max(texts.bytes, 1), 1) * 2**64
    for part in texts.slices():
        for batch in read_slice(part, extra):
            if limit < 2**64:
                hashes = (xxhash.xxh3_64_intdigest(name.encode(), _SAMPLE_SEED) for name in batch["id"].to_pylist())
                batch = batch.filter(pa.array([found < limit for found in hashes], pa.bool_()))
            yield batch
