"""The unit function: one byte range of one archive through a pipeline, as batches of rows.

It knows nothing of processes. `announce` is called with each record's place before the record is touched,
so that whoever runs this can say which record stopped it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NotRequired, TypedDict

import pyarrow as pa

from corpus.collective import Collective
from corpus.document import Document
from corpus.outcome import DROPPED, FAILED, REMOVED, Outcome
from corpus.pipeline import Pipeline, entry
from corpus.tables.ledger import (
    CORPUS_SCHEMA,
    Counts,
    add_outcome,
    corpus_row,
    ledger_row,
    ledger_schema,
    no_counts,
    table,
)
from corpus.tables.samples import Sampler
from corpus.tables.takedown import Takedown
from corpus.warc.plan import Format, Range
from corpus.warc.reader import PlaceReader, RangeReader
from corpus.warc.record import Damage, Place, Record
from corpus.warc.source import Source

RECORDS_PER_BATCH = 192
"""Records judged together, of all types: some 64 pages, which is what is lost and done again when one of them kills
its worker."""

BYTES_PER_BATCH = 8 << 20
"""Of records judged together: what a batch holds in memory."""


@dataclass(frozen=True)
class Unit:
    """The unit of work: the records that start in bytes [start, end) of one archive.

    `warc` is its logical name, `path` where this run reads it, `identity` what its content is known by on every
    machine, `tag` what the file at `path` is known by while the run lasts (see `corpus.net.remote.open_source`).
    `layout`, `codec` and `flavor` are as in `corpus.warc.plan.Format`. The layout "junk" is a file that is an archive
    only by its name. It is one damaged stretch.
    """

    warc: str
    path: str
    identity: str
    layout: str
    codec: str
    flavor: str
    start: int
    end: int
    tag: str = field(default="", compare=False)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def content(self) -> dict[str, Any]:
        """All but where and when this run reads it: what a result depends on. The path may be a URL with secrets."""
        return {key: value for key, value in self.as_dict().items() if key not in ("path", "tag")}


class UnitFacts(TypedDict):
    """The facts in the commit of a unit, or of a portion of a replayed run."""

    unit: dict[str, Any]
    """What `Unit.content` returns; for a portion its archive and rows."""
    counts: Counts
    other_records: dict[str, int]
    """Records of other types than response, by type."""
    exceptions: list[dict[str, str]]
    """Records that passed only with more memory or time than a page has: id and what first stopped them."""
    seconds: float
    stages: NotRequired[dict[str, float]]
    """CPU seconds by stage."""
    reached: NotRequired[int]
    """The offset up to which a unit was read."""
    read: NotRequired[int]
    """Pages of a portion that were read again."""
    missing: NotRequired[int]
    """Corpus rows of a portion whose text is still missing."""
    failed_tries: NotRequired[dict[str, int]]
    """Failed attempts by class. The driver adds them; they are not in the commit file."""


@dataclass
class Batch:
    """Rows of consecutive records, and the place before which everything of the unit is in this or an earlier batch."""

    tables: dict[str, pa.Table]
    """By kind: ledger, corpus, samples, and what was signed where the recipe compares documents."""
    counts: Counts
    other_records: dict[str, int]
    next: Place
    exceptions: list[dict[str, str]]
    """Records that passed only with more memory or time than a page has: id and what first stopped them."""
    done: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    """CPU time by stage: no part of the result."""


@dataclass
class _Waiting:
    """A record on its way: where it is, and what is known of its fate."""

    item: Record | Damage
    place: Place
    outcome: Outcome | None


@dataclass
class _Rows:
    ledger: list[dict[str, Any]] = field(default_factory=list)
    corpus: list[dict[str, Any]] = field(default_factory=list)
    signed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By kind, one row per corpus row."""
    counts: Counts = field(default_factory=no_counts)
    others: dict[str, int] = field(default_factory=dict)
    exceptions: list[dict[str, str]] = field(default_factory=list)


def run_unit(
    pipeline: Pipeline,
    source: Source,
    unit: Unit,
    *,
    resume: Place | None = None,
    failed: Mapping[Place, str] | None = None,
    alone: Mapping[Place, str] | None = None,
    only: Sequence[Place] | None = None,
    taken: Takedown | None = None,
    announce: Callable[[Place], None] = lambda place: None,
    grant: Callable[[bool], None] = lambda more: None,
) -> Iterator[Batch]:
    """Yield the batches of a unit, from `resume` on. The records in `failed` are not touched: they get that kind
    of failure. A record in `alone` (with the kind that stopped it before) starts a new batch, so that nothing is
    done again if it stops the worker. All records but those in `only`, which are in order, are passed over. Those whose
    URL is in `taken` go no further than that. `grant(True)` lets one record have far more memory, `grant(False)` ends
    that.
    """
    failed, alone = failed or {}, alone or {}
    schema = ledger_schema(pipeline.columns)
    rows = _Rows()
    sampler = Sampler(pipeline.redact)
    compared = pipeline.collective
    signed = {stage.kind: stage.signed_schema() for stage in compared}

    def batch(next_place: Place, done: bool = False) -> Batch:
        nonlocal rows
        full, rows = rows, _Rows()
        tables = {
            "ledger": table(full.ledger, schema),
            "corpus": table(full.corpus, CORPUS_SCHEMA),
            "samples": sampler.take(),
        }
        tables |= {kind: table(full.signed.get(kind, []), form) for kind, form in signed.items()}
        seconds, pipeline.seconds = pipeline.seconds, {}
        return Batch(tables, full.counts, full.others, next_place, full.exceptions, done, seconds)

    def judge(waiting: list[_Waiting]) -> None:
        """Judge what waits, and add it to the rows in order."""
        todo = [one for one in waiting if one.outcome is not None and one.outcome.kept]
        pipeline.judge_all([one.outcome for one in todo if one.outcome], lambda i: announce(todo[i].place))
        for one in waiting:
            announce(one.place)  # its excerpt is looked through for personal data
            stopped_by = alone.get(one.place, "")
            if one.outcome and one.outcome.rule == "memory" and one.place not in failed:
                stopped_by = "memory"
                grant(True)
                one.outcome = pipeline.judge_record(one.item)
                grant(False)
            _add(one.item, one.outcome, rows, compared)
            if one.outcome:
                if one.outcome.stage != REMOVED:
                    sampler.offer(one.outcome)
                if one.outcome.outcome != FAILED and stopped_by not in ("", "killed"):
                    rows.exceptions.append({"id": one.item.id, "stopped_by": stopped_by})
        waiting.clear()

    reader = _reader(source, unit, resume, only)
    announce((reader.offset, reader.inner))  # reading the first record may stop us too
    waiting: list[_Waiting] = []
    size = 0
    for item in reader:
        place = (item.offset, item.inner if isinstance(item, Record) else 0)
        if place in alone and waiting:
            judge(waiting)
            yield batch(place)
        waiting.append(_Waiting(item, place, _entry(item, failed.get(place), taken)))
        size += item.block_size if isinstance(item, Record) else 0
        if place in alone or len(waiting) >= RECORDS_PER_BATCH or size >= BYTES_PER_BATCH:
            judge(waiting)
            yield batch((reader.offset, reader.inner))
            size = 0
        announce((reader.offset, reader.inner))  # reading the next one
    judge(waiting)
    yield batch((reader.end, 0), done=True)


def _reader(
    source: Source, unit: Unit, resume: Place | None, only: Sequence[Place] | None
) -> RangeReader | PlaceReader | _Junk:
    form = Format(unit.layout, unit.codec, unit.flavor)
    if unit.layout == "junk":
        return _Junk(unit)
    if only is not None:
        return PlaceReader(source, form, [place for place in only if resume is None or place >= resume])
    return RangeReader(source, form, Range(unit.start, unit.end), resume)


class _Junk:
    """The reader of a file that is no archive."""

    offset = inner = 0

    def __init__(self, unit: Unit) -> None:
        self.end = unit.end
        self._items = [Damage(unit.warc, 0, unit.end, "header", "not an archive")] if unit.end else []

    def __iter__(self) -> Iterator[Record | Damage]:
        return iter(self._items)


def _entry(item: Record | Damage, failure: str | None, taken: Takedown | None) -> Outcome | None:
    before = entry(item)
    rule = taken.rule(before.doc.url) if taken is not None and before is not None and before.kept else ""
    if before is not None and rule:
        before.outcome, before.stage, before.rule = DROPPED, REMOVED, rule
        return before
    if failure is not None and isinstance(item, Record):
        return Outcome(FAILED, Document.of(item), rule=failure)
    return before


def _add(item: Record | Damage, outcome: Outcome | None, rows: _Rows, compared: Sequence[Collective]) -> None:
    if outcome is None:
        assert isinstance(item, Record)
        known = item.kind.isascii() and item.kind.isalpha() and len(item.kind) <= 20
        kind = item.kind if known else "unknown"
        rows.others[kind] = rows.others.get(kind, 0) + 1
        return
    length = item.length if isinstance(item, Damage) else None
    rows.ledger.append(ledger_row(outcome, item.warc, item.offset, length))
    add_outcome(rows.counts, outcome)
    if outcome.kept:
        rows.corpus.append(corpus_row(outcome, item.warc, item.offset))
        inner = item.inner if isinstance(item, Record) else 0
        for stage in compared:
            row = stage.signed_row(item.offset, inner, outcome.signed.get(stage.kind))
            rows.signed.setdefault(stage.kind, []).append(row)
