"""A piece of a finished run under other limits, or without what was taken down: the parts that a pass over its records
would have left, from those of the run, with only the pages read again that must be.

It is read in two steps: what passes now but was removed as a duplicate has no text in the run. It is compared without,
and if it is to stay this time, `fill` reads its page.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.collective import Collective
from corpus.errors import InputChanged
from corpus.outcome import DROPPED, KEPT
from corpus.revise.fates import READ, Rejudge, put
from corpus.sandbox.attempt import PartFiles
from corpus.sandbox.guard import Guard
from corpus.sandbox.unit import Batch, Place, Unit, UnitFacts, UnitOptions
from corpus.storage.commits import Commit, Part, commit, commit_key, read_commit
from corpus.storage.store import Location, Store
from corpus.tables.ledger import CORPUS_SCHEMA, Counts, add_counts, no_counts
from corpus.tables.pack import read_part
from corpus.tables.run_files import RunFiles
from corpus.tables.samples import SAMPLES_SCHEMA
from corpus.tables.verdicts import VerdictBox, removed_rows


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of a run's ledger, all of one archive, and the rows of the corpus and of the signatures that
    belong to them, as (first, end). `extra` are the ids of pages that the samples need, `samples` those they have;
    `exceptions` are those of the archive."""

    warc: str
    ledger: tuple[int, int]
    corpus: tuple[int, int]
    signed: tuple[int, int]
    extra: tuple[str, ...] = ()
    samples: tuple[dict[str, Any], ...] = ()
    exceptions: tuple[dict[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Piece:
        lists: dict[str, Any] = {name: tuple(value) for name, value in data.items() if name != "warc"}
        return cls(data["warc"], **lists)


@dataclass(frozen=True)
class Reading:
    """How pages are read again: by whom, where the archive is, and what was taken down."""

    guard: Guard
    archive: Unit | None
    """The whole archive as one unit; None where it is not needed."""
    taken: str = ""

    def pages(self, places: Sequence[Place], kinds: Sequence[str]) -> tuple[dict[str, pa.Table], list[dict[str, str]]]:
        """The rows of the pages at these places, by kind, and what passed only with more time or memory."""
        if not places:
            return {}, []
        assert self.archive is not None
        batches: list[Batch] = []
        settings, size = self.guard.settings, self.archive.end - self.archive.start
        # without members, all that lies before a page is read, too
        wall_s = settings.pages_wall_s(len(places)) if self.archive.format == "members" else settings.unit_wall_s(size)
        self.guard.run(self.archive, batches.append, UnitOptions(places, self.taken, wall_s=wall_s))
        tables = {kind: pa.concat_tables([batch.tables[kind] for batch in batches]) for kind in kinds}
        if tables["ledger"].num_rows != len(places):
            raise InputChanged(f"{self.archive.warc} has other records than the run found.", "Give the same archives.")
        return tables, [exception for batch in batches for exception in batch.exceptions]


def rewrite(store: Store, folder: Location, piece: Piece, rejudge: Rejudge, stages: Sequence[Collective],
            reading: Reading, depends: str) -> Commit:  # fmt: skip
    """The commit of a piece of the run in `folder`. `stages` are those that compare documents."""
    key = commit_key("rewrite", piece.as_dict(), depends)
    done = read_commit(store, key)
    if done is not None:
        return done
    started = time.monotonic()
    run = RunFiles.open(folder)
    kinds = ["ledger", "corpus", "samples", *(stage.kind for stage in stages)]
    old = read_rows(run.paths("ledger"), *piece.ledger)
    fates = rejudge.fates(old.select)
    again = fates.action == READ
    again |= pc.is_in(old["id"], value_set=pa.array(piece.extra, pa.string())).to_numpy() & ~fates.taken
    tables, exceptions = reading.pages(_places(old.filter(pa.array(again))), kinds)
    ledger = _interleaved(rejudge.table(old, fates), again, tables.get("ledger"))
    passed = np.isin(fates.old, (rejudge.ends.kept, rejudge.ends.repeated))
    keeps = pc.equal(ledger["outcome"], KEPT).to_numpy()
    made = {"ledger": ledger}
    had = pc.equal(old["outcome"], KEPT).to_numpy()
    had_rows = read_rows(run.paths("corpus"), *piece.corpus) if (had & keeps & ~again).any() else None
    made["corpus"] = _corpus(ledger, keeps, again, had, had_rows, tables.get("corpus"))
    for stage in stages:
        rows = _aligned(keeps & again, tables.get(stage.kind), len(keeps))
        if (passed & keeps & ~again).any():
            rows += _aligned(passed, read_rows(run.paths(stage.kind), *piece.signed), len(keeps), keeps & ~again)
        made[stage.kind] = _in_order(rows, stage.signed_schema())
    bare = np.flatnonzero(made["corpus"]["text"].is_null().to_numpy())
    made["missing"] = pa.table({"corpus_row": bare.astype(np.int64)})
    samples = [*piece.samples, *(tables["samples"].to_pylist() if tables else ())]
    made["samples"] = pa.Table.from_pylist(samples, schema=SAMPLES_SCHEMA)
    untouched = set(old["id"].filter(pa.array(~again & ~fates.taken)).to_pylist()) if piece.exceptions else set()
    facts: UnitFacts = {
        "unit": {"warc": piece.warc, "rows": list(piece.ledger)},
        "counts": _counts(ledger),
        "other_records": {},
        "exceptions": _exceptions([one for one in piece.exceptions if one["id"] in untouched], exceptions, ledger),
        "read": int(again.sum()),
        "missing": made["missing"].num_rows,
        "seconds": round(time.monotonic() - started, 3),
    }
    return commit(store, key, _write(store, made), facts)


def fill(store: Store, done: Commit, verdicts: Sequence[VerdictBox], reading: Reading, depends: str) -> Commit:
    """The commit of a piece whose every text is there, but for those that comparing documents removed."""
    boxes = [[box.part.sha256, box.box] for box in verdicts]
    key = commit_key("fill", {"rewritten": done.sha256, "verdicts": boxes}, depends)
    filled = read_commit(store, key)
    if filled is not None:
        return filled
    started = time.monotonic()
    corpus, ledger = read_part(store, done.part("corpus")), read_part(store, done.part("ledger"))
    wanted = lacking(store, done, verdicts)
    tables, exceptions = reading.pages(_places(corpus.filter(pa.array(wanted))), ["ledger", "corpus"])
    if tables:
        if tables["corpus"].num_rows != tables["ledger"].num_rows:
            raise InputChanged("A page that passed every rule before does not pass now.", "Give the same archives.")
        corpus = _interleaved(corpus, wanted, tables["corpus"])
        rows = np.flatnonzero(pc.equal(ledger["outcome"], KEPT).to_numpy())[wanted]
        here = np.zeros(ledger.num_rows, np.bool_)
        here[rows] = True
        ledger = _interleaved(ledger, here, tables["ledger"])
    facts = {**done.facts, "read": done.facts["read"] + int(wanted.sum())}
    facts["exceptions"] = _exceptions(done.facts["exceptions"], exceptions, ledger)
    facts["seconds"] = round(done.facts["seconds"] + time.monotonic() - started, 3)
    others = [part for part in done.parts if part.kind not in ("corpus", "ledger")]
    return commit(store, key, [*others, *_write(store, {"corpus": corpus, "ledger": ledger})], facts)


def lacking(store: Store, done: Commit, verdicts: Sequence[VerdictBox]) -> np.ndarray:
    """Return which corpus rows have no text, of those that no comparison removed."""
    found = np.zeros(done.part("corpus").rows, np.bool_)
    found[read_part(store, done.part("missing"))["corpus_row"].to_numpy()] = True
    found[removed_rows(store, verdicts)] = False
    return found


def read_rows(paths: Sequence[Path], first: int, end: int) -> pa.Table:
    """Rows [first, end) of some parquet files, one after the other; only the row groups that hold them are read."""
    tables = []
    before = 0
    for path in paths:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                start, stop = max(first - before, 0), min(end - before, rows)
                if start < stop:
                    tables.append(file.read_row_group(group).slice(start, stop - start))
                before += rows
            if not tables and path == paths[-1]:
                tables.append(file.schema_arrow.empty_table())
    return pa.concat_tables(tables).combine_chunks()


def _exceptions(before: Sequence[dict[str, str]], now: Sequence[dict[str, str]], ledger: pa.Table) -> list[Any]:
    """What passed only with more time or memory, before and now, in the order of the ledger; the latter counts."""
    said = {one["id"]: one for one in (*before, *now)}
    return [said[record] for record in ledger["id"].to_pylist() if record in said] if said else []


def _places(rows: pa.Table) -> list[Place]:
    """Where records are, by their ids."""
    found = []
    for row in rows.select(["id", "warc", "offset"]).to_pylist():
        inner = row["id"][len(f"{row['warc']}:{row['offset']}") :]
        found.append((row["offset"], int(inner[1:] or 0)))
    return found


def _interleaved(table: pa.Table, here: np.ndarray, rows: pa.Table | None) -> pa.Table:
    """The table with other rows at some places, in order."""
    if rows is None or not here.any():
        return table
    both = pa.concat_tables([table.cast(rows.schema), rows])
    order = np.arange(table.num_rows)
    order[here] = table.num_rows + np.arange(rows.num_rows)
    return both.take(pa.array(order)).combine_chunks()


Aligned = list[tuple[np.ndarray, pa.Table]]
"""Rows with the places that they go to."""


def _aligned(at: np.ndarray, rows: pa.Table | None, size: int, wanted: np.ndarray | None = None) -> Aligned:
    """Rows that belong to the places where `at` is true, of them those that are wanted."""
    if rows is None:
        return []
    assert len(at) == size
    places = np.flatnonzero(at)
    assert len(places) == rows.num_rows
    if wanted is None:
        return [(places, rows)]
    return [(places[wanted[places]], rows.filter(pa.array(wanted[places])))]


def _in_order(rows: Aligned, schema: pa.Schema) -> pa.Table:
    if not rows:
        return schema.empty_table()
    order = np.argsort(np.concatenate([places for places, _ in rows]), kind="stable")
    tables = pa.concat_tables([table.select(schema.names).cast(schema) for _, table in rows])
    return tables.take(pa.array(order)).combine_chunks()


def _corpus(ledger: pa.Table, keeps: np.ndarray, again: np.ndarray, had: np.ndarray, rows: pa.Table | None,
            fresh: pa.Table | None) -> pa.Table:  # fmt: skip
    """The corpus rows: those that the run has, those of pages read again, and for the others their place alone."""
    found = _aligned(keeps & again, fresh, len(keeps))
    if rows is not None:
        rows = put(rows, np.ones(rows.num_rows, np.bool_), {"duplicates": 0})
        found += _aligned(had, rows, len(keeps), keeps & ~again)
    without = keeps & ~again & ~had
    if without.any():
        bare = ledger.filter(pa.array(without)).select(["id", "warc", "offset"])
        nothing = {field.name: pa.nulls(bare.num_rows, field.type) for field in CORPUS_SCHEMA}
        held = {**nothing, **{name: bare[name] for name in bare.schema.names}}
        found.append((np.flatnonzero(without), pa.table(held, schema=CORPUS_SCHEMA)))
    return _in_order(found, CORPUS_SCHEMA)


def _counts(ledger: pa.Table) -> Counts:
    """The rows as the counts of run.json."""
    counts = no_counts()
    grouped = ledger.select(["outcome", "stage", "rule"]).group_by(["outcome", "stage", "rule"], use_threads=False)
    for row in grouped.aggregate([([], "count_all")]).to_pylist():
        number, rules = row["count_all"], {row["rule"]: row["count_all"]}
        ended = {KEPT: number, DROPPED: {row["stage"]: rules}}.get(row["outcome"], rules)
        add_counts(counts, {"in": number, row["outcome"]: ended})
    return counts


def _write(store: Store, tables: Mapping[str, pa.Table]) -> list[Part]:
    """The parts of some tables, as a pass writes them."""
    with PartFiles(store) as files:
        for kind, table in tables.items():
            files.add(kind, table)
        return files.finish()
