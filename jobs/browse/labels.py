"""Judgements of pages: which pages are drawn, the file of labels, and what the labels say about the recipe.

Each line of the file is a document with its label, so `corpus classifier train --labelled FILE --label label` reads it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpus.errors import ConfigError, InputError
from corpus.json_data import check_shape, parse_json
from corpus.outcome import DROPPED, KEPT
from corpus.revise.judge import LedgerJudge
from corpus.revise.limits import measures_of, with_limits
from corpus.run import Run
from corpus.runs.row_groups import Columns
from corpus.storage.replacing import append_line, write_whole
from corpus.tables.ledger import total

DRAWN = 100
"""The most pages that are drawn on each side of a limit, or of all kept and of all dropped pages."""

GOOD, BAD = "good", "bad"
_LINE = {"id": str, "label": str, "near": str, "outcome": str}
_Z = 1.959964
_Z_OF_TWO = 2.236477
"""For two intervals that hold together in 95% of cases: each holds in √0.95."""


class Labels:
    """A file of labels. Only its owner can read it. Raises InputError if it has other lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found: dict[str, dict[str, Any]] = {}
        try:
            lines = path.read_bytes().splitlines() if path.exists() else []
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror}.", "Name another file with --labels.") from None
        for number, line in enumerate(lines, 1):
            try:
                entry = parse_json(line)
                check_shape(entry, _LINE)
                if entry["label"] not in (GOOD, BAD):
                    raise ValueError
            except ValueError:
                raise InputError(f"Line {number} of {path} is no label.", "Name another file with --labels.") from None
            found[entry["id"]] = entry
        self.lines: Mapping[str, Mapping[str, Any]] = found
        """The newest line of each page, by id. A new judgement puts another dictionary here, so that one that is being
        read does not change."""

    def add(self, line: dict[str, Any]) -> None:
        """Save the label of a page, in place of an earlier one. Only one thread may do so at a time.

        Raises OSError; then the file is as before.
        """
        others = {name: one for name, one in self.lines.items() if name != line["id"]}
        changed = {**others, line["id"]: line}
        if len(others) < len(self.lines):
            write_whole(self.path, b"".join(map(_encoded, changed.values())), private=True)
        else:
            append_line(self.path, _encoded(line))
        self.lines = changed


def _encoded(line: Mapping[str, Any]) -> bytes:
    return (json.dumps(line, ensure_ascii=False) + "\n").encode()


def draw(run: Run, near: str, known: Sequence[str]) -> list[int]:
    """Return the rows of pages to judge, in random order, without those whose ids are known.

    `near` is a bound such as `gopher_quality.words.min`. Then the pages are the nearest ones on each side of it: kept
    pages, and pages that its rule dropped. If it is empty, they are drawn from all kept and all dropped pages. The same
    run and bound draw the same pages. Raises ConfigError for a bound that the run does not have.
    """
    column, bound = _bound(run, near) if near else ("", 0.0)
    stage, _, rule = column.partition(".")
    found: dict[bool, list[tuple[float, int, str]]] = {False: [], True: []}
    for group in run.groups("ledger"):
        with group.open() as read:
            table = read(["id", "outcome", "stage", "rule"])
            kept = _mask(pc.equal(table["outcome"], KEPT))
            dropped = _mask(pc.equal(table["outcome"], DROPPED))
            distance = np.zeros(group.rows)
            if near:
                values = pc.cast(read([column])[column], pa.float64()).to_numpy()
                dropped &= _mask(pc.equal(table["stage"], stage)) & _mask(pc.equal(table["rule"], rule))
                distance = np.abs(values - bound)
            for side, mask in ((True, kept), (False, dropped)):
                rows = np.flatnonzero(mask & ~np.isnan(distance))
                order = _scrambled(rows + group.first)
                rows = rows[np.lexsort((order, distance[rows]))][: DRAWN + len(known)]
                ids = table["id"].take(pa.array(rows)).to_pylist()
                more = zip(distance[rows].tolist(), (rows + group.first).tolist(), ids, strict=True)
                new = [one for one in more if one[2] not in known]
                found[side] = sorted([*found[side], *new], key=lambda one: (one[0], _draw(one[2])))[:DRAWN]
    both = [*found[True], *found[False]]
    return [row for _, row, name in sorted(both, key=lambda one: _draw(f"order {one[2]}"))]


def _bound(run: Run, near: str) -> tuple[str, float]:
    column, _, name = near.rpartition(".")
    for one in measures_of(run.info):
        if one.column == column and one.of is not str and name in one.bounds:
            return column, float(one.bounds[name])
    raise ConfigError(f"The run has no limit '{near}'.", "Choose one of the list.")


def _draw(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def _scrambled(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return found


def _mask(column: pa.ChunkedArray) -> np.ndarray:
    found: np.ndarray = pc.fill_null(column, False).to_numpy()
    return found.copy()


def rows_of(run: Run, ids: Sequence[str]) -> dict[str, int]:
    """Return the ledger rows of ids that the run has."""
    wanted = pa.array(ids, pa.string())
    found: dict[str, int] = {}
    for group in run.groups("ledger") if ids else ():
        with group.open() as read:
            column = read(["id"])["id"]
            rows = np.flatnonzero(_mask(pc.is_in(column, value_set=wanted)))
            names = column.take(pa.array(rows)).to_pylist()
        found |= zip(names, (rows + group.first).tolist(), strict=True)
    return found


def under(run: Run, settings: Sequence[str], labels: Mapping[str, str], rows: Mapping[str, int]) -> dict[str, Any]:
    """Return how many judged pages the run would keep under other limits, and how many each changed rule drops.

    `labels` are the labels by id, and `rows` the ledger rows of the pages. A page counts as kept if it passes every
    rule that measured it and no comparison removed it.
    """
    judge = LedgerJudge(run.info, with_limits(run.info, settings))
    codes = judge.codes
    counts = {(label, code): 0 for label in (GOOD, BAD) for code in range(codes.count)}
    there = sorted((row, labels[name]) for name, row in rows.items() if name in labels)
    numbers = np.array([row for row, _ in there], np.int64)
    for group in run.groups("ledger"):
        start, end = np.searchsorted(numbers, (group.first, group.first + group.rows)).tolist()
        if start == end:
            continue
        with group.open() as read:
            new = judge.verdicts(_taking(read, pa.array(numbers[start:end] - group.first)))[1]
        for (_, label), code in zip(there[start:end], new.tolist(), strict=True):
            counts[label, code] += 1
    kept = {label: counts[label, codes.kept] + counts[label, codes.open] for label in (GOOD, BAD)}
    of = {label: sum(counts[label, code] for code in range(codes.count)) for label in (GOOD, BAD)}
    rules = [
        {"rule": rule.column, **{label: counts[label, index] for label in (GOOD, BAD)}}
        for index, rule in enumerate(codes.rules)
        if rule.changed
    ]
    own = {f"{label}_kept": kept[label] for label in (GOOD, BAD)}
    return {"judged": len(there), GOOD: of[GOOD], BAD: of[BAD], **own, "rules": rules}


def _taking(read: Columns, rows: pa.Array) -> Columns:
    def taken(names: Sequence[str]) -> pa.Table:
        return read(names).take(rows)

    return taken


def agreement(run: Run, lines: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each way in which pages were drawn, how the recipe agrees with the labels: precision is the share of
    good pages among kept ones, recall the share of kept pages among good ones, each with its interval.

    Pages near a limit say nothing about other pages, so their figures hold for such pages only. Of all pages, equally
    many kept and dropped ones were drawn, so recall weighs the two by their numbers in the run.
    """
    found = []
    for near in sorted({line["near"] for line in lines.values()}):
        own = [(line["label"], line["outcome"] == KEPT) for line in lines.values() if line["near"] == near]
        good_kept, bad_kept, good_dropped, bad_dropped = (
            own.count((label, kept)) for kept in (True, False) for label in (GOOD, BAD)
        )
        counts = {"good_kept": good_kept, "bad_kept": bad_kept, "good_dropped": good_dropped}
        weighted = weighted_recall(run, (good_kept, bad_kept), (good_dropped, bad_dropped))
        found.append(
            {
                "near": near, "judged": len(own), **counts, "bad_dropped": bad_dropped,
                "precision": interval(good_kept, good_kept + bad_kept),
                "recall": interval(good_kept, good_kept + good_dropped) if near else weighted,
            }
        )  # fmt: skip
    return found


def interval(part: int, whole: int, z: float = _Z) -> list[float] | None:
    """Return a share with its interval by Wilson (1927), or None of nothing."""
    if not whole:
        return None
    share = part / whole
    middle = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    return [share, min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share)]  # rounding


def weighted_recall(run: Run, kept: tuple[int, int], dropped: tuple[int, int]) -> list[float] | None:
    """Return the share of kept pages among all good pages of the run, with an interval that holds at least.

    `kept` and `dropped` are the numbers of good and bad pages among those that were judged.
    """
    of_kept, of_dropped = (interval(side[0], sum(side), _Z_OF_TWO) for side in (kept, dropped))
    if of_kept is None or of_dropped is None:
        return None
    weights = run.info["records"]["kept"], total(run.info["records"][DROPPED])

    def recall(one: float, other: float) -> float:
        good, lost = weights[0] * one, weights[1] * other
        return good / (good + lost) if good + lost else 0.0

    (share, low, high), (other, least, most) = of_kept, of_dropped
    return [recall(share, other), recall(low, most), recall(high, least)]
