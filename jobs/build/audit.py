"""`corpus verify DIR --inputs …`: count the archives' records once more, by warcio, and compare with the ledger.

An independent reader: it shares no code with ours. It ends at the first damage of a file, so there it can only say
that up to then both agree.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pyarrow.compute as pc
from warcio.archiveiterator import ArchiveIterator

from corpus.errors import ConfigError, IntegrityError
from corpus.net.urls import is_url
from corpus.run import Run
from corpus.warc.record import JUDGED
from jobs.build.inputs import find_inputs


@dataclass(frozen=True)
class Audit:
    """One archive: its judged records in the ledger and by warcio, and why warcio ended early, if it did."""

    warc: str
    in_ledger: int
    counted: int
    ended: str


def audit(run: Run, inputs: Iterable[str]) -> list[Audit]:
    """Compare each archive with the ledger. Raises IntegrityError where they disagree without damage in between."""
    found = []
    for item in find_inputs(inputs):
        if is_url(item.path):
            raise ConfigError(f"{item.name} is not on this machine.", "Count files once more where they lie.")
        rows = run.ledger.to_table(columns=["length"], filter=pc.field("warc") == item.name)
        damaged = len(rows) - rows["length"].null_count
        in_ledger = len(rows) - damaged
        counts, ended = _count(item.path)
        counted = sum(counts[kind] for kind in JUDGED)
        if counted != in_ledger and not damaged and not ended:
            raise IntegrityError(
                f"{item.name} holds {counted} records by warcio's count, and the ledger {in_ledger}.",
                "Please report this file.",
            )
        found.append(Audit(item.name, in_ledger, counted, ended))
    return found


def _count(path: str) -> tuple[Counter[str], str]:
    """Records by type; and the class of what ended warcio, "" if it came to the end."""
    counts: Counter[str] = Counter()
    said = io.StringIO()  # it prints an error for each piece of damage
    with open(path, "rb") as file, redirect_stdout(said), redirect_stderr(said):
        try:
            for record in ArchiveIterator(file, no_record_parse=True, arc2warc=True):
                counts[record.rec_type] += 1
        except Exception as error:  # it raises whatever its parsers raise
            return counts, type(error).__name__
    return counts, ""
