"""The samples of a run: per rule near its limit and far from it, and kept pages beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from corpus.outcome import KEPT
from corpus.run import Run
from jobs.report.columns import SIGNS, Measure

CONTRAST = 2
"""Kept pages shown beside the dropped ones of a rule: those whose value is nearest to the limit."""


@dataclass(frozen=True)
class Contrast:
    """A kept page with its value of the measure."""

    sample: dict[str, Any]
    value: Any


@dataclass
class RuleSamples:
    """The samples of one rule. `sign` and `bound` say how the values stand to the limit."""

    rule: str
    measure: Measure | None
    near: list[dict[str, Any]] = field(default_factory=list)
    far: list[dict[str, Any]] = field(default_factory=list)
    kept: list[Contrast] = field(default_factory=list)

    def bound(self, sample: dict[str, Any]) -> str:
        return self.measure.bound_of(sample["limit"]) if self.measure else ""

    def sign(self, sample: dict[str, Any]) -> str:
        return SIGNS.get(self.bound(sample), "at")


def read_samples(run: Run) -> list[dict[str, Any]]:
    """The rows of the samples; none where the run has no such file."""
    parts = [part for part in run.parts("samples") if run.store.size(part.key) is not None]
    tables = [pq.read_table(run.store.local(part.key), page_checksum_verification=True) for part in parts]
    return [row for table in tables for row in table.to_pylist()]


def group_samples(
    rows: list[dict[str, Any]], measures: list[Measure], ledger: dict[str, dict[str, Any]]
) -> tuple[list[RuleSamples], list[dict[str, Any]]]:
    """The samples by rule, in the order of the rules, and the kept ones. `ledger` has the rows of the latter."""
    known = {measure.column: measure for measure in measures}
    order = {column: place for place, column in enumerate(known)}
    groups: dict[str, RuleSamples] = {}
    for row in rows:
        if row["rule"] != KEPT:
            group = groups.setdefault(row["rule"], RuleSamples(row["rule"], known.get(row["rule"])))
            (group.near if row["near"] else group.far).append(row)
    kept = [row for row in rows if row["rule"] == KEPT]
    for group in groups.values():
        group.near.sort(key=_from_limit)
        group.far.sort(key=_from_limit)
        group.kept = _contrast(group, kept, ledger)
    return sorted(groups.values(), key=lambda group: (order.get(group.rule, len(order)), group.rule)), kept


def _from_limit(row: dict[str, Any]) -> tuple[float, int, str]:
    known = row["value"] is not None and row["limit"] is not None
    return (abs(row["value"] - row["limit"]) if known else 0.0, row["draw"], row["id"])


def _contrast(group: RuleSamples, kept: list[dict[str, Any]], ledger: dict[str, dict[str, Any]]) -> list[Contrast]:
    if group.measure is None:
        return []
    limits = [row["limit"] for row in (*group.near, *group.far) if row["limit"] is not None]
    pairs = [(row, ledger[row["id"]][group.rule]) for row in kept if row["id"] in ledger]
    there = [(row, value) for row, value in pairs if value is not None]
    if limits:
        there.sort(key=lambda pair: (abs(pair[1] - limits[0]), pair[0]["draw"], pair[0]["id"]))
    return [Contrast(row, value) for row, value in there[:CONTRAST]]
