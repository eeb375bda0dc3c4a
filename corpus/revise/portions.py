"""A finished run in portions that can be replayed one by one, and the pages that their samples need."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpus.outcome import KEPT
from corpus.revise.ledger_replay import FOLLOWS, READ, LedgerReplay, RowActions
from corpus.runs.row_groups import Columns, Rows, equal_rows, map_row_groups, read_tables
from corpus.runs.run_files import RunFiles
from corpus.tables.samples import PER_KEPT, PER_RULE, draw, is_near

_THREADS = 2
_MOST_ROWS = 1 << 16


@dataclass(frozen=True)
class Portion:
    """Consecutive ledger rows of one archive, with their corpus rows and signatures, each as (first, end).

    `extra` lists the ids of pages that are read only for their samples. `samples` are the samples that the run has.
    `exceptions` are the exceptions of the whole archive.
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


def portions_of(run: RunFiles, replay: LedgerReplay, rows: int) -> tuple[list[Portion], dict[tuple[int, int], int]]:
    """Divide a run into portions of at most `rows` rows, in order.

    The second result is the number of pages of each portion that must be read again before documents are compared. Its
    keys are the portions' ledger rows.
    """

    def scan(group: Rows, read: Columns) -> tuple[list[tuple[Portion, int]], list[dict[str, Any]]]:
        actions = replay.actions(read)
        divided = _divide(read, group.first, replay, actions, min(rows, _MOST_ROWS))
        return list(divided), list(_candidates(read, group.first, replay, actions))

    candidates: list[dict[str, Any]] = []
    pages: dict[tuple[int, int], int] = {}
    by_archive: defaultdict[str, list[Portion]] = defaultdict(list)
    corpus = signed = 0
    for divided, more in map_row_groups(scan, run.groups("ledger"), _THREADS):
        candidates += more
        for counted, again in divided:
            ends = corpus + counted.corpus[1], signed + counted.signed[1]
            portion = replace(counted, corpus=(corpus, ends[0]), signed=(signed, ends[1]))
            by_archive[portion.warc].append(portion)
            pages[portion.ledger] = again
            corpus, signed = ends
    portions: list[Portion] = []
    for item in run.info["inputs"]:  # an archive without records has one portion without rows
        portions += by_archive[item["name"]] or [Portion(item["name"], (0, 0), (0, 0), (0, 0))]
    return list(_with_samples(portions, draw(candidates), run, pages)), pages


def _divide(
    read: Columns, first: int, replay: LedgerReplay, actions: RowActions, rows: int
) -> Iterator[tuple[Portion, int]]:
    """Return the portions of a row group, with the counts of their corpus rows, signatures and pages to read again."""
    kept = pc.equal(read(["outcome"]).column(0), KEPT).to_numpy()
    passed = np.isin(actions.old, (replay.codes.kept, replay.codes.repeated))
    for warc, start, stop in equal_rows(read(["warc"]).column(0).combine_chunks()):
        for at in range(start, stop, rows):
            end = min(at + rows, stop)
            corpus, signed = (0, int(kept[at:end].sum())), (0, int(passed[at:end].sum()))
            portion = Portion(warc, (first + at, first + end), corpus, signed)
            yield portion, int(np.count_nonzero(actions.action[at:end] == READ))


def _candidates(read: Columns, first: int, replay: LedgerReplay, actions: RowActions) -> Iterator[dict[str, Any]]:
    """Return the rows that may become samples. For each rule, these are the rows with the least draws, near the limit
    and far from it.

    Pages that are read again are not among them, because they draw their own samples. "row" is the number of a ledger
    row. "reusable" is true if its sample in the run stays valid, except for value and limit.
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
    for index, rule in enumerate(replay.codes.rules):
        here = verdicts == index
        follows = here & (actions.action[rows] == FOLLOWS)
        if follows.any():
            there = replay.measured(read, [rule.column]).take(pa.array(rows[follows]))
            measured, worded = there.column(0), rule.of is str
            values[follows] = np.nan if worded else measured.cast(pa.float64()).to_numpy()
            limits[follows] = np.nan if worded else rule.new.broken(measured, replay.languages(there))
        near[here] = is_near(values[here], limits[here], rule.of is int)
    order = np.lexsort((draws, near, verdicts))
    names = [*(rule.column for rule in codes.rules), KEPT]
    for group, start, stop in equal_rows(pa.array(verdicts[order] * 2 + near[order])):
        most = PER_KEPT if group // 2 == codes.kept else PER_RULE
        for at in order[start : min(stop, start + most)].tolist():
            index, row = int(verdicts[at]), int(rows[at])
            moved = actions.old[row] != actions.new[row] and index < codes.kept
            reusable = not (moved and (replay.unmeasured[index] or replay.codes.rules[index].of is str))
            value, limit = (None if np.isnan(numbers[at]) else float(numbers[at]) for numbers in (values, limits))
            sample = {"rule": names[index], "near": bool(near[at]), "draw": int(draws[at]), "id": ids[at]}
            yield {**sample, "value": value, "limit": limit, "row": first + row, "reusable": reusable}


def _with_samples(
    portions: Sequence[Portion], candidates: list[dict[str, Any]], run: RunFiles, pages: dict[tuple[int, int], int]
) -> Iterator[Portion]:
    """Return the portions with the samples that the run has, and the pages that must be read for the other samples."""
    had: dict[str, dict[str, Any]] = {}
    for table in read_tables(run.paths("samples")):
        had |= {row["id"]: row for row in table.to_pylist()}
    row_of = itemgetter("row")
    candidates.sort(key=row_of)
    exceptions: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for one in run.info["exceptions"]:
        exceptions[one["id"].rpartition(":")[0]].append(one)
    for portion in portions:
        first, end = (bisect_left(candidates, row, key=row_of) for row in portion.ledger)
        reused = [one for one in candidates[first:end] if one["reusable"] and one["id"] in had]
        extra = tuple(one["id"] for one in candidates[first:end] if one not in reused)
        samples = tuple(_sample(one, had[one["id"]]) for one in reused)
        if extra:
            pages[portion.ledger] += len(extra)
        yield replace(portion, extra=extra, samples=samples, exceptions=tuple(exceptions[portion.warc]))


def _sample(candidate: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new sample of a row, made from its sample in the run."""
    facts = {name: candidate[name] for name in ("rule", "near", "value", "limit")}
    same = candidate["rule"] == before["rule"] != KEPT
    return {**before, **facts, "detail": before["detail"] if same else ""}
