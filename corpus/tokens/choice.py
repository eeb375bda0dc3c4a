"""Which documents of a source are taken, and how often: filters, a share, repeats, and how far a budget reaches.

Everything goes by hashes of the mixture's seed, the source's name and the document's id. So a larger share contains a
smaller one, more copies contain fewer, and nothing depends on how the files are divided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpus.errors import IntegrityError
from corpus.net.urls import redact
from corpus.outcome import KEPT
from corpus.storage.boxes import one_batch
from corpus.storage.parquet_files import ParquetFile
from corpus.storage.store import local_file
from corpus.tokens.mixture import CLUSTER, ONCE, Condition, Repeat
from corpus.tokens.texts import TextSlice, read_rows

WHOLE = 1 << 64
"""The end of the range of ranks."""

REASONS = ("read", "filtered", "outside_share", "not_repeated", "without_value")
"""What is counted of a slice: its rows, those that each step leaves out, and those whose column has no value for
`repeat`, which are taken once."""

_RANK_SEED, _DRAW_SEED = 0x4A9, 0xD4A
"""Of the hashes that order documents for shares and budgets, and that decide about half copies. They differ from that
of the shuffle: otherwise the first documents of a mixture would be at the beginning of the training."""

_FILE_SHIFT = np.uint64(40)
_COMPARE = {
    "==": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What decides about the documents of a source, before any budget. A corpus that is no source of a mixture has no
    name, and gives every document once."""

    name: str = ""
    seed: int = 0
    share: float = 1.0
    conditions: tuple[Condition, ...] = ()
    repeat: Repeat = ONCE

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Choice:
        conditions = tuple(Condition(**one) for one in data["conditions"])
        repeat = data["repeat"]
        bound = Repeat(repeat["by"], tuple(repeat["edges"]), tuple(repeat["copies"]))
        return cls(data["name"], data["seed"], data["share"], conditions, bound)

    @property
    def columns(self) -> list[str]:
        """The columns, or measures of the ledger, that it needs."""
        return list(dict.fromkeys([*(one.column for one in self.conditions), *filter(None, [self.repeat.by])]))

    def names(self, ids: Sequence[str]) -> list[str]:
        """Return the name of each document in the mixture."""
        return [f"{self.name}\0{one}" for one in ids] if self.name else list(ids)

    def ranks(self, names: Sequence[str]) -> np.ndarray:
        """Return the rank of each document, uint64: shares and budgets take the lowest ones."""
        return _hashes(names, self.seed ^ _RANK_SEED)

    def meets(self, values: pa.RecordBatch, rows: int) -> np.ndarray:
        """Return True for each of the rows that meets all conditions."""
        met = [_COMPARE[one.op](values[one.column], pa.scalar(one.value)) for one in self.conditions]
        found = reduce(pc.and_kleene, met, pa.array(np.ones(rows, dtype=bool)))
        marks: np.ndarray = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
        return marks

    def copies(self, names: Sequence[str], values: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """Return how often each document is taken, int64, and True for those without a value that the table has."""
        repeat = self.repeat
        wanted, lacking = np.full(len(names), repeat.copies[0]), np.zeros(len(names), dtype=bool)
        if repeat.by:
            found = values[repeat.by].cast(pa.float64()).to_numpy(zero_copy_only=False)  # null is nan
            found = found + 1 if repeat.by == CLUSTER else found
            bucket = np.searchsorted(np.array(repeat.edges), found, side="right")
            lacking = np.isnan(found)
            wanted = np.where(lacking, 1.0, np.array(repeat.copies)[np.where(lacking, 0, bucket)])
        whole = np.floor(wanted)
        if (whole == wanted).all():
            return whole.astype(np.int64), lacking
        drawn = _hashes(names, self.seed ^ _DRAW_SEED).astype(np.float64) / WHOLE
        return (whole + (drawn < wanted - whole)).astype(np.int64), lacking


def _hashes(names: Sequence[str], seed: int) -> np.ndarray:
    return np.fromiter((xxhash.xxh3_64_intdigest(name.encode(), seed) for name in names), np.uint64, len(names))


@dataclass(frozen=True)
class Reach:
    """How far a budget reaches: `passes` times through a source, and once more through the documents before (`rank`,
    `place`). Of the document there, `last` copies are taken. `place` is file and row: documents with one id have the
    same rank."""

    passes: int = 1
    rank: int = 0
    place: int = 0
    last: int = 0

    def _sides(self, ranks: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        same, place = ranks == np.uint64(self.rank), np.uint64(self.place)
        return (ranks < np.uint64(self.rank)) | (same & (places < place)), same & (places == place)

    def includes(self, ranks: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return True for each document of which something is taken."""
        before, there = self._sides(ranks, places)
        return before | (there & (self.last > 0)) | (self.passes > 0)

    def times(self, copies: np.ndarray, ranks: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return how often each document is taken, if it is taken `copies` times in each pass."""
        before, there = self._sides(ranks, places)
        return self.passes * copies + np.where(before, copies, 0) + np.where(there, self.last, 0)


@dataclass(frozen=True)
class LedgerRows:
    """The ledger rows of a slice of a run: of the kept rows in some row groups, `rows` from number `skip` on. Ledger
    and corpus have the kept documents in the same order."""

    groups: tuple[tuple[str, int], ...]
    skip: int
    rows: int

    def read(self, columns: Sequence[str]) -> pa.RecordBatch:
        """Return `id` and the columns."""
        tables = []
        for location, group in self.groups:
            with ParquetFile(local_file(location), redact(location)) as file:
                table = file.group(group, list(dict.fromkeys(["id", "outcome", *columns])))
            tables.append(table.filter(pc.equal(table["outcome"], KEPT)).select(["id", *columns]))
        return one_batch(pa.concat_tables(tables).slice(self.skip, self.rows).to_batches(), tables[0].schema)


@dataclass(frozen=True)
class ChosenRows:
    """Some documents of a slice that were chosen. `table` has the columns that were asked for, `names` are those in the
    mixture, and `copies` is at least one."""

    table: pa.RecordBatch
    ids: pa.Array
    names: list[str]
    ranks: np.ndarray
    places: np.ndarray
    copies: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def where(self, mask: np.ndarray) -> ChosenRows:
        """Return the documents for which the mask is True."""
        if mask.all():
            return self
        marks = pa.array(mask)
        names = [name for name, marked in zip(self.names, mask.tolist(), strict=True) if marked]
        arrays = (self.ranks[mask], self.places[mask], self.copies[mask])
        table = self.table.filter(marks) if self.table.num_columns else self.table
        return ChosenRows(table, self.ids.filter(marks), names, *arrays)


@dataclass(frozen=True)
class SourceSlice:
    """A slice of a source, and what chooses among its documents. `file` is the number of its file in the source. The
    columns that are `measures` are in the ledger."""

    part: TextSlice
    choice: Choice
    file: int = 0
    ledger: LedgerRows | None = None
    measures: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SourceSlice:
        """Return the slice of `asdict`, also after JSON."""
        ledger = data["ledger"]
        rows = LedgerRows(tuple(map(tuple, ledger["groups"])), ledger["skip"], ledger["rows"]) if ledger else None
        choice = Choice.from_dict(data["choice"])
        return cls(TextSlice(**data["part"]), choice, data["file"], rows, tuple(data["measures"]))

    def content(self) -> dict[str, Any]:
        """Return what a result depends on."""
        return {**self.part.content(), "choice": asdict(self.choice), "file": self.file}

    def read(self, counts: Counter[str], columns: Sequence[str] = ("text",)) -> Iterator[ChosenRows]:
        """Yield the chosen documents, in order, with the columns. `counts` gets the sums that REASONS names.

        Raises IntegrityError if the ledger has other documents.
        """
        wanted = list(dict.fromkeys([*columns, *self.choice.columns]))
        own = [name for name in wanted if name not in self.measures]
        measured = [name for name in wanted if name in self.measures]
        judged = self.ledger.read(measured) if self.ledger and measured else None
        for batch in read_rows(self.part, own):
            rows, ids, *values = batch.columns
            if judged is not None:
                found = judged.take(pc.subtract(rows, self.part.first))
                if found["id"] != ids:
                    what = f"{redact(self.part.location)} and the ledger of its run have other documents."
                    raise IntegrityError(what, "Restore them.")
                values += [found[name] for name in measured]
            table = pa.RecordBatch.from_arrays(values, names=[*own, *measured])
            counts["read"] += len(ids)
            yield self._choose(table, ids, rows.to_numpy(), counts)

    def _choose(self, table: pa.RecordBatch, ids: pa.Array, rows: np.ndarray, counts: Counter[str]) -> ChosenRows:
        choice = self.choice
        names = choice.names(ids.to_pylist())
        places = (np.uint64(self.file) << _FILE_SHIFT) | rows.astype(np.uint64)
        found = ChosenRows(table, ids, names, choice.ranks(names), places, np.ones(len(names), np.int64))
        met = choice.meets(table, len(names))
        counts["filtered"] += int((~met).sum())
        found = found.where(met)
        if choice.share < 1:
            inside = found.ranks < np.uint64(choice.share * WHOLE)
            counts["outside_share"] += int((~inside).sum())
            found = found.where(inside)
        copies, lacking = choice.copies(found.names, found.table)
        counts["not_repeated"] += int((copies == 0).sum())
        counts["without_value"] += int(lacking.sum())
        return replace(found, copies=copies).where(copies > 0)
