"""The ledger rows of a finished run under other limits: which stay, which follow from what was measured, and which
need their page again.

A page is read again where its text is newly needed, and where its row says something that is not in the ledger: what
comes after a verdict that no longer holds, or the detail of a rule that did not drop it before.
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
from corpus.revise.judge import Ends, Judge, outside
from corpus.revise.limits import Rule, rules_of
from corpus.stage import Limit
from corpus.tables.row_groups import Columns
from corpus.tables.takedown import Takedown

STAYS, FOLLOWS, READ = 0, 1, 2
"""What becomes of a row: it stays as it is (but for what was compared), it follows from its measures, or its page is
read again."""

_OWN_FAILURES = ("damaged", "not_http")
"""Of the archive, not of a stage."""


@dataclass(frozen=True)
class Fates:
    """Of each row where it ended and ends now, and what becomes of it."""

    old: np.ndarray
    new: np.ndarray
    action: np.ndarray
    taken: np.ndarray
    """Whether it is taken down, by a list that was not there before."""


class Rejudge:
    """Rows of a run, judged anew by `recipe`, which differs in its limits alone. `signed`: whether the run kept what
    it compared documents by; without it whatever passes is read again. `taken` is what is taken down."""

    def __init__(self, info: Mapping[str, Any], recipe: Recipe, signed: bool, taken: Takedown | None) -> None:
        canonical = recipe.canonical()
        self.rules = rules_of(info, canonical)
        self.compared = list(info["compared"])
        self._judge = Judge(self.rules, info["columns"], self.compared)
        self._signed = signed
        self._taken = taken
        stages = {bound.name: bound.stage for bound in recipe.stages}
        columns = [name for name in info["columns"] if name.split(".")[0] not in self.compared]
        self._columns = list(info["columns"])
        self._after = [self._columns_after(rule, columns, stages, recipe) for rule in self.rules]
        self._detailed = np.array([rule.measure in stages[rule.stage].detailed for rule in self.rules], np.bool_)
        self._worded = np.array([rule.new.of is str for rule in self.rules], np.bool_)
        self._changed = any(rule.changed for rule in self.rules)

    @property
    def ends(self) -> Ends:
        return self._judge.ends

    def stops(self, place: int) -> bool:
        """Whether a document that ends at a rule is measured no further."""
        return bool(self._after[place])

    def fates(self, read: Columns) -> Fates:
        """What becomes of the rows that `read` gives columns of."""
        ends = self.ends
        old, new = self._judge.verdicts(read)
        passed = np.isin(old, (ends.kept, ends.repeated))
        passes = np.isin(new, (ends.kept, ends.repeated))
        action = np.full(len(old), STAYS)
        moved = (old != new) & ~(passed & passes)
        for place, rule in enumerate(self.rules):
            here = new == place
            if rule.changed:
                action[here & (old == place)] = FOLLOWS
            note_known = (old == ends.kept) | np.append(~(self._detailed | self._worded), [False] * 4)[old]
            follows = ~self._detailed[place] & note_known
            action[here & moved] = np.where(follows, FOLLOWS, READ)[here & moved]
        action[passes & (~passed | (not self._signed))] = READ
        action[new == ends.open] = READ
        fixed = read(["outcome", "rule"])
        failed = pc.and_(
            pc.equal(fixed["outcome"], FAILED), pc.invert(pc.is_in(fixed["rule"], value_set=pa.array(_OWN_FAILURES)))
        ).to_numpy()
        if self._changed:
            action[failed] = READ
        action[self._measured_otherwise(read, new)] = READ
        taken = self._now_taken(read, failed)
        action[taken] = FOLLOWS
        return Fates(old, new, action, taken)

    def _measured_otherwise(self, read: Columns, new: np.ndarray) -> np.ndarray:
        """Which documents a later rule than that of their verdict stops now and did not, or no longer does."""
        unmeasured = np.array([*map(len, self._after), 0])
        found: np.ndarray = (new < self.ends.kept) & (np.append(unmeasured, [0] * 3)[new] == 0)
        stopping = [place for place, after in enumerate(self._after) if after]
        if not found.any() or not any(self.rules[place].changed for place in stopping):
            return np.zeros(len(new), np.bool_)
        was, now = (np.full(len(new), self.ends.kept) for _ in range(2))
        for place in reversed(stopping):
            rule = self.rules[place]
            values = read([rule.column]).column(0)
            was[outside(rule.old, values)] = place
            now[outside(rule.new, values)] = place
        found &= unmeasured[was] != unmeasured[now]
        return found

    def _now_taken(self, read: Columns, failed: np.ndarray) -> np.ndarray:
        taken = np.zeros(len(failed), np.bool_)
        if self._taken:
            table = read(["url", "outcome", "stage"])
            judged = pc.is_in(table["outcome"], value_set=pa.array([KEPT, DROPPED])).to_numpy() | failed
            judged &= pc.fill_null(pc.not_equal(table["stage"], REMOVED), True).to_numpy()
            for row, url in enumerate(table["url"].to_pylist()):
                taken[row] = judged[row] and bool(self._taken.rule(url))
        return taken

    def table(self, table: pa.Table, fates: Fates) -> pa.Table:
        """The rows before documents are compared; of those whose pages are read again whatever was there."""
        table = self._before_compared(table)
        for place, rule in enumerate(self.rules):
            here = (fates.action == FOLLOWS) & (fates.new == place) & ~fates.taken
            if here.any():
                moved = here & (fates.old != place)
                table = self._dropped(table, here, rule)
                table = put(table, moved, dict.fromkeys(self._after[place]))
        if fates.taken.any():
            assert self._taken is not None
            urls = table["url"].filter(pa.array(fates.taken)).to_pylist()
            reasons = pa.array([self._taken.rule(url) for url in urls], pa.string())
            fixed = {"outcome": DROPPED, "stage": REMOVED, "rule": reasons}
            fixed |= dict.fromkeys(("value", "limit", "detail", "text_bytes", *self._columns))
            table = put(table, fates.taken, fixed)
        return table

    def _dropped(self, table: pa.Table, here: np.ndarray, rule: Rule) -> pa.Table:
        mask = pa.array(here)
        values = table[rule.column].filter(mask)
        fixed: dict[str, Any] = {"outcome": DROPPED, "stage": rule.stage, "rule": rule.measure}
        if rule.new.of is str:
            # an empty one leaves the detail to what the archive's reader noted
            details = pc.if_else(pc.equal(values, ""), table["detail"].filter(mask), values)
            return put(table, here, {**fixed, "value": None, "limit": None, "detail": details})
        limits = pa.array(broken(rule.new, values))
        return put(table, here, {**fixed, "value": values.cast(pa.float64()), "limit": limits})

    def _before_compared(self, table: pa.Table) -> pa.Table:
        """Without what comparing documents has said."""
        if not self.compared:
            return table
        gone = pc.is_in(table["stage"], value_set=pa.array(self.compared)).to_numpy()
        table = put(table, gone, {"outcome": KEPT, **dict.fromkeys(("stage", "rule", "value", "limit", "detail"))})
        own = [name for name in self._columns if name.split(".")[0] in self.compared]
        return put(table, np.ones(table.num_rows, np.bool_), dict.fromkeys(own))

    @staticmethod
    def _columns_after(rule: Rule, columns: Sequence[str], stages: Mapping[str, Any], recipe: Recipe) -> list[str]:
        """What is not measured of a document that ends at a rule."""
        stage = stages[rule.stage]
        at = columns.index(rule.column)
        if stage.costly or recipe.measures == "first":
            return [*columns[at + 1 :], "text_bytes"]
        if stage.gate:
            return [*(name for name in columns[at + 1 :] if name.split(".")[0] != rule.stage), "text_bytes"]
        return []


def broken(limit: Limit, values: pa.ChunkedArray) -> np.ndarray:
    """The bounds that values are outside of: the first of them, as `Limit.broken_by` has it."""
    numbers = values.cast(pa.float64()).to_numpy()
    checks = [
        (limit.min, np.less), (limit.max, np.greater), (limit.above, np.less_equal), (limit.below, np.greater_equal),
    ]  # fmt: skip
    found = np.full(len(numbers), np.nan)
    for bound, breaks in reversed(checks):
        if bound is not None:
            found[breaks(numbers, bound)] = bound
    return found


def put(table: pa.Table, here: np.ndarray, columns: Mapping[str, Any]) -> pa.Table:
    """The table with other values in some rows: one for all of them, or one for each, in order."""
    mask = pa.array(here)
    for name, given in columns.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        column = table[name].combine_chunks()
        if isinstance(given, pa.Array | pa.ChunkedArray):
            values = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
            changed = pc.replace_with_mask(column, mask, values.cast(field.type))
        else:
            changed = pc.if_else(mask, pa.scalar(given, field.type), column)
        table = table.set_column(place, field, changed)
    return table
