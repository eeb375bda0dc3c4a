"""The counts of a what-if over the row groups of a ledger."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from corpus.revise.judge import LedgerJudge, VerdictCodes, encoded
from corpus.revise.limits import SimilarityLimit
from corpus.runs.row_groups import Columns

EXAMPLES = 5
"""The usual number of example URLs per rule and kind."""

_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, which spreads neighboring numbers


@dataclass
class WhatIfCounts:
    """Counts over some row groups. `kind` below is "lost", "gained" or "open"."""

    codes: VerdictCodes
    most_examples: int = EXAMPLES
    moves: np.ndarray = field(init=False)
    """The number of documents by old and new verdict."""
    bytes: np.ndarray = field(init=False)
    """The bytes of text of these documents."""
    unsized: np.ndarray = field(init=False)
    """The number of documents whose bytes of text are unknown."""
    combinations: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    """[documents, bytes] by kind and by the changed rules that a document breaks together, as bits."""
    examples: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    """The examples, as (draw, row), by kind and rule."""
    languages: dict[str, np.ndarray] = field(default_factory=dict)
    """[kept before, their bytes, kept or passing every rule now, their bytes] by language."""
    copies: int = 0
    """The number of exact copies of a kept document. They pass every rule."""
    candidates: int = 0
    """The number of kept documents that pass every rule and share a key with another document."""
    lost_candidates: int = 0
    """The number of compared documents that share a key with another document and break a rule now."""
    lost_keepers: int = 0
    """The number of keepers among the lost candidates."""

    def __post_init__(self) -> None:
        shape = self.codes.count, self.codes.count
        self.moves, self.bytes, self.unsized = (np.zeros(shape, np.int64) for _ in range(3))

    def add(self, other: WhatIfCounts) -> None:
        self.moves += other.moves
        self.bytes += other.bytes
        self.unsized += other.unsized
        for key, (documents, size) in other.combinations.items():
            mine = self.combinations.setdefault(key, [0, 0])
            mine[0] += documents
            mine[1] += size
        for key, drawn in other.examples.items():
            self.examples[key] = sorted([*self.examples.get(key, []), *drawn])[: self.most_examples]
        for language, numbers in other.languages.items():
            self.languages[language] = self.languages.get(language, 0) + numbers
        self.copies += other.copies
        self.candidates += other.candidates
        self.lost_candidates += other.lost_candidates
        self.lost_keepers += other.lost_keepers


@dataclass(frozen=True)
class Evidence:
    """Columns that are counted in addition to the rules."""

    documents: SimilarityLimit | None
    """The columns with the evidence of the old comparison of documents."""
    language: str
    """The column with the language of a page, if there is one."""


def count_rows(
    judge: LedgerJudge, evidence: Evidence, read: Columns, first: int, examples: int = EXAMPLES
) -> WhatIfCounts:
    """Count the rows of a row group. `first` is the number of its first row in the ledger."""
    codes, found = judge.codes, WhatIfCounts(judge.codes, examples)
    old, new = judge.verdicts(read)
    sizes = read(["text_bytes"])["text_bytes"].to_numpy()
    known = ~np.isnan(sizes)
    cell = old * codes.count + new
    shape = found.moves.shape
    found.moves = np.bincount(cell, minlength=codes.count**2).reshape(shape)
    found.bytes = np.bincount(cell[known], sizes[known], codes.count**2).astype(np.int64).reshape(shape)
    found.unsized = np.bincount(cell[~known], minlength=codes.count**2).reshape(shape)
    moved = np.flatnonzero(old != new)
    kinds = {
        "gained": moved[(old[moved] < codes.kept) & (new[moved] == codes.kept)],
        "open": moved[new[moved] == codes.open],
        "lost": moved[(old[moved] == codes.kept) & (new[moved] < codes.kept)],
    }
    for kind, rows in kinds.items():
        if len(rows):
            _count_combinations(found, judge, read, kind, rows, sizes[rows])
            _draw_examples(found, kind, (new if kind == "lost" else old)[rows], rows + first)
    if evidence.language:
        _count_languages(found, read([evidence.language])[evidence.language], (old, new), sizes)
    documents = evidence.documents
    if documents and documents.cluster_size and documents.exact:
        _count_compared(found, read([documents.cluster_size, documents.exact]), old, new)
    return found


def _count_languages(
    found: WhatIfCounts, column: pa.ChunkedArray, verdicts: tuple[np.ndarray, np.ndarray], sizes: np.ndarray
) -> None:
    """Count the documents kept before, and those kept or passing every rule now, with their bytes, by language."""
    numbers, names = encoded(column)
    counts = []
    for codes in verdicts:
        kept = np.flatnonzero(codes == found.codes.kept)
        own, least = numbers[kept], len(names) + 1
        counts += [np.bincount(own, minlength=least), np.bincount(own, np.nan_to_num(sizes[kept]), least)]
    table = np.array(counts, np.int64).T
    found.languages = {name: row for name, row in zip([*names, ""], table, strict=True) if row.any()}


def _count_combinations(
    found: WhatIfCounts, judge: LedgerJudge, read: Columns, kind: str, rows: np.ndarray, sizes: np.ndarray
) -> None:
    """Count the changed rules that documents break together.

    Lost documents break these rules now, the others broke them before.
    """
    rules = [rule for rule in found.codes.rules if rule.changed]
    values = judge.measured(read, [rule.column for rule in rules]).take(pa.array(rows))
    languages = judge.languages(values)
    bits = np.zeros(len(rows), np.uint64)
    for bit, rule in enumerate(rules[:64]):
        broken = (rule.new if kind == "lost" else rule.limits).outside(values[rule.column], languages)
        bits |= broken.astype(np.uint64) << np.uint64(bit)
    for mask in np.unique(bits).tolist():
        same = bits == mask
        found.combinations[kind, mask] = [int(same.sum()), int(np.nansum(sizes[same]))]


def _draw_examples(found: WhatIfCounts, kind: str, verdicts: np.ndarray, rows: np.ndarray) -> None:
    """Draw examples by a scrambled row number, so that every run draws the same ones."""
    draws = rows.astype(np.uint64) * _SCRAMBLE
    by_rule: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for at in np.argsort(draws).tolist():
        drawn = by_rule[int(verdicts[at])]
        if len(drawn) < found.most_examples:
            drawn.append((int(draws[at]), int(rows[at])))
    found.examples |= {(kind, rule): drawn for rule, drawn in by_rule.items()}


def _count_compared(found: WhatIfCounts, evidence: pa.Table, old: np.ndarray, new: np.ndarray) -> None:
    """Count the documents whose old comparison limits the result of a new one."""
    codes = found.codes
    size, exact = (column.to_numpy() for column in evidence.columns)
    stays = new == old
    near = ((old == codes.kept) | (old == codes.repeated)) & ~np.isnan(size)
    found.copies = int(np.count_nonzero((old == codes.repeated) & stays & (exact == 1)))
    found.candidates = int(np.count_nonzero(near & stays & (old == codes.kept)))
    found.lost_candidates = int(np.count_nonzero(near & ~stays))
    # keepers that a later comparison of lines removed count too, because they repeated no document
    found.lost_keepers = int(np.count_nonzero(near & ~stays & np.isnan(exact) & (size > 1)))
