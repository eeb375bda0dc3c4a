"""Ledger rows under other limits: the rows that stay, those that follow from their measures, and those whose page must
be read again.

A page is read again if its text is newly needed, or if its new row contains values that the ledger does not have:
measures after a verdict that no longer holds, or the detail of a rule that did not drop the page before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.outcome import DROPPED, FAILED, KEPT, REMOVED
from corpus.recipe import Recipe
from corpus.revise.judge import LedgerJudge, VerdictCodes, numeric_checks, outside
from corpus.revise.limits import TunedRule, rules_of
from corpus.runs.row_groups import Columns
from corpus.stage import Limit
from corpus.tables.overlay import put
from corpus.tables.takedown import Takedown

STAYS, FOLLOWS, READ = 0, 1, 2
"""Actions for a row: it stays as it is (except for its comparison), it follows from its measures, or its page is read
again."""

_ARCHIVE_FAILURES = ("damaged", "not_http")
"""Failures of the archive. No stage has a part in them."""


@dataclass(frozen=True)
class RowActions:
    """The old and the new verdict of each row, as codes, and its action."""

    old: np.ndarray
    new: np.ndarray
    action: np.ndarray
    taken_down: np.ndarray
    """True for rows that a new takedown removes."""


class LedgerReplay:
    """Judges the rows of a run by `recipe`, which differs from the recipe of the run in its limits alone.

    `signed` tells if the run kept its signatures. Without them every page that passes is read again. `takedown` has
    the removals that are new.
    """

    def __init__(self, info: Mapping[str, Any], recipe: Recipe, signed: bool, takedown: Takedown | None) -> None:
        self.rules = rules_of(info, recipe.canonical())
        self._compared = list(info["compared"])
        self._judge = LedgerJudge(self.rules, info["columns"], self._compared)
        self._signed = signed
        self._takedown = takedown
        stages = {bound.name: bound.stage for bound in recipe.stages}
        self._columns = list(info["columns"])
        columns = [name for name in self._columns if name.split(".")[0] not in self._compared]
        self._unmeasured = [_unmeasured_after(rule, columns, stages, recipe) for rule in self.rules]
        self._detailed = np.array([rule.measure in stages[rule.stage].detailed for rule in self.rules], np.bool_)
        self._worded = np.array([rule.new.of is str for rule in self.rules], np.bool_)
        self._changed = any(rule.changed for rule in self.rules)

    @property
    def codes(self) -> VerdictCodes:
        return self._judge.codes

    def stops(self, rule: int) -> bool:
        """Return True if a document that a rule drops is measured no further."""
        return bool(self._unmeasured[rule])

    def actions(self, read: Columns) -> RowActions:
        """Decide about the rows whose columns `read` returns."""
        codes = self.codes
        old, new = self._judge.verdicts(read)
        passed = np.isin(old, (codes.kept, codes.repeated))
        passes = np.isin(new, (codes.kept, codes.repeated))
        action = np.full(len(old), STAYS)
        moved = (old != new) & ~(passed & passes)
        # The detail of a new verdict is what the archive reader noted. A row has that note unless its old verdict has a
        # detail of its own.
        noted = (old == codes.kept) | np.append(~(self._detailed | self._worded), [False] * 4)[old]
        for index, rule in enumerate(self.rules):
            here = new == index
            if rule.changed:
                action[here & (old == index)] = FOLLOWS
            follows = ~self._detailed[index] & noted
            action[here & moved] = np.where(follows, FOLLOWS, READ)[here & moved]
        action[passes & (~passed | (not self._signed))] = READ
        action[new == codes.open] = READ
        fixed = read(["outcome", "rule"])
        of_archive = pc.is_in(fixed["rule"], value_set=pa.array(_ARCHIVE_FAILURES))
        failed = pc.and_(pc.equal(fixed["outcome"], FAILED), pc.invert(of_archive)).to_numpy()
        if self._changed:
            action[failed] = READ
        action[self._stopped_elsewhere(read, new)] = READ
        taken_down = self._taken_down(read, failed)
        action[taken_down] = FOLLOWS
        return RowActions(old, new, action, taken_down)

    def _stopped_elsewhere(self, read: Columns, new: np.ndarray) -> np.ndarray:
        """Find documents that, after their verdict, are now measured further than before, or less far."""
        unmeasured = np.array([*map(len, self._unmeasured), 0])
        found: np.ndarray = (new < self.codes.kept) & (np.append(unmeasured, [0] * 3)[new] == 0)
        stopping = [index for index, columns in enumerate(self._unmeasured) if columns]
        if not found.any() or not any(self.rules[index].changed for index in stopping):
            return np.zeros(len(new), np.bool_)
        was, now = (np.full(len(new), self.codes.kept) for _ in range(2))
        for index in reversed(stopping):
            rule = self.rules[index]
            values = read([rule.column]).column(0)
            was[outside(rule.old, values)] = index
            now[outside(rule.new, values)] = index
        found &= unmeasured[was] != unmeasured[now]
        return found

    def _taken_down(self, read: Columns, failed: np.ndarray) -> np.ndarray:
        found = np.zeros(len(failed), np.bool_)
        if self._takedown:
            table = read(["url", "outcome", "stage"])
            judged = pc.is_in(table["outcome"], value_set=pa.array([KEPT, DROPPED])).to_numpy() | failed
            judged &= pc.fill_null(pc.not_equal(table["stage"], REMOVED), True).to_numpy()
            for row, url in enumerate(table["url"].to_pylist()):
                found[row] = judged[row] and bool(self._takedown.rule(url))
        return found

    def table(self, table: pa.Table, actions: RowActions) -> pa.Table:
        """The new rows before documents are compared. The rows of pages that are read again are not valid."""
        table = self._before_comparison(table)
        for index, rule in enumerate(self.rules):
            here = (actions.action == FOLLOWS) & (actions.new == index) & ~actions.taken_down
            if here.any():
                table = _dropped(table, here, rule)
                table = put(table, here & (actions.old != index), dict.fromkeys(self._unmeasured[index]))
        if actions.taken_down.any():
            assert self._takedown is not None
            urls = table["url"].filter(pa.array(actions.taken_down)).to_pylist()
            reasons = pa.array([self._takedown.rule(url) for url in urls], pa.string())
            fixed = {"outcome": DROPPED, "stage": REMOVED, "rule": reasons}
            fixed |= dict.fromkeys(("value", "limit", "detail", "text_bytes", *self._columns))
            table = put(table, actions.taken_down, fixed)
        return table

    def _before_comparison(self, table: pa.Table) -> pa.Table:
        """The rows without the results of comparisons."""
        if not self._compared:
            return table
        removed = pc.is_in(table["stage"], value_set=pa.array(self._compared)).to_numpy()
        table = put(table, removed, {"outcome": KEPT, **dict.fromkeys(("stage", "rule", "value", "limit", "detail"))})
        own = [name for name in self._columns if name.split(".")[0] in self._compared]
        return put(table, np.ones(table.num_rows, np.bool_), dict.fromkeys(own))


def _unmeasured_after(rule: TunedRule, columns: Sequence[str], stages: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """The columns that stay null for a document that a rule drops."""
    stage = stages[rule.stage]
    at = columns.index(rule.column)
    if stage.costly or recipe.measures == "first":
        return [*columns[at + 1 :], "text_bytes"]
    if stage.gate:
        return [*(name for name in columns[at + 1 :] if name.split(".")[0] != rule.stage), "text_bytes"]
    return []


def _dropped(table: pa.Table, here: np.ndarray, rule: TunedRule) -> pa.Table:
    """The table with some rows dropped by a rule."""
    mask = pa.array(here)
    values = table[rule.column].filter(mask)
    fixed: dict[str, Any] = {"outcome": DROPPED, "stage": rule.stage, "rule": rule.measure}
    if rule.new.of is str:
        # an empty category leaves the detail to the note of the archive reader
        details = pc.if_else(pc.equal(values, ""), table["detail"].filter(mask), values)
        return put(table, here, {**fixed, "value": None, "limit": None, "detail": details})
    limits = pa.array(broken_bounds(rule.new, values))
    return put(table, here, {**fixed, "value": values.cast(pa.float64()), "limit": limits})


def broken_bounds(limit: Limit, values: pa.ChunkedArray) -> np.ndarray:
    """The first bound that each value breaks, as `Limit.broken_by` finds it, or NaN."""
    numbers = values.cast(pa.float64()).to_numpy()
    found = np.full(len(numbers), np.nan)
    for bound, breaks in reversed(numeric_checks(limit)):
        found[breaks(numbers, bound)] = bound
    return found
