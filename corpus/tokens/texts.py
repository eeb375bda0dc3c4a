"""Texts to train on: the corpus of a finished run, or any folder of parquet files with a column `text`.

What follows reads them in pieces of whole row groups, so that one large file is work for many tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from corpus.errors import InputChanged, InputError, IntegrityError
from corpus.net.urls import redact
from corpus.storage.store import Location, local_file, open_store
from corpus.tables.run_files import RunFiles
from corpus.warc.source import LocalSource, digest_of_ends, input_changed

PIECE_BYTES = 64 << 20
"""Of text in a piece: some seconds of work."""

_MOST_PIECES = 1 << 14
_ROWS_AT_ONCE = 1024
_SAMPLE_SEED = 0x5A


@dataclass(frozen=True)
class Piece:
    """Some row groups of one file. `first` is the number of their first row in the file."""

    name: str
    place: str
    identity: str
    groups: tuple[int, ...]
    first: int
    has_id: bool
    of_run: bool

    def content(self) -> dict[str, Any]:
        """All but where it lies: what a result depends on."""
        return {"name": self.name, "identity": self.identity, "groups": self.groups}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Piece:
        return cls(**{**data, "groups": tuple(data["groups"])})


@dataclass(frozen=True)
class TextFile:
    """A parquet file: its name, its path or URL, what its content is known by, whether it is a part of a run, and what
    its footer says. `has_id` is whether its column `id` can name documents."""

    name: str
    place: str
    identity: str
    of_run: bool
    has_id: bool
    columns: tuple[str, ...]
    groups: tuple[tuple[int, int], ...]
    """Rows and bytes of text of each row group."""
    all_bytes: int
    """Of all columns."""

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.groups)


@dataclass(frozen=True)
class Texts:
    """The files of a folder, in the order of their rows; `run` where they are the corpus of one."""

    files: tuple[TextFile, ...]
    run: RunFiles | None

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Of text, before compression, and a little more; less where a dictionary stands for texts that repeat."""
        return sum(size for file in self.files for _, size in file.groups)

    @property
    def all_bytes(self) -> int:
        """Of all columns, in the same way."""
        return sum(file.all_bytes for file in self.files)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that all files have."""
        first = self.files[0].columns
        return tuple(name for name in first if all(name in file.columns for file in self.files))

    def identity(self) -> dict[str, Any]:
        """What the texts are known by wherever they lie."""
        made_by = {"fingerprint": self.run.info["fingerprint"]} if self.run else {}
        files = [{"name": file.name, "rows": file.rows, "identity": file.identity} for file in self.files]
        return {**made_by, "files": files}

    def pieces(self) -> list[Piece]:
        """The files in pieces of some size."""
        most = max(PIECE_BYTES, self.bytes // _MOST_PIECES)
        found = []
        for file in self.files:
            groups: list[int] = []
            size = first = row = 0
            for number, (rows, group_bytes) in enumerate(file.groups):
                if groups and size + group_bytes > most:
                    found.append(_piece(file, groups, first))
                    groups, size, first = [], 0, row
                groups.append(number)
                size += group_bytes
                row += rows
            if groups:
                found.append(_piece(file, groups, first))
        return found


def _piece(file: TextFile, groups: list[int], first: int) -> Piece:
    return Piece(file.name, file.place, file.identity, tuple(groups), first, file.has_id, file.of_run)


def open_texts(folder: Location) -> Texts:
    """The texts in a folder, or under a URL. Raises InputError where there are none."""
    store = open_store(folder)
    run = RunFiles.open(folder) if store.size("run.json") is not None else None
    if run is not None:
        parts = [(part.key, part.sha256) for part in run.parts("corpus")]
    else:
        names = sorted(store.names())  # those that are hidden are not data: what Spark and others leave beside it
        parts = [(name, "") for name in names if name.endswith(".parquet") and not name.startswith((".", "_"))]
    if not parts:
        raise InputError(
            f"{store.where()} holds neither a finished run nor parquet files.",
            "Run `corpus build … -o` on it first.",
        )
    found = Texts(tuple(_text_file(f"{store.location}/{key}", identity) for key, identity in parts), run)
    if not found.rows:
        raise InputError(
            f"{store.where()} holds no text.", "See run.json, or `corpus explain`, for why no page was kept."
        )
    return found


def _text_file(place: str, identity: str) -> TextFile:
    path = redact(place)
    of_run = bool(identity)
    try:
        file = local_file(place)
        if not of_run:
            identity = _digest(file)
        metadata = pq.read_metadata(file)
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing.", "Restore it, or build again.") from None
    except (OSError, pa.ArrowInvalid):
        raise InputError(f"{path} is no parquet file.", "Move it away, or name another folder.") from None
    schema = metadata.schema.to_arrow_schema()
    kinds = {field.name: value_type(field.type) for field in schema}
    if "text" not in kinds:
        raise InputError(f"{path} has no column `text`.", "Rename the column that holds the texts.")
    if kinds["text"] not in STRINGS:
        raise InputError(f"{path} has a column `text` of {kinds['text']}.", "Write the texts as strings.")
    id_kind = kinds.get("id", pa.null())
    has_id = id_kind in STRINGS or pa.types.is_integer(id_kind) or pa.types.is_floating(id_kind)
    leaves = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    column = leaves.index("text")  # a nested one may have that name, too
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    sizes = tuple((group.num_rows, group.column(column).total_uncompressed_size) for group in groups)
    all_bytes = sum(group.total_byte_size for group in groups)
    return TextFile(place.rpartition("/")[2], place, identity, of_run, has_id, tuple(schema.names), sizes, all_bytes)


STRINGS = (pa.string(), pa.large_string())


def value_type(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values, be they in a dictionary or views, which Arrow can't do all with."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(kind, kind)


def _digest(file: Path) -> str:
    """What is known of the content of a file that nobody vouches for: the second end has the footer."""
    with closing(LocalSource(file)) as source:
        return digest_of_ends(source)


def _check(piece: Piece, file: Path) -> None:
    """Raise InputChanged where a file is no longer what it was. Parts of runs have page checksums instead."""
    if not piece.of_run and _digest(file) != piece.identity:
        raise input_changed(redact(piece.place))


def read_piece(piece: Piece, extra: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """The rows of a piece that have text, in order, in batches of `id`, `text` and the extra columns. What has no id
    that is a string or a number is known by file and row; as an extra column, `id` is once more there as it is.

    Raises InputError where a text is no UTF-8, and InputChanged or IntegrityError where the file is not what it was.
    """
    wanted = {"text", *(["id"] if piece.has_id else []), *extra}
    row = piece.first
    try:
        if not piece.groups:
            return
        path = local_file(piece.place)
        _check(piece, path)
        file = pq.ParquetFile(path, page_checksum_verification=True)
        groups, columns = list(piece.groups), sorted(wanted)
        for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=groups, columns=columns, use_threads=False):
            ids = _row_ids(piece.name, row, batch.num_rows)
            if piece.has_id:
                own = batch["id"].cast(value_type(batch["id"].type))
                ids = pc.coalesce(own.cast(pa.string()), ids)
            row += batch.num_rows
            texts = batch["text"].cast(pa.string())
            texts.validate(full=True)
            others = [batch[name].cast(value_type(batch[name].type)) for name in extra]
            whole = pa.RecordBatch.from_arrays([ids, texts, *others], names=["id", "text", *extra])
            yield whole.filter(pc.greater(pc.fill_null(pc.binary_length(texts), 0), 0))
        _check(piece, path)
    except FileNotFoundError:
        raise InputChanged(f"{redact(piece.place)} is gone.", "Restore it, and run the same command again.") from None
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            raise InputError(
                f"{redact(piece.place)} holds text that is no UTF-8, before row {row}.", "Write it anew."
            ) from None
        raise IntegrityError(f"{redact(piece.place)} is damaged: it is not what was written.", "Restore it.") from None
    except OSError:
        raise IntegrityError(f"{redact(piece.place)} is damaged: it is not what was written.", "Restore it.") from None


def read_sample(texts: Texts, most_bytes: int, extra: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Documents of some `most_bytes` of text, drawn evenly by the hash of their ids; all where there is no more."""
    limit = min(most_bytes / max(texts.bytes, 1), 1) * 2**64
    for piece in texts.pieces():
        for batch in read_piece(piece, extra):
            if limit >= 2**64:
                yield batch
            else:
                drawn = [
                    xxhash.xxh3_64_intdigest(name.encode(), _SAMPLE_SEED) < limit for name in batch["id"].to_pylist()
                ]
                yield batch.filter(pa.array(drawn, pa.bool_()))


def _row_ids(name: str, first: int, rows: int) -> pa.Array:
    return pa.array([f"{name}:{row}" for row in range(first, first + rows)], pa.string())
