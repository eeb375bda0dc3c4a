"""A finished run in pieces, each of which can be judged anew alone; and which pages their samples need."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from corpus.outcome import KEPT
from corpus.revise.fates import FOLLOWS, READ, Fates, Rejudge, broken
from corpus.revise.replay import Piece
from corpus.tables.row_groups import Columns, RowGroup, map_row_groups, row_groups
from corpus.tables.run_files import RunFiles
from corpus.tables.samples import PER_KEPT, PER_RULE, is_near

_THREADS = 2
_MOST_ROWS = 1 << 16


@dataclass(frozen=True)
class Drawn:
    """A row that may be a sample: those of one rule with the least draws are."""

    draw: int
    id: str
    row: int
    end: int
    value: float | None
    limit: float | None
    near: bool
    stays: bool
    """Whether its sample in the run, if it has one, says all but its limit."""


@dataclass(frozen=True)
class Scanned:
    """What a row group of the ledger comes to."""

    pieces: list[Piece]
    drawn: list[Drawn]
    read: list[int]
    """Of each piece the pages to be read again."""


def pieces_of(run: RunFiles, rejudge: Rejudge, rows: int) -> tuple[list[Piece], dict[tuple[int, int], int]]:
    """The pieces of a run, of so many rows at most, in order; and how many pages of each, by its ledger rows, are to be
    read again before documents are compared."""

    def scan(group: RowGroup, read: Columns) -> Scanned:
        return _scan(read, group.first, rejudge, min(rows, _MOST_ROWS))

    scanned = list(map_row_groups(scan, row_groups(run.paths("ledger")), _THREADS))
    pieces = list(_numbered([piece for one in scanned for piece in one.pieces]))
    counts = [count for one in scanned for count in one.read]
    read = {piece.ledger: count for piece, count in zip(pieces, counts, strict=True)}
    by_archive: dict[str, list[Piece]] = {}
    for piece in pieces:
        by_archive.setdefault(piece.warc, []).append(piece)
    # one without rows for an archive without records
    named = [piece for item in run.info["inputs"] for piece in by_archive.get(item["name"], [_empty(item["name"])])]
    drawn = _least((one.drawn for one in scanned), rejudge.ends.kept)
    return list(_with_samples(named, drawn, run, rejudge, read)), read


def _scan(read: Columns, first: int, rejudge: Rejudge, rows: int) -> Scanned:
    fates = rejudge.fates(read)
    warcs = read(["warc"]).column(0).combine_chunks().dictionary_encode()
    names = warcs.dictionary.to_pylist()
    numbers = warcs.indices.to_numpy()
    kept = pc.equal(read(["outcome"]).column(0), KEPT).to_numpy()
    passed = np.isin(fates.old, (rejudge.ends.kept, rejudge.ends.repeated))
    edges = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1])).tolist() if len(numbers) else []
    pieces: list[Piece] = []
    again = []
    for start, stop in zip(edges, [*edges[1:], len(numbers)], strict=True):
        name = names[numbers[start]]
        for at in range(start, stop, rows):
            end = min(at + rows, stop)
            again.append(int(np.count_nonzero(fates.action[at:end] == READ)))
            counts = int(kept[at:end].sum()), int(passed[at:end].sum())
            pieces.append(Piece(name, (first + at, first + end), (0, counts[0]), (0, counts[1])))
    return Scanned(pieces, list(_draw(read, first, rejudge, fates)), again)


def _draw(read: Columns, first: int, rejudge: Rejudge, fates: Fates) -> Iterator[Drawn]:
    """The rows with the least draws of each rule, near and far, of those whose pages need not be read again."""
    ends = rejudge.ends
    end = np.where(fates.new == ends.repeated, ends.kept, fates.new)
    rows = np.flatnonzero((end <= ends.kept) & (fates.action != READ) & ~fates.taken)
    if not len(rows):
        return
    table = read(["id", "value", "limit"]).take(pa.array(rows))
    ids = table["id"].to_pylist()
    draws = np.fromiter((xxhash.xxh3_64_intdigest(one.encode()) for one in ids), np.uint64, len(ids))
    values, limits = (table[name].to_numpy().astype(np.float64) for name in ("value", "limit"))
    values[end[rows] == ends.kept] = limits[end[rows] == ends.kept] = np.nan
    near = np.zeros(len(rows), np.bool_)
    for place, rule in enumerate(rejudge.rules):
        here = end[rows] == place
        follows = here & (fates.action[rows] == FOLLOWS)
        if follows.any():
            taken = read([rule.column]).column(0).take(pa.array(rows[follows]))
            numbers = np.full(len(taken), np.nan) if rule.new.of is str else taken.cast(pa.float64()).to_numpy()
            values[follows] = numbers
            limits[follows] = np.nan if rule.new.of is str else broken(rule.new, taken)
        near[here] = is_near(values[here], limits[here], rule.new.of is int)
    order = np.lexsort((draws, near, end[rows]))
    group = end[rows][order] * 2 + near[order]
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1])).tolist()
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        most = PER_KEPT if group[start] // 2 == ends.kept else PER_RULE
        for at in order[start : min(stop, start + most)].tolist():
            place, row = int(end[rows[at]]), int(rows[at])
            moved = fates.old[row] != fates.new[row] and place < ends.kept
            stays = not (moved and (rejudge.stops(place) or rejudge.rules[place].new.of is str))
            value, limit = (None if np.isnan(one[at]) else float(one[at]) for one in (values, limits))
            yield Drawn(int(draws[at]), ids[at], first + row, place, value, limit, bool(near[at]), stays)


def _least(drawn: Iterator[list[Drawn]], kept: int) -> list[Drawn]:
    """The least draws of each rule, near and far, over the whole run. More may be there than the new run has: pages
    read again are drawn beside them."""
    groups: dict[tuple[int, bool], list[Drawn]] = {}
    for some in drawn:
        for one in some:
            groups.setdefault((one.end, one.near), []).append(one)
    found = []
    for (end, _), group in groups.items():
        found += heapq.nsmallest(PER_KEPT if end == kept else PER_RULE, group, key=lambda one: (one.draw, one.id))
    return found


def _numbered(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """The pieces with the places of their corpus rows and signatures, of which so far they have the number."""
    corpus = signed = 0
    for piece in pieces:
        ends = corpus + piece.corpus[1], signed + piece.signed[1]
        yield replace(piece, corpus=(corpus, ends[0]), signed=(signed, ends[1]))
        corpus, signed = ends


def _empty(name: str) -> Piece:
    return Piece(name, (0, 0), (0, 0), (0, 0))


def _with_samples(
    pieces: Sequence[Piece], drawn: Sequence[Drawn], run: RunFiles, rejudge: Rejudge, read: dict[tuple[int, int], int]
) -> Iterator[Piece]:
    """The pieces with the samples of their rows: those that the run has, and the pages that must be read for others."""
    had: dict[str, dict[str, Any]] = {}
    for path in run.paths("samples"):
        had |= {row["id"]: row for row in pq.read_table(path).to_pylist()}
    by_row = sorted(drawn, key=lambda one: one.row)
    rows = [one.row for one in by_row]
    exceptions: dict[str, list[dict[str, str]]] = {}
    for one in run.info["exceptions"]:
        exceptions.setdefault(one["id"].rpartition(":")[0], []).append(one)
    for piece in pieces:
        mine = by_row[bisect_left(rows, piece.ledger[0]) : bisect_left(rows, piece.ledger[1])]
        extra = tuple(one.id for one in mine if not (one.stays and one.id in had))
        samples = tuple(_sample(one, had[one.id], rejudge) for one in mine if one.stays and one.id in had)
        if extra:
            read[piece.ledger] += len(extra)
        yield replace(piece, extra=extra, samples=samples, exceptions=tuple(exceptions.get(piece.warc, ())))


def _sample(drawn: Drawn, before: Mapping[str, Any], rejudge: Rejudge) -> dict[str, Any]:
    """The sample of a row, from that of the run."""
    about: dict[str, Any] = {"near": drawn.near, "value": drawn.value, "limit": drawn.limit}
    if drawn.end == rejudge.ends.kept:
        return {**before, **about, "rule": KEPT, "detail": ""}
    rule = rejudge.rules[drawn.end]
    same = before["rule"] == rule.column
    return {**before, **about, "rule": rule.column, "detail": before["detail"] if same else ""}
