"""The unit function: it runs the records of one byte range through a pipeline and yields batches of rows.

The function knows nothing about processes. It calls `announce` with the place of each record before touching the
record, so that the caller can name a record that kills the process.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

import pyarrow as pa

from corpus.document import Document
from corpus.documents.columns import Columns
from corpus.documents.files import LINES, PAGE, ROWS, Reader, RowReader, read_part
from corpus.outcome import DROPPED, FAILED, REMOVED, Outcome
from corpus.pipeline import TOGETHER, Pipeline, entry
from corpus.tables.ledger import (
    Counts,
    add_counts,
    add_outcome,
    corpus_row,
    corpus_schema,
    ledger_row,
    ledger_schema,
    no_counts,
)
from corpus.tables.samples import Sampler
from corpus.tables.takedown import Takedown, read_takedown
from corpus.warc.chosen import Capture, ChosenReader
from corpus.warc.plan import Format, Range
from corpus.warc.reader import PlaceReader, RangeReader
from corpus.warc.record import Damage, Place, Record
from corpus.warc.source import Source

RECORDS_PER_BATCH = 192
"""Records of all types in a batch: some 64 pages. If a page kills its worker, at most one batch is judged again."""

BYTES_PER_BATCH = 8 << 20
"""The size of the records in a batch, which are all in memory."""

SEVERAL: Place = ((1 << 64) - 1, 0)
"""Announced instead of a place while a stage works on several records at once."""

JUNK = "junk"
"""The layout of a file that is an archive only by its name."""


@dataclass(frozen=True)
class Unit:
    """The unit of work: the records that start in bytes [start, end) of one archive or file of documents.

    `warc` is the name of the file and `path` its location in this run. `identity` identifies its content on every
    machine. `tag` identifies the file at `path` during the run (see `corpus.net.remote.open_source`). `layout`, `codec`
    and `flavor` are as in `corpus.warc.plan.Format`, or as in `corpus.documents.files`. `columns` has the columns of
    documents, as JSON. `chosen` names the captures to read, if not all records are read (see
    `corpus.sandbox.captures`). A file with the layout JUNK yields one damage.
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
    columns: str = ""
    chosen: str = ""

    @property
    def seekable(self) -> bool:
        """True if a record can be read without reading earlier records."""
        return self.layout in ("members", ROWS) or (self.layout == LINES and self.codec == "plain")

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def content(self) -> dict[str, Any]:
        """Return the fields that a result depends on: all but `path`, which may be a URL with secrets, and `tag`."""
        return {key: value for key, value in self.as_dict().items() if key not in ("path", "tag")}


@dataclass(frozen=True)
class UnitOptions:
    """Options for running a unit."""

    only: Sequence[Place] | None = None
    """The places of the only records to run, in order."""
    takedown: str = ""
    """The file of a takedown list. Pages on it are dropped before any stage sees them."""
    footprint: str = ""
    """A file that always holds the place of the record at work (see `corpus.sandbox.footprint`)."""
    wall_s: float = math.inf
    """Seconds by the clock that the unit may take."""
    resume: Place | None = None
    """The place to start from, if earlier records are done."""
    single: bool = False
    """True: no stage works on several pages at once. A worker stopped while one did, and nobody knows at which page."""
    failed: Mapping[Place, str] = field(default_factory=dict)
    """Records that must not be touched, with the kind of failure that each gets."""
    alone: Mapping[Place, str] = field(default_factory=dict)
    """Records that stopped a worker, with the kind of stop. Each has a batch of its own, so that no work is repeated if
    it stops another worker."""
    chosen: Sequence[Capture] | None = None
    """The captures to run, in order, if an index chose them."""

    def as_dict(self) -> dict[str, Any]:
        """Return the options as JSON data, without `wall_s`, which concerns only the supervisor."""
        places = {name: [(*place, kind) for place, kind in getattr(self, name).items()] for name in ("failed", "alone")}
        return {name: getattr(self, name) for name in _PLAIN} | places

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UnitOptions:
        failed, alone = ({(offset, inner): kind for offset, inner, kind in data[name]} for name in ("failed", "alone"))
        only = [(offset, inner) for offset, inner in data["only"]] if data["only"] is not None else None
        chosen = [Capture(*one) for one in data["chosen"]] if data["chosen"] is not None else None
        resume = tuple(data["resume"]) if data["resume"] else None
        return cls(
            only, data["takedown"], data["footprint"], resume=resume, single=data["single"], failed=failed,
            alone=alone, chosen=chosen,
        )  # fmt: skip


_PLAIN = ("only", "takedown", "footprint", "resume", "single", "chosen")


class Seen(TypedDict):
    """The part of its archive that a unit has seen, or several units in a row (see `corpus.sandbox.seen`)."""

    warc: str
    start: int
    ends: list[int]
    """The end of each unit."""
    location: str
    """The path, or the URL without secrets."""
    stamp: str
    """The size and times of a file, or the tag of a URL."""
    sha256: str
    """The digest of the bytes of a file, or of the digests of several units. "" for a URL."""


class UnitFacts(TypedDict):
    """The facts in the commit of a unit, or of a portion of a replayed run."""

    unit: dict[str, Any]
    """The result of `Unit.content`. A portion has its archive and rows here."""
    counts: Counts
    other_records: dict[str, int]
    """Records that were not judged, by type (see `Record.counted_as`)."""
    exceptions: list[dict[str, str]]
    """Pages that passed only with extra memory or time: the id of each, and what stopped the page first."""
    seconds: float
    stages: NotRequired[dict[str, float]]
    """CPU seconds by stage."""
    reached: NotRequired[int]
    """The offset at which reading ended."""
    seen: NotRequired[Seen]
    read: NotRequired[int]
    """Pages of a portion that were read again."""
    missing: NotRequired[int]
    """Corpus rows of a portion that still have no text."""
    failed_tries: NotRequired[dict[str, int]]
    """Failed attempts by class. The driver adds them; the commit file does not have them."""


@dataclass
class Batch:
    """Rows of consecutive records. `next` is the place after these records. The other fields are as in `UnitFacts`."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    """The rows by kind: ledger, corpus, samples, and the signatures of each collective stage."""
    counts: Counts = field(default_factory=no_counts)
    other_records: dict[str, int] = field(default_factory=dict)
    exceptions: list[dict[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """CPU seconds by stage. They are not part of the result."""
    next: Place = (0, 0)
    done: bool = False


@dataclass
class _Waiting:
    """A record or damage that waits to be judged."""

    item: Record | Damage
    place: Place
    outcome: Outcome | None


def run_unit(
    pipeline: Pipeline,
    source: Source,
    unit: Unit,
    options: UnitOptions | None = None,
    *,
    announce: Callable[[Place], None] = lambda place: None,
    grant: Callable[[bool], None] = lambda more: None,
) -> Iterator[Batch]:
    """Yield the batches of a unit. `grant(True)` must give the process far more memory, until `grant(False)`."""
    options = options or UnitOptions()
    takedown = read_takedown(options.takedown) if options.takedown else None
    schema = corpus_schema(json.loads(unit.columns or "{}"))
    rows = _Rows(pipeline, options, announce, grant, schema, hide=takedown is not None and takedown.hides)
    reader = _reader(source, unit, options)
    announce((reader.offset, reader.inner))  # reading the first record may kill the process, too
    waiting: list[_Waiting] = []
    size = 0
    for item in reader:
        place = (item.offset, item.inner)
        if place in options.alone and waiting:
            yield rows.judge(waiting, place)
        waiting.append(_Waiting(item, place, _entry(item, options.failed.get(place), takedown)))
        size += item.block_size if isinstance(item, Record) else 0
        if place in options.alone or len(waiting) >= RECORDS_PER_BATCH or size >= BYTES_PER_BATCH:
            yield rows.judge(waiting, (reader.offset, reader.inner))
            size = 0
        announce((reader.offset, reader.inner))  # the next record is read now
    yield rows.judge(waiting, (reader.end, 0), done=True)


class _Rows:
    """Judges records and collects their rows."""

    def __init__(
        self, pipeline: Pipeline, options: UnitOptions, announce: Callable[[Place], None],
        grant: Callable[[bool], None], corpus: pa.Schema, hide: bool,
    ) -> None:  # fmt: skip
        self._hide = hide
        self._pipeline, self._options, self._announce, self._grant = pipeline, options, announce, grant
        self._sampler = Sampler(pipeline.redact)
        self._collective = pipeline.collective
        self._schemas = {"ledger": ledger_schema(pipeline.columns), "corpus": corpus}
        self._schemas |= {stage.kind: stage.signed_schema() for stage in self._collective}

    def judge(self, waiting: list[_Waiting], next_place: Place, done: bool = False) -> Batch:
        """Judge the waiting records, remove them from the list, and return their rows in order."""
        batch = Batch(next=next_place, done=done)
        rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in self._schemas}
        todo = [one for one in waiting if one.outcome is not None and one.outcome.kept]
        self._pipeline.judge_all(
            [one.outcome for one in todo if one.outcome],
            lambda i: self._announce(SEVERAL if i == TOGETHER else todo[i].place),
            self._options.single,
        )
        for one in waiting:
            self._announce(one.place)  # its excerpt is searched for personal data
            stopped_by = self._options.alone.get(one.place, "")
            if one.outcome and one.outcome.rule == "memory" and one.place not in self._options.failed:
                stopped_by = "memory"
                self._grant(True)
                one.outcome = self._pipeline.judge_record(one.item)
                self._grant(False)
            if one.outcome is not None:
                self._add(one, one.outcome, rows)
                add_outcome(batch.counts, one.outcome.outcome, one.outcome.stage, one.outcome.rule)
                if one.outcome.stage != REMOVED:
                    self._sampler.offer(one.outcome)
                if one.outcome.outcome != FAILED and stopped_by not in ("", "killed"):
                    batch.exceptions.append({"id": one.item.id, "stopped_by": stopped_by})
            elif isinstance(one.item, Record):
                add_counts(batch.other_records, {one.item.counted_as: 1})
        waiting.clear()
        batch.tables = {kind: pa.Table.from_pylist(rows[kind], schema=schema) for kind, schema in self._schemas.items()}
        batch.tables["samples"] = self._sampler.take()
        batch.seconds, self._pipeline.seconds = self._pipeline.seconds, {}
        return batch

    def _add(self, one: _Waiting, outcome: Outcome, rows: dict[str, list[dict[str, Any]]]) -> None:
        item = one.item
        rows["ledger"].append(ledger_row(outcome, item.warc, item.offset, getattr(item, "length", None), self._hide))
        if outcome.kept:
            rows["corpus"].append(corpus_row(outcome, item.warc, item.offset))
            for stage in self._collective:
                rows[stage.kind].append(stage.signed_row(*one.place, outcome.signed.get(stage.kind)))


def _reader(
    source: Source, unit: Unit, options: UnitOptions
) -> RangeReader | PlaceReader | ChosenReader | Reader | RowReader | _Junk:
    form, part, resume = Format(unit.layout, unit.codec, unit.flavor), Range(unit.start, unit.end), options.resume
    only = options.only and [place for place in options.only if not resume or place >= resume]
    if unit.layout == JUNK:
        return _Junk(unit)
    if options.chosen is not None:
        return ChosenReader(source, options.chosen, unit.end, resume)
    if unit.layout in (LINES, ROWS, PAGE):
        columns = Columns.from_dict(json.loads(unit.columns))
        if only is not None:
            return RowReader(source, form, only, columns)
        return read_part(source, form, part, columns, resume)
    return RangeReader(source, form, part, resume) if only is None else PlaceReader(source, form, only)


class _Junk:
    """The reader of a file that is not an archive."""

    offset = inner = 0

    def __init__(self, unit: Unit) -> None:
        self.end = unit.end
        what = "not an archive" if not unit.columns else "not a parquet file"
        self._items = [Damage(unit.warc, 0, unit.end, "header", what)] if unit.end else []

    def __iter__(self) -> Iterator[Record | Damage]:
        return iter(self._items)


def _entry(item: Record | Damage, failure: str | None, takedown: Takedown | None) -> Outcome | None:
    before = entry(item)
    rule = takedown.rule(before.doc.url) if takedown is not None and before is not None and before.kept else ""
    if before is not None and rule:
        before.outcome, before.stage, before.rule = DROPPED, REMOVED, rule
        return before
    if failure is not None and isinstance(item, Record):
        return Outcome(FAILED, Document.of(item), rule=failure)
    return before
