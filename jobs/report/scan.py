"""The ledger, read twice in batches: once for counts, once for histograms. Memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.outcome import DROPPED, KEPT
from corpus.run import Run
from filters.url.public_suffixes import registered_domains
from filters.url.url_parts import MAX_HOST, split_url
from jobs.report.bins import Bins, Spread, make_bins
from jobs.report.columns import Measure, as_numbers, measures_of
from jobs.report.spans import Spans
from jobs.report.text_sizes import LENGTHS
from jobs.report.top_counts import Tally

BATCH_ROWS = 32_768
_SAMPLE_ROWS = 40_000
"""Rows that bins are chosen by: every n-th one of the ledger."""

Verdict = tuple[str, str, str]
"""Outcome, stage, rule; "" for null."""

FIXED = ["id", "url", "warc", "offset", "outcome", "stage", "rule", "value", "detail", "text_bytes"]
DOMAIN = "domain"


@dataclass
class RuleCounts:
    """What one measure's limit does: documents outside it, and those that only it drops. Of the latter `partly` went
    no further, so that nothing is known of the measures after."""

    outside: int = 0
    only: int = 0
    partly: int = 0


@dataclass
class Values:
    """The values of a numeric measure: how many and how far they reach."""

    kept: int = 0
    dropped: int = 0
    null: int = 0
    least: float = float("inf")
    most: float = float("-inf")
    least_positive: float = float("inf")
    sample: list[np.ndarray] = field(default_factory=list)

    @property
    def varied(self) -> bool:
        return self.least < self.most

    @property
    def spread(self) -> Spread:
        sample = np.concatenate(self.sample) if self.sample else np.array([])
        return Spread(self.least, self.most, min(self.least_positive, self.most), sample)


@dataclass
class Histogram:
    """Bins with the kept and the dropped documents in each."""

    bins: Bins
    kept: np.ndarray
    dropped: np.ndarray


@dataclass
class Scan:
    """All that a report counts in a ledger. Bytes are those of the archives, see `jobs.report.spans`."""

    measures: list[Measure]
    records: dict[Verdict, int] = field(default_factory=dict)
    spans: dict[Verdict, int] = field(default_factory=dict)
    rules: dict[str, RuleCounts] = field(default_factory=dict)
    stages: dict[str, RuleCounts] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The ledger rows that were asked for, by id."""
    lengths_dropped: np.ndarray = field(default_factory=lambda: np.zeros(LENGTHS.number, dtype=np.int64))
    """Dropped documents by the bytes of their text, where they came to have one."""
    repeats: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By kept id, some of the documents that were removed as its duplicates."""


Tick = Callable[[], None]


def scan(run: Run, tally: Tally, wanted: set[str], clusters: set[str], tick: Tick = lambda: None) -> Scan:
    """Read the ledger of a run twice. `wanted` are ids whose rows are to be kept, `clusters` those of keepers;
    domains and categories go to `tally`; `tick` is called after each of `batches_of`."""
    measures = measures_of(run.info)
    found = Scan(measures)
    for measure in measures:
        found.rules[measure.column] = RuleCounts()
        found.stages.setdefault(measure.stage, RuleCounts())
        if measure.kind != "str":
            found.values[measure.column] = Values()
    counter = _Counter(found, tally, Spans(run.info), wanted, clusters, max(run.info["records"]["in"], 1))
    for batch in _batches(run, FIXED + [measure.column for measure in measures]):
        counter.add(batch)
        tick()
    counter.end()
    _count_histograms(run, found, tick)
    return found


def batches_of(run: Run) -> int:
    """How many batches are read in all."""
    return 2 * sum(-(-part.rows // BATCH_ROWS) for part in run.parts("ledger"))


def _batches(run: Run, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The ledger in order. Without buffering ahead, as a dataset's scanner does: that takes a gigabyte."""
    for path in run.paths("ledger"):
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)


class _Counter:
    """The first reading."""

    def __init__(
        self, found: Scan, tally: Tally, spans: Spans, wanted: set[str], clusters: set[str], rows: int
    ) -> None:
        self._found = found
        self._tally = tally
        self._spans = spans
        self._wanted = pa.array(sorted(wanted), pa.string())
        self._clusters = pa.array(sorted(clusters), pa.string())
        self._stride = -(-rows // _SAMPLE_ROWS)
        self._row = 0
        self._domain = _domains()
        self._place = {(m.stage, m.name): index for index, m in enumerate(found.measures)}
        ends = {measure.stage: index for index, measure in enumerate(found.measures) if not measure.compares}
        self._last = max(ends.values(), default=-1)
        self._stage_end = np.array([ends.get(measure.stage, -1) for measure in found.measures] + [-1])

    def add(self, batch: pa.RecordBatch) -> None:
        verdicts = pc.binary_join_element_wise(
            *(pc.fill_null(batch[name], "") for name in ("outcome", "stage", "rule")), "\x00"
        ).dictionary_encode()
        codes = verdicts.indices.to_numpy()
        names = [_verdict(text) for text in verdicts.dictionary.to_pylist()]
        for name, count in zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True):
            self._found.records[name] = self._found.records.get(name, 0) + count
        self._spans.add(batch["warc"], batch["offset"].to_numpy(), [names[code] for code in codes])
        outcome = batch["outcome"]
        kept, dropped = (_mask(pc.equal(outcome, which)) for which in (KEPT, DROPPED))
        own = np.array([self._place.get(name[1:], -1) if name[0] == DROPPED else -1 for name in names], dtype=np.int64)
        self._add_rules(batch, own[codes], kept, dropped)
        self._add_values(batch, kept, dropped)
        self._add_rows(batch)
        self._found.lengths_dropped += LENGTHS.count(np.where(dropped, as_numbers(batch["text_bytes"]), np.nan))
        self._tally.add(DOMAIN, pa.array([self._domain(url) for url in batch["url"].to_pylist()]), kept, dropped)
        self._row += batch.num_rows

    def end(self) -> None:
        self._found.spans = self._spans.end()

    def _add_rules(self, batch: pa.RecordBatch, own: np.ndarray, kept: np.ndarray, dropped: np.ndarray) -> None:
        """What each limit rules out. `own` is the place of the measure that a document was dropped by, or -1."""
        measures = self._found.measures
        broken: dict[int, np.ndarray] = {}
        reached = np.full(batch.num_rows, -1)
        number = np.zeros(batch.num_rows, dtype=np.int32)
        for place, measure in enumerate(measures):
            values = batch[measure.column]
            if not measure.compares:
                reached[_mask(values.is_valid())] = place
            mask = own == place
            if measure.bounds:
                mask |= measure.outside(values) & dropped
            if mask.any():
                broken[place] = mask
                number += mask
        end = self._stage_end[own]  # of the stage that dropped it; a gate ends its own stage before it stops
        went_on = (reached > end) | (end < 0) | (end == self._last)
        in_stage: dict[str, np.ndarray] = {}
        for place, mask in broken.items():
            measure = measures[place]
            rule = self._found.rules[measure.column]
            alone = mask & (number == 1)
            rule.outside += int(mask.sum())
            rule.only += int(alone.sum())
            rule.partly += int((alone & ~went_on).sum())
            in_stage[measure.stage] = in_stage.get(measure.stage, np.zeros(batch.num_rows, dtype=np.int32)) + mask
        for stage, count in in_stage.items():
            alone = (count > 0) & (count == number)
            totals = self._found.stages[stage]
            totals.outside += int((count > 0).sum())
            totals.only += int(alone.sum())
            totals.partly += int((alone & ~went_on).sum())

    def _add_values(self, batch: pa.RecordBatch, kept: np.ndarray, dropped: np.ndarray) -> None:
        first = -self._row % self._stride
        judged = kept | dropped
        for measure in self._found.measures:
            values = batch[measure.column]
            if measure.kind == "str":
                self._tally.add(measure.column, values, kept, dropped)
                continue
            seen = self._found.values[measure.column]
            numbers = np.where(judged, as_numbers(values), np.nan)
            valid = ~np.isnan(numbers)
            seen.kept += int((valid & kept).sum())
            seen.dropped += int((valid & dropped).sum())
            seen.null += int((judged & ~valid).sum())
            there = numbers[valid]
            if len(there):
                seen.least, seen.most = min(seen.least, there.min()), max(seen.most, there.max())
                positive = there[there > 0]
                seen.least_positive = min(seen.least_positive, positive.min(initial=np.inf))
            every = numbers[first :: self._stride]
            seen.sample.append(every[~np.isnan(every)])

    def _add_rows(self, batch: pa.RecordBatch) -> None:
        if len(self._wanted):
            for row in batch.filter(pc.is_in(batch["id"], value_set=self._wanted)).to_pylist():
                self._found.rows[row["id"]] = row
        if len(self._clusters):
            named = pc.is_in(batch["detail"], value_set=self._clusters)
            for row in batch.select(FIXED).filter(pc.and_(pc.equal(batch["outcome"], DROPPED), named)).to_pylist():
                repeats = self._found.repeats.setdefault(row["detail"], [])
                if len(repeats) < _REPEATS:
                    repeats.append(row)


_REPEATS = 3


def _count_histograms(run: Run, found: Scan, tick: Tick) -> None:
    """The second reading: how many values lie in each bin."""
    varied = [m for m in found.measures if m.column in found.values and found.values[m.column].varied]
    for measure in varied:
        bins = make_bins(found.values[measure.column].spread, measure.bounds, measure.kind == "int")
        empty = np.zeros(bins.number, dtype=np.int64)
        found.histograms[measure.column] = Histogram(bins, empty, empty.copy())
    for batch in _batches(run, ["outcome", *(measure.column for measure in varied)]):
        masks = [_mask(pc.equal(batch["outcome"], which)) for which in (KEPT, DROPPED)]
        for measure in varied:
            histogram = found.histograms[measure.column]
            numbers = as_numbers(batch[measure.column])
            histogram.kept += histogram.bins.count(numbers[masks[0]])
            histogram.dropped += histogram.bins.count(numbers[masks[1]])
        tick()


def _verdict(text: str) -> Verdict:
    outcome, stage, rule = text.split("\x00")
    return outcome, stage, rule


def _mask(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), dtype=bool)


def _domains() -> Callable[[str | None], str]:
    """The function from a URL to its registered domain, or its host where it has none."""
    registered = registered_domains()
    known: dict[str, str] = {}

    def domain(url: str | None) -> str:
        host = split_url(url or "")[0]
        if host not in known:
            if len(known) >= 1 << 16:
                known.clear()
            known[host] = (registered(host) or host) if len(host) <= MAX_HOST else host[:MAX_HOST]
        return known[host]

    return domain
