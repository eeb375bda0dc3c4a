"""The samples of a run, by rule: near its limit, far from it, and kept pages for contrast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from corpus.outcome import KEPT
from corpus.revise.limits import Measure
from corpus.run import Run
from corpus.runs.row_groups import read_tables

_SIGNS = {"min": "<", "max": ">", "above": "≤", "below": "≥", "one_of": "not"}
"""The sign between a value outside a bound and the bound."""

_CONTRASTS = 2
"""The number of kept pages that are shown beside the dropped pages of a rule. Their values are nearest to the limit."""

Rows = list[dict[str, Any]]


@dataclass
class RuleSamples:
    """The samples of one rule."""

    rule: str
    measure: Measure | None
    near: Rows = field(default_factory=list)
    far: Rows = field(default_factory=list)
    kept: list[tuple[dict[str, Any], Any]] = field(default_factory=list)
    """The kept pages, each with its value of the measure."""

    def bound(self, sample: dict[str, Any]) -> str:
        """Return the bound that the sample broke.

        The sample has only the number of the bound, or null for a category.
        """
        limits = [self.measure.limits.base, *self.measure.limits.own.values()] if self.measure else []
        bounds = [pair for limit in limits for pair in limit.bounds.items()]
        if sample["limit"] is None:
            return "one_of" if any(bound == "one_of" for bound, _ in bounds) else ""
        return next((bound for bound, given in bounds if given == sample["limit"]), "")

    def sign(self, sample: dict[str, Any]) -> str:
        return _SIGNS.get(self.bound(sample), "at")


def read_samples(run: Run) -> Rows:
    """Return the rows of the samples. If a run's sample files are gone, there are none."""
    parts = [part for part in run.parts("samples") if run.store.size(part.key) is not None]
    paths = [run.store.local(part.key) for part in parts]
    return [row for table in read_tables(paths) for row in table.to_pylist()]


def group_samples(rows: Rows, measures: list[Measure], ledger: dict[str, Any]) -> tuple[list[RuleSamples], Rows]:
    """Group samples by rule, in the order of the rules.

    Return the groups and the kept samples. `ledger` has the rows of the kept pages.
    """
    known = {measure.column: measure for measure in measures}
    order = {column: position for position, column in enumerate(known)}
    groups: dict[str, RuleSamples] = {}
    for row in sorted(rows, key=_from_limit):
        if row["rule"] != KEPT:
            group = groups.setdefault(row["rule"], RuleSamples(row["rule"], known.get(row["rule"])))
            (group.near if row["near"] else group.far).append(row)
    kept = [row for row in rows if row["rule"] == KEPT]
    for group in groups.values():
        group.kept = _contrasts(group, kept, ledger)
    return sorted(groups.values(), key=lambda group: (order.get(group.rule, len(order)), group.rule)), kept


def _from_limit(row: dict[str, Any]) -> tuple[float, int, str]:
    known = row["value"] is not None and row["limit"] is not None
    return (abs(row["value"] - row["limit"]) if known else 0.0, row["draw"], row["id"])


def _contrasts(group: RuleSamples, kept: Rows, ledger: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    if group.measure is None:
        return []
    limits = [row["limit"] for row in (*group.near, *group.far) if row["limit"] is not None]
    pairs = [(row, ledger[row["id"]][group.rule]) for row in kept if row["id"] in ledger]
    measured = [(row, value) for row, value in pairs if value is not None]
    if limits:
        measured.sort(key=lambda pair: (abs(pair[1] - limits[0]), pair[0]["draw"], pair[0]["id"]))
    return measured[:_CONTRASTS]
