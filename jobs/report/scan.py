"""The scan of a run's ledger.

The ledger is read twice in batches: first for counts, then for histograms. The memory does not grow with the ledger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.outcome import DROPPED, KEPT
from corpus.revise.limits import Measure, measures_of
from corpus.run import Run
from corpus.runs.row_groups import read_batches
from corpus.url_identity import MAX_HOST, split_url
from filters.url.public_suffixes import registered_domains
from jobs.report.archives import ArchiveCounts
from jobs.report.bins import Bins, Spread, make_bins
from jobs.report.categories import CategoryCounts
from jobs.report.spans import Spans, Verdict
from jobs.report.text_sizes import LENGTHS

DOMAIN = "domain"
_BATCH_ROWS = 32_768
_SAMPLE_ROWS = 40_000
"""The number of rows from which bins are chosen: every n-th row of the ledger."""

_HUGE = 1e300
_REPEATS = 3
"""The number of duplicates that are shown for a cluster."""

_FIXED = ["id", "url", "warc", "offset", "outcome", "stage", "rule", "value", "detail", "text_bytes"]

Tick = Callable[[], None]


@dataclass
class RuleCounts:
    """The effect of one limit: the documents outside it, and the documents that only this limit drops.

    `partly` counts documents of the second kind that were not measured further, so their later measures are unknown.
    """

    outside: int = 0
    only: int = 0
    partly: int = 0

    def add(self, outside: np.ndarray, only: np.ndarray, went_on: np.ndarray) -> None:
        """Count the documents of these masks."""
        self.outside += int(outside.sum())
        self.only += int(only.sum())
        self.partly += int((only & ~went_on).sum())


@dataclass
class ValueRange(Spread):
    """The values of a numeric measure: their spread, and the numbers of documents with and without a value."""

    kept: int = 0
    dropped: int = 0
    null: int = 0

    def add(self, values: pa.Array, kept: np.ndarray, dropped: np.ndarray, sample: slice) -> None:
        """Add the values of the next documents, by the masks `kept` and `dropped`. `sample` chooses some of them."""
        judged = kept | dropped
        numbers = np.where(judged, _numbers(values), np.nan)
        valid = ~np.isnan(numbers)
        self.kept += int((valid & kept).sum())
        self.dropped += int((valid & dropped).sum())
        self.null += int((judged & ~valid).sum())
        there = numbers[valid]
        if len(there):
            self.least, self.most = min(self.least, there.min()), max(self.most, there.max())
            positive = there[there > 0]
            self.least_positive = min(self.least_positive, positive.min(initial=np.inf))
        every = numbers[sample]
        self.sample = np.append(self.sample, every[~np.isnan(every)])


@dataclass
class Histogram:
    """Bins, with the numbers of kept and dropped documents in each."""

    bins: Bins
    kept: np.ndarray
    dropped: np.ndarray

    @classmethod
    def of(cls, values: ValueRange, measure: Measure) -> Histogram | None:
        """Return an empty histogram for these values, or None if there are no two different values."""
        if not values.least < values.most:
            return None
        bins = make_bins(values, drawn_bounds(measure), measure.of is int)
        return cls(bins, *(np.zeros(bins.number, dtype=np.int64) for _ in range(2)))

    def add(self, values: pa.Array, outcomes: pa.Array) -> None:
        """Count the values of the next documents."""
        numbers = _numbers(values)
        self.kept += self.bins.count(numbers[_mask(pc.equal(outcomes, KEPT))])
        self.dropped += self.bins.count(numbers[_mask(pc.equal(outcomes, DROPPED))])


class Scan:
    """Everything that a report counts in the ledger of a run, batch by batch.

    `wanted` are the ids of rows to keep. `keepers` are the ids of documents whose duplicates are kept too. Domains and
    categories go to `counts`.
    """

    def __init__(self, info: dict[str, Any], counts: CategoryCounts, wanted: set[str], keepers: set[str]) -> None:
        self.measures = measures_of(info)
        self._language = info.get("language")
        self.spans = Spans(info)
        self.archives = ArchiveCounts()
        self.rules: defaultdict[str, RuleCounts] = defaultdict(RuleCounts)
        self.stages: defaultdict[str, RuleCounts] = defaultdict(RuleCounts)
        self.values: defaultdict[str, ValueRange] = defaultdict(ValueRange)
        """The values of numeric measures, by ledger column."""
        self.histograms: dict[str, Histogram] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        """The wanted ledger rows, by id."""
        self.lengths_dropped = np.zeros(LENGTHS.number, dtype=np.int64)
        """The number of dropped documents by the bytes of their text, for documents with a text."""
        self.repeats: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        """Some duplicates of each wanted keeper, by its id."""
        self._counts = counts
        self._wanted = pa.array(sorted(wanted), pa.string())
        self._keepers = pa.array(sorted(keepers), pa.string())
        self._stride = sample_stride(info)
        self._row = 0
        self._domain = _domains()
        self._index = {(measure.stage, measure.name): index for index, measure in enumerate(self.measures)}
        ends = {measure.stage: index for index, measure in enumerate(self.measures) if not measure.collective}
        self._last = max(ends.values(), default=-1)
        self._stage_end = np.array([ends.get(measure.stage, -1) for measure in self.measures] + [-1])

    def add(self, batch: pa.RecordBatch) -> None:
        verdicts = pc.binary_join_element_wise(
            *(pc.fill_null(batch[name], "") for name in ("outcome", "stage", "rule")), "\x00"
        ).dictionary_encode()
        codes = verdicts.indices.to_numpy()
        names: list[Verdict] = [tuple(text.split("\x00")) for text in verdicts.dictionary.to_pylist()]
        self.spans.add(batch["warc"], batch["offset"].to_numpy(), codes, names)
        self.archives.add(batch["warc"], codes, names)
        outcome = batch["outcome"]
        kept, dropped = (_mask(pc.equal(outcome, which)) for which in (KEPT, DROPPED))
        own = np.array([self._index.get(name[1:], -1) if name[0] == DROPPED else -1 for name in names], dtype=np.int64)
        self._add_rules(batch, own[codes], kept, dropped)
        self._add_values(batch, kept, dropped)
        self._add_rows(batch)
        self.lengths_dropped += LENGTHS.count(np.where(dropped, _numbers(batch["text_bytes"]), np.nan))
        self._counts.add(DOMAIN, pa.array([self._domain(url) for url in batch["url"].to_pylist()]), kept, dropped)
        self._row += batch.num_rows

    def _add_rules(self, batch: pa.RecordBatch, own: np.ndarray, kept: np.ndarray, dropped: np.ndarray) -> None:
        """Count the documents that each limit excludes.

        `own` is the index of the measure that dropped a document, or -1.
        """
        broken: dict[int, np.ndarray] = {}
        languages = batch[self._language] if self._language else None
        reached = np.full(batch.num_rows, -1)
        number = np.zeros(batch.num_rows, dtype=np.int32)
        for index, measure in enumerate(self.measures):
            values = batch[measure.column]
            if not measure.collective:
                reached[_mask(values.is_valid())] = index
            mask = own == index
            if measure.limits.on:
                mask |= measure.limits.outside(values, languages) & dropped
            if mask.any():
                broken[index] = mask
                number += mask
        # the end of the stage that dropped the document, because a gate finishes its stage before it stops
        end = self._stage_end[own]
        went_on = (reached > end) | (end < 0) | (end == self._last)
        in_stage: defaultdict[str, np.ndarray] = defaultdict(lambda: np.zeros(batch.num_rows, dtype=np.int32))
        for index, mask in broken.items():
            measure = self.measures[index]
            self.rules[measure.column].add(mask, mask & (number == 1), went_on)
            in_stage[measure.stage] += mask
        for stage, count in in_stage.items():
            self.stages[stage].add(count > 0, (count > 0) & (count == number), went_on)

    def _add_values(self, batch: pa.RecordBatch, kept: np.ndarray, dropped: np.ndarray) -> None:
        sample = slice(-self._row % self._stride, None, self._stride)
        for measure in self.measures:
            values = batch[measure.column]
            if measure.of is str:
                self._counts.add(measure.column, values, kept, dropped)
            else:
                self.values[measure.column].add(values, kept, dropped, sample)

    def _add_rows(self, batch: pa.RecordBatch) -> None:
        if len(self._wanted):
            for row in batch.filter(pc.is_in(batch["id"], value_set=self._wanted)).to_pylist():
                self.rows[row["id"]] = row
        if len(self._keepers):
            named = pc.is_in(batch["detail"], value_set=self._keepers)
            for row in batch.select(_FIXED).filter(pc.and_(pc.equal(batch["outcome"], DROPPED), named)).to_pylist():
                if len(self.repeats[row["detail"]]) < _REPEATS:
                    self.repeats[row["detail"]].append(row)


def scan(run: Run, counts: CategoryCounts, wanted: set[str], keepers: set[str], tick: Tick = lambda: None) -> Scan:
    """Read the ledger of a run twice. `tick` is called after each of the `batches_of` batches."""
    found = Scan(run.info, counts, wanted, keepers)
    columns = [measure.column for measure in found.measures]
    for batch in read_batches(run.paths("ledger"), _FIXED + columns, _BATCH_ROWS):
        found.add(batch)
        tick()
    found.spans.end()
    for measure in found.measures:
        # a category has no numeric values
        if histogram := Histogram.of(found.values[measure.column], measure):
            found.histograms[measure.column] = histogram
    for batch in read_batches(run.paths("ledger"), ["outcome", *found.histograms], _BATCH_ROWS):
        for column, histogram in found.histograms.items():
            histogram.add(batch[column], batch["outcome"])
        tick()
    return found


def histogram_of(run: Run, measure: Measure) -> tuple[ValueRange, Histogram | None]:
    """Return the values of one numeric measure, and their histogram. Only its column is read."""
    values = ValueRange()
    stride = sample_stride(run.info)
    groups = run.groups("ledger")
    for group in groups:
        with group.open() as read:
            outcome, column = read(["outcome", measure.column]).columns
            kept, dropped = (_mask(pc.equal(outcome, which)) for which in (KEPT, DROPPED))
            values.add(column, kept, dropped, slice(-group.first % stride, None, stride))
    histogram = Histogram.of(values, measure)
    if histogram is not None:
        for group in groups:
            with group.open() as read:
                outcome, column = read(["outcome", measure.column]).columns
                histogram.add(column, outcome)
    return values, histogram


def sample_stride(info: dict[str, Any]) -> int:
    """Return n if every n-th row of a ledger is enough to choose bins."""
    return -(-max(int(info["records"]["in"]), 1) // _SAMPLE_ROWS)


def drawn_bounds(measure: Measure) -> dict[str, Any]:
    """Return the bounds that a histogram shows: none if they depend on the language."""
    return {} if measure.limits.own else measure.bounds


def batches_of(run: Run) -> int:
    """Return the number of batches that `scan` reads."""
    return 2 * sum(-(-part.rows // _BATCH_ROWS) for part in run.parts("ledger"))


def _mask(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), dtype=bool)


def _numbers(values: pa.Array) -> np.ndarray:
    """Return a numeric column as float64. Nulls become NaN, and infinities become numbers that can still be added."""
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.clip(np.asarray(numbers, dtype=np.float64), -_HUGE, _HUGE)


def _domains() -> Callable[[str | None], str]:
    """Return a function from a URL to its registered domain. If the URL has none, the function returns the host."""
    registered = registered_domains()

    @lru_cache(1 << 16)
    def domain(host: str) -> str:
        return (registered(host) or host) if len(host) <= MAX_HOST else host[:MAX_HOST]

    return lambda url: domain(split_url(url or "")[0])
