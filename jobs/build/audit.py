"""`corpus verify DIR --inputs …`: count the records of the inputs again with another reader, and compare the counts.

The other reader shares no code with ours: warcio for archives, Python's own gzip and python-zstandard for JSON Lines,
the footer of a parquet file. It stops at the first damage of a file. The counts of such a file can't be compared.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import zstandard
from warcio.archiveiterator import ArchiveIterator

from corpus.documents.files import LINES, PAGE, format_of
from corpus.errors import ConfigError, IntegrityError
from corpus.net.urls import is_url
from corpus.run import Run
from corpus.warc.record import is_judged
from jobs.build.inputs import find_in_run


@dataclass(frozen=True)
class Audit:
    """The judged records of an input, in the ledger and by another reader."""

    warc: str
    in_ledger: int
    counted: int
    ended: str
    """The error that stopped the other reader early; "" if it read the whole file."""
    reader: str


def audit(run: Run, inputs: Iterable[str]) -> list[Audit]:
    """Compare each input with the ledger. Raises IntegrityError if an undamaged input and the ledger have different
    counts."""
    found = []
    for item in find_in_run(inputs, run.info["inputs"]).values():
        if is_url(item.path):
            raise ConfigError(f"{item.name} is not on this machine.", "Give local files, or verify on that machine.")
        reader, count = _counter(item.name) if run.info.get("documents") else ("warcio", _count)
        rows = run.ledger(columns=["offset", "length", "detail"], filter=pc.field("warc") == item.name)
        if "chosen" in run.info:
            reader = "warcio at the chosen places"
            count = partial(_count_at, rows["offset"].filter(rows["length"].is_null()).to_pylist())
        damaged = len(rows) - rows["length"].null_count
        in_ledger = len(rows) - damaged
        if run.info.get("documents"):  # a broken row is one row, but a broken row group may be many
            lost = pc.sum(pc.match_substring_regex(rows["detail"], _LOST)).as_py() or 0
            damaged, in_ledger = lost, len(rows) - lost
        counted, ended = count(item.path)
        if counted != in_ledger and not damaged and not ended:
            counts_differ = f"{item.name} holds {counted} records by {reader}'s count, but the ledger has {in_ledger}."
            raise IntegrityError(counts_differ, "Please report this file.")
        found.append(Audit(item.name, in_ledger, counted, ended, reader))
    return found


_LOST = "^(parquet|gzip|zstd|truncated|header|length):"
"""The kinds of damage that may cover more or less than one row."""


def _counter(name: str) -> tuple[str, Callable[[str], tuple[int, str]]]:
    """Return the reader that counts the documents of a file again, and its function."""
    form = format_of(name)
    if form is None or form.layout == PAGE:
        return "the number of files", lambda path: (1, "")
    return ("Python", _count_lines) if form.layout == LINES else ("the footer", _count_rows)


def _count_lines(path: str) -> tuple[int, str]:
    """Count the lines that are not blank. The second result is the error that stopped the reader, or ""."""
    counted = 0
    try:
        with open(path, "rb") as raw:
            start = raw.read(4)
            raw.seek(0)
            file: Any = raw
            if start.startswith(b"\x1f\x8b"):
                file = gzip.GzipFile(fileobj=raw)
            elif start == b"\x28\xb5\x2f\xfd":
                decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
                file = io.BufferedReader(decompressor.stream_reader(raw, read_across_frames=True))
            for line in file:
                counted += bool(line.removeprefix(b"\xef\xbb\xbf").strip())
    except (OSError, EOFError, ValueError, zstandard.ZstdError) as error:
        return counted, type(error).__name__
    return counted, ""


def _count_rows(path: str) -> tuple[int, str]:
    try:
        return pq.read_metadata(path).num_rows, ""
    except (pa.ArrowException, OSError) as error:
        return 0, type(error).__name__


def _count(path: str) -> tuple[int, str]:
    """Count the judged records. The second result is the error that stopped warcio, or ""."""
    with open(path, "rb") as file:
        return _count_in(iter([file]))


def _count_at(offsets: Sequence[int], path: str) -> tuple[int, str]:
    """Count the judged records that begin at these places."""
    with open(path, "rb") as file:
        return _count_in((file for offset in offsets if file.seek(offset) >= 0), first=True)


def _count_in(parts: Iterator[IO[bytes]], first: bool = False) -> tuple[int, str]:
    """Count the judged records from the position of each file on, or only the `first` record there."""
    counted = 0
    printed = io.StringIO()  # warcio prints an error for each piece of damage
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            for file in parts:
                for record in islice(ArchiveIterator(file, no_record_parse=True, arc2warc=True), 1 if first else None):
                    headers = {name.lower(): value for name, value in reversed(record.rec_headers.headers)}
                    counted += is_judged(record.rec_type, headers)
        except Exception as error:  # warcio passes on every error of its parsers
            return counted, type(error).__name__
    return counted, ""
