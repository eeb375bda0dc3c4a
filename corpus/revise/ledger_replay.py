"""New ledger rows under other limits. Some rows stay, some follow from their measures, and some pages must be read
again.

A page is read again if its text is newly needed. A page is also read again if its new row contains values that the
ledger does not have: measures after a verdict that no longer holds, or the detail of a rule that did not drop the page
before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.outcome import DROPPED, KEPT, REMOVED
from corpus.recipes import Recipe
from corpus.revise.judge import LedgerJudge
from corpus.revise.limits import TunedRule
from corpus.revise.takedowns import failed_pages, judged_pages
from corpus.runs.row_groups import Columns
from corpus.stage import Stage
from corpus.tables.ledger import hidden_names, ledger_schema
from corpus.tables.overlay import put
from corpus.tables.takedown import Takedown

STAYS, FOLLOWS, READ = 0, 1, 2
"""The actions for a row.

The row does not change (except for its comparison), the row follows from its measures, or the page is read again.
"""


@dataclass(frozen=True)
class RowActions:
    """The old and the new verdict of each row, as codes, and the action for the row."""

    old: np.ndarray
    new: np.ndarray
    action: np.ndarray
    taken_down: np.ndarray
    """True for rows that a new takedown removes."""


class LedgerReplay(LedgerJudge):
    """A judge of the rows of a run under `recipe`, which differs from the recipe of the run only in its limits.

    `signed` is True if the run kept its signatures. Without signatures, every page that passes is read again.
    `takedown` has the new removals.
    """

    def __init__(self, info: Mapping[str, Any], recipe: Recipe, signed: bool, takedown: Takedown | None) -> None:
        super().__init__(info, recipe.canonical())
        self._signed = signed
        self._takedown = takedown
        self._all_columns = list(info["columns"])
        self._schema = ledger_schema(recipe.pipeline().columns)
        stages = {bound.name: bound.stage for bound in recipe.stages}
        self.unmeasured = [self._unmeasured_after(rule, stages, recipe) for rule in self.codes.rules]
        """The columns that are null for a document that a rule drops, by the index of the rule."""
        self._detailed = [rule.name in stages[rule.stage].detailed for rule in self.codes.rules]

    def actions(self, read: Columns) -> RowActions:
        """Decide about the rows whose columns `read` returns."""
        codes = self.codes
        old, new = self.verdicts(read)
        passed = np.isin(old, (codes.kept, codes.repeated))
        passes = np.isin(new, (codes.kept, codes.repeated))
        action = np.full(len(old), STAYS)
        moved = (old != new) & ~(passed & passes)
        # The detail of a new verdict is the note of the archive reader. A row has this note unless its old verdict has
        # a detail of its own.
        own_detail = [named or rule.of is str for named, rule in zip(self._detailed, codes.rules, strict=True)]
        noted = (old == codes.kept) | ~np.array([*own_detail, *[True] * 4])[old]
        for index, rule in enumerate(codes.rules):
            here = new == index
            if rule.changed:
                action[here & (old == index)] = FOLLOWS
            follows = noted & (not self._detailed[index])
            action[here & moved] = np.where(follows, FOLLOWS, READ)[here & moved]
        action[passes & (~passed | (not self._signed))] = READ
        action[new == codes.open] = READ
        if any(rule.changed for rule in codes.rules):
            action[failed_pages(read)] = READ
        action[self._stopped_elsewhere(read, new)] = READ
        taken_down = self._taken_down(read, len(old))
        action[taken_down] = FOLLOWS
        return RowActions(old, new, action, taken_down)

    def _unmeasured_after(self, rule: TunedRule, stages: Mapping[str, Stage], recipe: Recipe) -> list[str]:
        stage, later = stages[rule.stage], self._columns[self._columns.index(rule.column) + 1 :]
        if stage.costly or recipe.measures == "first":
            return [*later, "text_bytes"]
        if stage.gate:
            return [*(name for name in later if name.split(".")[0] != rule.stage), "text_bytes"]
        return []

    def _stopped_elsewhere(self, read: Columns, new: np.ndarray) -> np.ndarray:
        """Find documents that, after their verdict, are measured further than before, or less far than before."""
        unmeasured = np.array([*map(len, self.unmeasured), 0])
        found: np.ndarray = (new < self.codes.kept) & (np.append(unmeasured, [0] * 3)[new] == 0)
        stopping = [index for index, columns in enumerate(self.unmeasured) if columns]
        if not found.any() or not any(self.codes.rules[index].changed for index in stopping):
            return np.zeros(len(new), np.bool_)
        was, now = (np.full(len(new), self.codes.kept) for _ in range(2))
        for index in reversed(stopping):
            rule = self.codes.rules[index]
            table = self.measured(read, [rule.column])
            values, languages = table.column(0), self.languages(table)
            was[rule.limits.outside(values, languages)] = index
            now[rule.new.outside(values, languages)] = index
        found &= unmeasured[was] != unmeasured[now]
        return found

    def _taken_down(self, read: Columns, rows: int) -> np.ndarray:
        found = np.zeros(rows, np.bool_)
        if self._takedown:
            judged = np.flatnonzero(judged_pages(read))
            urls = read(["url"])["url"].take(pa.array(judged)).to_pylist()
            found[judged] = [bool(self._takedown.rule(url)) for url in urls]
        return found

    def table(self, table: pa.Table, actions: RowActions) -> pa.Table:
        """Return the new rows, before documents are compared. The rows of pages that are read again are not valid yet.

        If an earlier version made the run and does not have a measure, the measure is null.
        """
        table = self._before_comparison(table)
        for index, rule in enumerate(self.codes.rules):
            here = (actions.action == FOLLOWS) & (actions.new == index) & ~actions.taken_down
            if here.any():
                table = self._dropped(table, here, rule)
                table = put(table, here & (actions.old != index), dict.fromkeys(self.unmeasured[index]))
        if actions.taken_down.any():
            assert self._takedown is not None
            urls = table["url"].filter(pa.array(actions.taken_down)).to_pylist()
            reasons = pa.array([self._takedown.rule(url) for url in urls], pa.string())
            fixed = {"outcome": DROPPED, "stage": REMOVED, "rule": reasons}
            fixed |= dict.fromkeys(("value", "limit", "detail", "text_bytes", *self._all_columns))
            table = put(table, actions.taken_down, fixed)
        if self._takedown and self._takedown.hides:
            table = _without_names(table)
        there = set(table.schema.names)
        new = [
            table[field.name] if field.name in there else pa.nulls(table.num_rows, field.type) for field in self._schema
        ]
        return pa.table(new, schema=self._schema)

    def _dropped(self, table: pa.Table, here: np.ndarray, rule: TunedRule) -> pa.Table:
        """Return the table with some rows dropped by a rule."""
        rows = table.filter(pa.array(here))
        values = rows[rule.column]
        fixed: dict[str, Any] = {"outcome": DROPPED, "stage": rule.stage, "rule": rule.name}
        if rule.of is str:
            # if the category is empty, the detail is the note of the archive reader
            details = pc.if_else(pc.equal(values, ""), rows["detail"], values)
            return put(table, here, {**fixed, "value": None, "limit": None, "detail": details})
        limits = pa.array(rule.new.broken(values, self.languages(rows)))
        return put(table, here, {**fixed, "value": values.cast(pa.float64()), "limit": limits})

    def _before_comparison(self, table: pa.Table) -> pa.Table:
        """Return the rows without the results of comparisons."""
        if not self._compared:
            return table
        removed = pc.is_in(table["stage"], value_set=pa.array(self._compared)).to_numpy()
        table = put(table, removed, {"outcome": KEPT, **dict.fromkeys(("stage", "rule", "value", "limit", "detail"))})
        own = [name for name in self._all_columns if name.split(".")[0] in self._compared]
        return put(table, np.ones(table.num_rows, np.bool_), dict.fromkeys(own))


def _without_names(table: pa.Table) -> pa.Table:
    """Return the table with hashes in place of the names of all pages that were taken down, now or before."""
    removed = pc.fill_null(pc.equal(table["stage"], REMOVED), False)
    named = table.select(["url", "record_id"]).filter(removed)
    hidden = [hidden_names(url, record_id) for url, record_id in zip(*named.to_pydict().values(), strict=True)]
    columns = {name: pa.array([row[at] for row in hidden], pa.string()) for at, name in enumerate(named.column_names)}
    return put(table, removed.to_numpy(), columns)
