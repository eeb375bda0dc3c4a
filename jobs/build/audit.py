"""`corpus verify DIR --inputs …`: count the records of the archives again with warcio, and compare with the ledger.

warcio is an independent reader, which shares no code with ours. warcio stops at the first damage of a file. The counts
of such a file can't be compared.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pyarrow.compute as pc
from warcio.archiveiterator import ArchiveIterator

from corpus.errors import ConfigError, IntegrityError
from corpus.net.urls import is_url
from corpus.run import Run
from corpus.warc.record import is_judged
from jobs.build.inputs import find_in_run


@dataclass(frozen=True)
class Audit:
    """The number of judged records of an archive, by the ledger and by warcio."""

    warc: str
    in_ledger: int
    counted: int
    ended: str
    """The error that stopped warcio early, or "" if warcio read the whole file."""


def audit(run: Run, inputs: Iterable[str]) -> list[Audit]:
    """Compare each archive with the ledger. Raises IntegrityError if the number of records of an
    undamaged archive differs from the ledger's."""
    found = []
    for item in find_in_run(inputs, run.info["inputs"]).values():
        if is_url(item.path):
            raise ConfigError(f"{item.name} is not on this machine.", "Give local files, or verify where they are.")
        rows = run.ledger.to_table(columns=["length"], filter=pc.field("warc") == item.name)
        damaged = len(rows) - rows["length"].null_count
        in_ledger = len(rows) - damaged
        counted, ended = _count(item.path)
        if counted != in_ledger and not damaged and not ended:
            counts_differ = f"{item.name} holds {counted} records by warcio's count, and the ledger {in_ledger}."
            raise IntegrityError(counts_differ, "Please report this file.")
        found.append(Audit(item.name, in_ledger, counted, ended))
    return found


def _count(path: str) -> tuple[int, str]:
    """Count the judged records. The second result is the error that stopped warcio, or ""."""
    counted = 0
    printed = io.StringIO()  # warcio prints an error for each piece of damage
    with open(path, "rb") as file, redirect_stdout(printed), redirect_stderr(printed):
        try:
            for record in ArchiveIterator(file, no_record_parse=True, arc2warc=True):
                headers = {name.lower(): value for name, value in reversed(record.rec_headers.headers)}
                counted += is_judged(record.rec_type, headers)
        except Exception as error:  # warcio passes on every error of its parsers
            return counted, type(error).__name__
    return counted, ""
