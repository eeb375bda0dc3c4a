"""New verdicts for ledger rows, from their measures alone.

The new verdict of a document is the first rule that its measures break under the new limits. There is one case in which
the new verdict is uncertain: the document now passes the rule that dropped it, and some later stage did not measure it.
Such a document is *open*.

Only the columns of the changed rules are read. If a document passes its old verdict, the columns of the other rules are
read too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.outcome import DROPPED, KEPT
from corpus.revise.limits import TunedRule, rules_of
from corpus.runs.row_groups import Columns


class VerdictCodes:
    """Verdicts as numbers: the index of a rule, or one of four codes above the rules.

    `repeated` documents pass every rule, but a comparison removed them. `fixed` documents failed, were skipped or were
    taken down, and no limit changes that. `open` documents pass every rule that measured them, but some stage did not
    measure them.
    """

    def __init__(self, rules: Sequence[TunedRule]) -> None:
        self.rules = tuple(rules)
        first = len(rules)
        self.kept, self.repeated, self.fixed, self.open, self.count = range(first, first + 5)


class LedgerJudge:
    """A judge that gives the ledger rows of a run verdicts under the limits of another recipe.

    `info` is the run's run.json.
    """

    def __init__(self, info: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
        rules = rules_of(info, recipe)
        self.codes = VerdictCodes(rules)
        self._compared = list(info["compared"])
        self._columns = [column for column in info["columns"] if column.split(".")[0] not in self._compared]
        self._index = {(rule.stage, rule.name): index for index, rule in enumerate(rules)}
        self._language = info.get("language")
        self._changed = [index for index, rule in enumerate(rules) if rule.changed]

    def verdicts(self, read: Columns) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes of the old and the new verdicts."""
        rules = self.codes.rules
        old = self._old(read(["outcome", "stage", "rule"]))
        at = np.minimum(old, self.codes.kept)
        new = old.copy()
        values = self.measured(read, [rules[index].column for index in self._changed])
        languages = self.languages(values)
        freed = np.zeros(len(old), np.bool_)
        for index in reversed(self._changed):
            broken = rules[index].new.outside(values[rules[index].column], languages)
            freed |= (at == index) & ~broken
            earlier = broken & (at > index)
            new[earlier] = index
            freed &= ~earlier
        if freed.any():
            rows = np.flatnonzero(freed)
            new[rows] = self._further(read, rows, at[rows])
        return old, new

    def _further(self, read: Columns, rows: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the new verdicts of documents that pass their old verdict."""
        rules = self.codes.rules
        # Stages measure in order, so a document with the last value has all values. A stage without limits may have
        # failed on a document that was already dropped; then both columns are null.
        ends = read(["text_bytes", self._columns[-1]]).take(pa.array(rows))
        unmeasured = ends[0].is_null().to_numpy() & ends[1].is_null().to_numpy()
        new = np.where(unmeasured, self.codes.open, self.codes.kept)
        later = [index for index in range(int(at.min()) + 1, len(rules)) if rules[index].new.on]
        table = self.measured(read, [rules[index].column for index in later]).take(pa.array(rows))
        for index in reversed(later):
            broken = rules[index].new.outside(table[rules[index].column], self.languages(table))
            new[(at < index) & broken] = index
        return new

    def measured(self, read: Columns, columns: Sequence[str]) -> pa.Table:
        """Return columns of the ledger, and the column of `languages`, if there is one, after them."""
        return read(list(dict.fromkeys([*columns, *([self._language] if self._language else [])])))

    def languages(self, table: pa.Table) -> pa.ChunkedArray | None:
        """Return the languages that choose the limits of rows, or None if no limit depends on the language."""
        return table[self._language] if self._language else None

    def _old(self, table: pa.Table) -> np.ndarray:
        outcome, stage, rule = (encoded(table[name]) for name in ("outcome", "stage", "rule"))
        lookup = np.full((len(outcome[1]) + 1, len(stage[1]) + 1, len(rule[1]) + 1), self.codes.fixed)
        for o, name in enumerate(outcome[1]):
            if name == KEPT:
                lookup[o] = self.codes.kept
            if name == DROPPED:
                for s, at in enumerate(stage[1]):
                    if at in self._compared:
                        lookup[o, s] = self.codes.repeated
                    for r, measure in enumerate(rule[1]):
                        lookup[o, s, r] = self._index.get((at, measure), lookup[o, s, r])
        found: np.ndarray = lookup[outcome[0], stage[0], rule[0]]
        return found


def encoded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Return a column as indices into the list of its values. Null has the index after the last value."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    return encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False), names
