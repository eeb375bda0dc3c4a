"""A finished run in portions that can be replayed one by one, and the pages that their samples need."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from corpus.outcome import KEPT
from corpus.revise.ledger_replay import FOLLOWS, READ, LedgerReplay, RowActions, broken_bounds
from corpus.runs.row_groups import Columns, RowGroup, map_row_groups, row_groups
from corpus.runs.run_files import RunFiles
from corpus.tables.samples import PER_KEPT, PER_RULE, is_near

_THREADS = 2
_MOST_ROWS = 1 << 16


@dataclass(frozen=True)
class Portion:
    """Consecutive ledger rows of one archive, with their corpus rows and signatures, each as (first, end).

    `extra` are the ids of pages that are read for their samples alone, `samples` the samples that the run has.
    `exceptions` are those of the archive.
    """

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
    def from_dict(cls, data: Mapping[str, Any]) -> Portion:
        lists: dict[str, Any] = {name: tuple(value) for name, value in data.items() if name != "warc"}
        return cls(data["warc"], **lists)


@dataclass(frozen=True)
class SampleCandidate:
    """A row that may become a sample. The samples of a rule are the rows with the least draws."""

    draw: int
    id: str
    row: int
    verdict: int
    value: float | None
    limit: float | None
    near: bool
    reusable: bool
    """True if its sample in the run stays valid, except for value and limit."""


def portions_of(run: RunFiles, replay: LedgerReplay, rows: int) -> tuple[list[Portion], dict[tuple[int, int], int]]:
    """Divide a run into portions of at most `rows` rows, in order.

    The second result is the number of pages per portion, by its ledger rows, that must be read again before documents
    are compared.
    """

    candidates: list[SampleCandidate] = []
    counted: list[tuple[Portion, int]] = []

    def scan(group: RowGroup, read: Columns) -> tuple[list[tuple[Portion, int]], list[SampleCandidate]]:
        actions = replay.actions(read)
        divided = _divide(read, group.first, replay, actions, min(rows, _MOST_ROWS))
        return list(divided), list(_candidates(read, group.first, replay, actions))

    for some, more in map_row_groups(scan, row_groups(run.paths("ledger")), _THREADS):
        counted += some
        candidates += more
    portions = list(_numbered([portion for portion, _ in counted]))
    pages = {portion.ledger: count for portion, (_, count) in zip(portions, counted, strict=True)}
    by_archive: dict[str, list[Portion]] = {}
    for portion in portions:
        by_archive.setdefault(portion.warc, []).append(portion)
    named: list[Portion] = []
    for item in run.info["inputs"]:  # an archive without records has one portion without rows
        named += by_archive.get(item["name"], [Portion(item["name"], (0, 0), (0, 0), (0, 0))])
    return list(_with_samples(named, _least_draws(candidates, replay.codes.kept), run, replay, pages)), pages


def _divide(
    read: Columns, first: int, replay: LedgerReplay, actions: RowActions, rows: int
) -> Iterator[tuple[Portion, int]]:
    """The portions of a row group, each with the number of pages to read again."""
    warcs = read(["warc"]).column(0).combine_chunks().dictionary_encode()
    names = warcs.dictionary.to_pylist()
    archive = warcs.indices.to_numpy()
    kept = pc.equal(read(["outcome"]).column(0), KEPT).to_numpy()
    passed = np.isin(actions.old, (replay.codes.kept, replay.codes.repeated))
    for start, stop in _runs(archive):
        for at in range(start, stop, rows):
            end = min(at + rows, stop)
            corpus, signed = (0, int(kept[at:end].sum())), (0, int(passed[at:end].sum()))
            portion = Portion(names[archive[at]], (first + at, first + end), corpus, signed)
            yield portion, int(np.count_nonzero(actions.action[at:end] == READ))


def _runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """The runs of equal values, as (start, stop)."""
    edges = np.flatnonzero(np.append(True, values[1:] != values[:-1])).tolist() if len(values) else []
    return zip(edges, [*edges[1:], len(values)], strict=True)


def _candidates(read: Columns, first: int, replay: LedgerReplay, actions: RowActions) -> Iterator[SampleCandidate]:
    """The rows with the least draws of each rule, near its limit and far, among those whose pages are not read again.

    Pages that are read again draw their own samples.
    """
    codes = replay.codes
    verdict = np.where(actions.new == codes.repeated, codes.kept, actions.new)
    rows = np.flatnonzero((verdict <= codes.kept) & (actions.action != READ) & ~actions.taken_down)
    if not len(rows):
        return
    table = read(["id", "value", "limit"]).take(pa.array(rows))
    ids = table["id"].to_pylist()
    draws = np.fromiter((xxhash.xxh3_64_intdigest(one.encode()) for one in ids), np.uint64, len(ids))
    verdicts = verdict[rows]
    values, limits = (table[name].to_numpy().astype(np.float64) for name in ("value", "limit"))
    values[verdicts == codes.kept] = limits[verdicts == codes.kept] = np.nan
    near = np.zeros(len(rows), np.bool_)
    for index, rule in enumerate(replay.rules):
        here = verdicts == index
        follows = here & (actions.action[rows] == FOLLOWS)
        if follows.any():
            measured = read([rule.column]).column(0).take(pa.array(rows[follows]))
            worded = rule.new.of is str
            values[follows] = np.nan if worded else measured.cast(pa.float64()).to_numpy()
            limits[follows] = np.nan if worded else broken_bounds(rule.new, measured)
        near[here] = is_near(values[here], limits[here], rule.new.of is int)
    order = np.lexsort((draws, near, verdicts))
    group = verdicts[order] * 2 + near[order]
    for start, stop in _runs(group):
        most = PER_KEPT if group[start] // 2 == codes.kept else PER_RULE
        for at in order[start : min(stop, start + most)].tolist():
            index, row = int(verdicts[at]), int(rows[at])
            moved = actions.old[row] != actions.new[row] and index < codes.kept
            reusable = not (moved and (replay.stops(index) or replay.rules[index].new.of is str))
            value, limit = (None if np.isnan(numbers[at]) else float(numbers[at]) for numbers in (values, limits))
            yield SampleCandidate(int(draws[at]), ids[at], first + row, index, value, limit, bool(near[at]), reusable)


def _least_draws(candidates: Iterable[SampleCandidate], kept: int) -> list[SampleCandidate]:
    """The least draws of each rule, near and far, over the whole run. The new run may need fewer of them."""
    groups: dict[tuple[int, bool], list[SampleCandidate]] = {}
    for one in candidates:
        groups.setdefault((one.verdict, one.near), []).append(one)
    found = []
    for (verdict, _), group in groups.items():
        most = PER_KEPT if verdict == kept else PER_RULE
        found += heapq.nsmallest(most, group, key=lambda one: (one.draw, one.id))
    return found


def _numbered(portions: Sequence[Portion]) -> Iterator[Portion]:
    """The portions, with the first number and the end of their corpus rows and signatures. Until now they had only the
    counts."""
    corpus = signed = 0
    for portion in portions:
        ends = corpus + portion.corpus[1], signed + portion.signed[1]
        yield replace(portion, corpus=(corpus, ends[0]), signed=(signed, ends[1]))
        corpus, signed = ends


def _with_samples(
    portions: Sequence[Portion], candidates: list[SampleCandidate], run: RunFiles, replay: LedgerReplay,
    pages: dict[tuple[int, int], int],
) -> Iterator[Portion]:  # fmt: skip
    """The portions with the samples that the run has, and the pages that must be read for the others."""
    had: dict[str, dict[str, Any]] = {}
    for path in run.paths("samples"):
        had |= {row["id"]: row for row in pq.read_table(path).to_pylist()}
    candidates.sort(key=lambda one: one.row)
    rows = [one.row for one in candidates]
    exceptions: dict[str, list[dict[str, str]]] = {}
    for one in run.info["exceptions"]:
        exceptions.setdefault(one["id"].rpartition(":")[0], []).append(one)
    for portion in portions:
        mine = candidates[bisect_left(rows, portion.ledger[0]) : bisect_left(rows, portion.ledger[1])]
        extra = tuple(one.id for one in mine if not (one.reusable and one.id in had))
        samples = tuple(_sample(one, had[one.id], replay) for one in mine if one.reusable and one.id in had)
        if extra:
            pages[portion.ledger] += len(extra)
        yield replace(portion, extra=extra, samples=samples, exceptions=tuple(exceptions.get(portion.warc, ())))


def _sample(candidate: SampleCandidate, before: Mapping[str, Any], replay: LedgerReplay) -> dict[str, Any]:
    """The new sample of a row, made from its sample in the run."""
    facts: dict[str, Any] = {"near": candidate.near, "value": candidate.value, "limit": candidate.limit}
    if candidate.verdict == replay.codes.kept:
        return {**before, **facts, "rule": KEPT, "detail": ""}
    rule = replay.rules[candidate.verdict].column
    return {**before, **facts, "rule": rule, "detail": before["detail"] if before["rule"] == rule else ""}
