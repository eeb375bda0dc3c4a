"""Verdicts under other limits, from the ledger alone.

    print(open_run("out").retune({"gopher_quality.words.min": 30}).rules)

A document's new verdict is the first rule that its measured values break now. It is certain, except for one that now
goes on past its old verdict and was never measured by what comes after: such a document is *open*, and counts only as
a bound. Row groups are read one at a time, of each the columns of the changed rules, and the other rules' columns only
where a document is set free.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.outcome import DROPPED, KEPT
from corpus.revise.limits import DocumentLimit, Rule
from corpus.stage import Limit

Columns = Callable[[Sequence[str]], pa.Table]
"""Reads some columns of a row group."""

EXAMPLES = 5
"""URLs shown for a rule and kind."""

_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: neighbours end up far apart


@dataclass(frozen=True)
class Ends:
    """Where documents end, as numbers: the place of a rule, or one of the four after the rules."""

    rules: tuple[Rule, ...]

    @property
    def kept(self) -> int:
        return len(self.rules)

    @property
    def repeated(self) -> int:
        """Passed every rule, and was removed when documents were compared."""
        return len(self.rules) + 1

    @property
    def fixed(self) -> int:
        """Failed, skipped or taken down: no limit changes that."""
        return len(self.rules) + 2

    @property
    def open(self) -> int:
        """Passes what was measured, and was not measured by all."""
        return len(self.rules) + 3

    @property
    def number(self) -> int:
        return len(self.rules) + 4


@dataclass
class Tally:
    """What is counted over row groups; adds up."""

    ends: Ends
    moves: np.ndarray = field(init=False)
    """Documents by old and new end."""
    bytes: np.ndarray = field(init=False)
    unsized: np.ndarray = field(init=False)
    """Documents whose bytes of text are not known."""
    combinations: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    """[documents, bytes] by kind and by the changed rules (as bits) that were broken together."""
    drawn: dict[tuple[str, int], list[tuple[int, int, int]]] = field(default_factory=dict)
    """(draw, row group, row) by kind and rule: the examples."""
    copies: int = 0
    """Documents with the very text of a kept one that pass every rule."""
    candidates: int = 0
    """Kept documents that pass every rule, and shared a key with another."""
    lost_candidates: int = 0
    """Compared documents that shared a key with another, and now break a rule."""
    lost_keepers: int = 0
    """Of those the ones that stood for others."""

    def __post_init__(self) -> None:
        number = self.ends.number
        self.moves, self.bytes, self.unsized = (np.zeros((number, number), np.int64) for _ in range(3))

    def add(self, other: Tally) -> None:
        self.moves += other.moves
        self.bytes += other.bytes
        self.unsized += other.unsized
        for key, (documents, size) in other.combinations.items():
            mine = self.combinations.setdefault(key, [0, 0])
            mine[0] += documents
            mine[1] += size
        for kind, drawn in other.drawn.items():
            self.drawn[kind] = sorted([*self.drawn.get(kind, []), *drawn])[:EXAMPLES]
        self.copies += other.copies
        self.candidates += other.candidates
        self.lost_candidates += other.lost_candidates
        self.lost_keepers += other.lost_keepers


class Judge:
    """Judges the rows of a ledger anew. `compared` are the names of the stages that compare documents, `columns` the
    measures of all stages."""

    def __init__(
        self,
        rules: Sequence[Rule],
        columns: Iterable[str],
        compared: Sequence[str],
        documents: DocumentLimit | None = None,
    ) -> None:
        self.ends = Ends(tuple(rules))
        self._columns = [column for column in columns if column.split(".")[0] not in compared]
        self._documents = documents
        self._compared = set(compared)
        self._places = {(rule.stage, rule.measure): place for place, rule in enumerate(rules)}
        self._changed = [place for place, rule in enumerate(rules) if rule.changed]

    def verdicts(self, read: Columns) -> tuple[np.ndarray, np.ndarray]:
        """The old and the new ends of the rows that `read` gives columns of."""
        rules = self.ends.rules
        old = self._old(read(["outcome", "stage", "rule"]))
        at = np.minimum(old, self.ends.kept)
        new = old.copy()
        values = read([rules[place].column for place in self._changed])
        freed = np.zeros(len(old), np.bool_)
        for place in reversed(self._changed):
            broken = outside(rules[place].new, values[rules[place].column])
            here = at == place
            freed |= here & ~broken
            earlier = broken & (at > place)
            new[earlier] = place
            freed &= ~earlier
        if freed.any():
            rows = np.flatnonzero(freed)
            new[rows] = self._further(read, rows, at[rows])
        return old, new

    def _further(self, read: Columns, rows: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The new ends of documents that no longer break the rule at which they ended."""
        rules = self.ends.rules
        # measured in order, so one that has the last value has them all; a stage without limits may have failed, too
        ends = read(["text_bytes", self._columns[-1]]).take(pa.array(rows))
        unmeasured = ends[0].is_null().to_numpy() & ends[1].is_null().to_numpy()
        new = np.where(unmeasured, self.ends.open, self.ends.kept)
        later = [place for place in range(int(at.min()) + 1, len(rules)) if rules[place].new.bounds]
        table = read([rules[place].column for place in later]).take(pa.array(rows))
        for place in reversed(later):
            new[(at < place) & outside(rules[place].new, table[rules[place].column])] = place
        return new

    def _old(self, table: pa.Table) -> np.ndarray:
        outcome, stage, rule = (_codes(table[name]) for name in ("outcome", "stage", "rule"))
        lookup = np.full((len(outcome[1]) + 1, len(stage[1]) + 1, len(rule[1]) + 1), self.ends.fixed)
        for o, name in enumerate(outcome[1]):
            if name == KEPT:
                lookup[o] = self.ends.kept
            if name == DROPPED:
                for s, of in enumerate(stage[1]):
                    if of in self._compared:
                        lookup[o, s] = self.ends.repeated
                    for r, measure in enumerate(rule[1]):
                        lookup[o, s, r] = self._places.get((of, measure), lookup[o, s, r])
        found: np.ndarray = lookup[outcome[0], stage[0], rule[0]]
        return found

    def tally(self, read: Columns, group: int, first: int) -> Tally:
        """Count the rows of one row group; `group` is its number, `first` that of its first row in the ledger."""
        ends, found = self.ends, Tally(self.ends)
        old, new = self.verdicts(read)
        sizes = read(["text_bytes"])["text_bytes"].to_numpy()
        known = ~np.isnan(sizes)
        cell = old * ends.number + new
        shape = (ends.number, ends.number)
        count = ends.number**2
        found.moves = np.bincount(cell, minlength=count).reshape(shape)
        found.bytes = np.bincount(cell[known], sizes[known], count).astype(np.int64).reshape(shape)
        found.unsized = np.bincount(cell[~known], minlength=count).reshape(shape)
        moved = np.flatnonzero(old != new)
        kinds = {
            "gained": moved[(old[moved] < ends.kept) & (new[moved] == ends.kept)],
            "open": moved[new[moved] == ends.open],
            "lost": moved[(old[moved] == ends.kept) & (new[moved] < ends.kept)],
        }
        for kind, rows in kinds.items():
            if len(rows):
                self._combine(found, read, kind, rows, sizes[rows])
                _draw(found, kind, (new if kind == "lost" else old)[rows], rows, group, first)
        if self._documents and self._documents.cluster_size and self._documents.exact:
            columns = [self._documents.cluster_size, self._documents.exact]
            self._clusters(found, read(columns), old, new)
        return found

    def _combine(self, found: Tally, read: Columns, kind: str, rows: np.ndarray, sizes: np.ndarray) -> None:
        """Which of the changed rules these documents break together: now where lost, before where gained."""
        rules = [self.ends.rules[place] for place in self._changed]
        values = read([rule.column for rule in rules]).take(pa.array(rows))
        bits = np.zeros(len(rows), np.uint64)
        for bit, rule in enumerate(rules[:64]):
            broken = outside(rule.new if kind == "lost" else rule.old, values[rule.column])
            bits |= broken.astype(np.uint64) << np.uint64(bit)
        for mask in np.unique(bits).tolist():
            same = bits == mask
            found.combinations[kind, mask] = [int(same.sum()), int(np.nansum(sizes[same]))]

    def _clusters(self, found: Tally, evidence: pa.Table, old: np.ndarray, new: np.ndarray) -> None:
        """What the documents that were compared say of those that would be compared now."""
        size, exact = (column.to_numpy() for column in evidence.columns)
        was = (old == self.ends.kept) | (old == self.ends.repeated)
        stays = new == old
        near = was & ~np.isnan(size)
        found.copies = int(np.count_nonzero((old == self.ends.repeated) & stays & (exact == 1)))
        found.candidates = int(np.count_nonzero(near & stays & (old == self.ends.kept)))
        found.lost_candidates = int(np.count_nonzero(near & ~stays))
        # those that lines took later, too: they repeated nothing
        found.lost_keepers = int(np.count_nonzero(near & ~stays & np.isnan(exact) & (size > 1)))


def outside(limit: Limit, column: pa.ChunkedArray) -> np.ndarray:
    """Which values are outside of a limit; null ones never are."""
    if limit.of is str:
        if limit.one_of is None:
            return np.zeros(len(column), np.bool_)
        inside = pc.is_in(column, value_set=pa.array(limit.one_of, pa.string()))
        found: np.ndarray = pc.and_(pc.invert(inside), column.is_valid()).to_numpy()
        return found
    values = column.to_numpy()  # null becomes NaN, which is on no side of anything
    broken = np.zeros(len(values), np.bool_)
    if limit.min is not None:
        broken |= values < limit.min
    if limit.max is not None:
        broken |= values > limit.max
    if limit.above is not None:
        broken |= values <= limit.above
    if limit.below is not None:
        broken |= values >= limit.below
    return broken


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """A column of few values as numbers into a list; null is one more than the last."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    return encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False), names


def _draw(found: Tally, kind: str, places: np.ndarray, rows: np.ndarray, group: int, first: int) -> None:
    """Choose examples by a scrambled number of their row, the same ones every time."""
    draws = (rows + first).astype(np.uint64) * _SCRAMBLE
    by_rule: dict[int, list[int]] = defaultdict(list)
    for index in np.argsort(draws).tolist():
        chosen = by_rule[int(places[index])]
        if len(chosen) < EXAMPLES:
            chosen.append(index)
    for place, chosen in by_rule.items():
        found.drawn[kind, place] = [(int(draws[index]), group, int(rows[index])) for index in chosen]


def combined(mask: int, rules: Sequence[Rule]) -> Iterator[str]:
    """The columns of the changed rules that a number stands for."""
    for bit, rule in enumerate(rule for rule in rules if rule.changed):
        if mask >> bit & 1:
            yield rule.column
