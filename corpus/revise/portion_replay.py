"""The replay of a portion. A replay makes the parts that a pass over the records would make under other limits, or
after a takedown.

The parts are made from the files of the run. A page is read again only if these files do not have enough data. Reading
pages takes two steps, because a page that a comparison removed has no text in the run. If the page now passes every
rule, `replay_portion` omits its text, and the documents are compared without it. If the comparison keeps the page,
`add_missing_texts` reads it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.collective import Collective
from corpus.errors import InputChanged
from corpus.outcome import KEPT
from corpus.revise.ledger_replay import READ, LedgerReplay
from corpus.revise.portions import Portion
from corpus.runs.row_groups import read_rows
from corpus.runs.run_files import RunFiles
from corpus.sandbox.attempt import PartFiles
from corpus.sandbox.guard import Guard
from corpus.sandbox.unit import Batch, Unit, UnitFacts, UnitOptions
from corpus.storage.commits import Commit, Part, commit, commit_key, read_commit
from corpus.storage.store import Location, Store
from corpus.tables.ledger import Counts, add_outcome, corpus_schema, no_counts
from corpus.tables.overlay import put
from corpus.tables.pack import read_part
from corpus.tables.samples import SAMPLES_SCHEMA
from corpus.tables.verdicts import VerdictBox, removed_rows
from corpus.warc.record import Place


@dataclass(frozen=True)
class PageReader:
    """A reader that reads pages of an archive again."""

    guard: Guard
    archive: Unit | None
    """The whole archive as one unit, or None if no page is read."""
    takedown: str = ""
    """The file with the takedown list, if there is one."""

    def read(self, places: Sequence[Place], kinds: Sequence[str]) -> tuple[dict[str, pa.Table], list[dict[str, str]]]:
        """Return the rows of the pages at these places, by kind, and the pages that passed only at the second try."""
        if not places:
            return {}, []
        assert self.archive is not None
        batches: list[Batch] = []
        settings, size = self.guard.settings, self.archive.end - self.archive.start
        # other files must be read from their start up to each page
        wall_s = settings.pages_wall_s(len(places)) if self.archive.seekable else settings.unit_wall_s(size)
        self.guard.run(self.archive, batches.append, UnitOptions(places, self.takedown, wall_s=wall_s))
        tables = {kind: pa.concat_tables([batch.tables[kind] for batch in batches]) for kind in kinds}
        if tables["ledger"].num_rows != len(places):
            raise InputChanged(f"{self.archive.warc} has other records than the run found.", "Give the same archives.")
        return tables, [exception for batch in batches for exception in batch.exceptions]


def replay_portion(store: Store, folder: Location, portion: Portion, replay: LedgerReplay,
                   stages: Sequence[Collective], reader: PageReader, depends: str) -> Commit:  # fmt: skip
    """Replay a portion of the run in `folder`, and commit its parts. `stages` are the collective ones."""
    key = commit_key("rewrite", portion.as_dict(), depends)
    done = read_commit(store, key)
    if done is not None:
        return done
    started = time.monotonic()
    run = RunFiles.open(folder)
    old = read_rows(run.paths("ledger"), *portion.ledger)
    actions = replay.actions(old.select)
    again = actions.action == READ
    again |= pc.is_in(old["id"], value_set=pa.array(portion.extra, pa.string())).to_numpy() & ~actions.taken_down
    kinds = ["ledger", "corpus", "samples", *(stage.kind for stage in stages)]
    tables, exceptions = reader.read(_places(old.filter(pa.array(again))), kinds)
    ledger = _replaced(replay.table(old, actions), again, tables.get("ledger"))
    keeps = pc.equal(ledger["outcome"], KEPT).to_numpy()
    kept, stays = ledger.filter(pa.array(keeps)), keeps & ~again

    def kept_rows(kind: str, schema: pa.Schema, in_run: np.ndarray, rows: tuple[int, int]) -> pa.Table:
        """Return the rows of kept pages: the rows from the run (`in_run`), and the rows of pages read again."""
        found = _bare(kept, schema)
        if (in_run & stays).any():
            before = read_rows(run.paths(kind), *rows).filter(pa.array(stays[in_run]))
            found = _replaced(found, (in_run & stays)[keeps], before)
        return _replaced(found, again[keeps], tables.get(kind))

    had = pc.equal(old["outcome"], KEPT).to_numpy()
    corpus = kept_rows("corpus", corpus_schema(run.info.get("documents")), had, portion.corpus)
    made = {"ledger": ledger, "corpus": put(corpus, np.ones(corpus.num_rows, np.bool_), {"duplicates": 0})}
    passed = np.isin(actions.old, (replay.codes.kept, replay.codes.repeated))
    made |= {stage.kind: kept_rows(stage.kind, stage.signed_schema(), passed, portion.signed) for stage in stages}
    without_text = np.flatnonzero(corpus["text"].is_null().to_numpy())
    made["missing"] = pa.table({"corpus_row": without_text.astype(np.int64)})
    samples = [*portion.samples, *(tables["samples"].to_pylist() if tables else ())]
    made["samples"] = pa.Table.from_pylist(samples, schema=SAMPLES_SCHEMA)
    untouched = set(old["id"].filter(pa.array(~again & ~actions.taken_down)).to_pylist()) if portion.exceptions else ()
    facts: UnitFacts = {
        "unit": {"warc": portion.warc, "rows": list(portion.ledger)},
        "counts": _counts(ledger),
        "other_records": {},
        "exceptions": _exceptions([one for one in portion.exceptions if one["id"] in untouched], exceptions, ledger),
        "read": int(again.sum()),
        "missing": made["missing"].num_rows,
        "seconds": round(time.monotonic() - started, 3),
    }
    return commit(store, key, _write(store, made), facts)


def add_missing_texts(
    store: Store, done: Commit, verdicts: Sequence[VerdictBox], reader: PageReader, depends: str
) -> Commit:
    """Read the texts that a replayed portion lacks, and commit its parts with them.

    `verdicts` are the verdicts of the comparisons about the documents of the portion.
    """
    boxes = [[box.part.sha256, box.box] for box in verdicts]
    key = commit_key("fill", {"rewritten": done.sha256, "verdicts": boxes}, depends)
    filled = read_commit(store, key)
    if filled is not None:
        return filled
    started = time.monotonic()
    corpus, ledger = read_part(store, done.part("corpus")), read_part(store, done.part("ledger"))
    missing = missing_texts(store, done, verdicts)
    tables, exceptions = reader.read(_places(corpus.filter(pa.array(missing))), ["ledger", "corpus"])
    if tables:
        if tables["corpus"].num_rows != tables["ledger"].num_rows:
            raise InputChanged("A page that passed every rule before does not pass now.", "Give the same archives.")
        corpus = _replaced(corpus, missing, tables["corpus"])
        here = np.zeros(ledger.num_rows, np.bool_)
        here[np.flatnonzero(pc.equal(ledger["outcome"], KEPT).to_numpy())[missing]] = True
        ledger = _replaced(ledger, here, tables["ledger"])
    facts = {**done.facts, "read": done.facts["read"] + int(missing.sum())}
    facts["exceptions"] = _exceptions(done.facts["exceptions"], exceptions, ledger)
    facts["seconds"] = round(done.facts["seconds"] + time.monotonic() - started, 3)
    others = [part for part in done.parts if part.kind not in ("corpus", "ledger")]
    return commit(store, key, [*others, *_write(store, {"corpus": corpus, "ledger": ledger})], facts)


def missing_texts(store: Store, done: Commit, verdicts: Sequence[VerdictBox]) -> np.ndarray:
    """Return True for the corpus rows of a replayed portion that have no text and that no comparison removed."""
    found = np.zeros(done.part("corpus").rows, np.bool_)
    found[read_part(store, done.part("missing"))["corpus_row"].to_numpy()] = True
    found[removed_rows(store, verdicts)] = False
    return found


def _exceptions(before: Sequence[dict[str, str]], now: Sequence[dict[str, str]], ledger: pa.Table) -> list[Any]:
    """Return the pages that passed only at the second try, in the order of the ledger.

    If a page has a new entry, the new one replaces the old one.
    """
    by_id = {one["id"]: one for one in (*before, *now)}
    return [by_id[record] for record in ledger["id"].to_pylist() if record in by_id] if by_id else []


def _places(rows: pa.Table) -> list[Place]:
    return [place_of(row) for row in rows.select(["id", "warc", "offset"]).to_pylist()]


def place_of(row: Mapping[str, Any]) -> Place:
    """Return the place of a record, from its ledger row."""
    inner = row["id"][len(f"{row['warc']}:{row['offset']}") :]
    return row["offset"], int(inner[1:] or 0)


def _replaced(table: pa.Table, here: np.ndarray, rows: pa.Table | None) -> pa.Table:
    """Return the table, with its rows at `here` replaced by `rows`, in order."""
    if rows is None or not here.any():
        return table
    there = set(rows.schema.names)  # a run of an earlier version may lack a column
    same = [rows[field.name] if field.name in there else pa.nulls(len(rows), field.type) for field in table.schema]
    both = pa.concat_tables([table, pa.table(same, names=table.schema.names).cast(table.schema)])
    order = np.arange(table.num_rows)
    order[here] = table.num_rows + np.arange(rows.num_rows)
    return both.take(pa.array(order)).combine_chunks()


def _bare(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return ledger rows in another schema. Only the columns of the id and the place have values."""
    given = ("id", "warc", "offset")
    columns = [rows[field.name] if field.name in given else pa.nulls(rows.num_rows, field.type) for field in schema]
    return pa.table(columns, schema=schema)


def _counts(ledger: pa.Table) -> Counts:
    counts = no_counts()
    table = ledger.group_by(["outcome", "stage", "rule"], use_threads=False).aggregate([([], "count_all")])
    for row in table.to_pylist():
        add_outcome(counts, row["outcome"], row["stage"], row["rule"], row["count_all"])
    return counts


def _write(store: Store, tables: Mapping[str, pa.Table]) -> list[Part]:
    """Write tables as parts, as a pass does."""
    with PartFiles(store) as files:
        for kind, table in tables.items():
            files.add(kind, table)
        return files.finish()
