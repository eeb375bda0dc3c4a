"""What is tokenized: the texts of a folder, or the sources of a mixture. A folder is a mixture of one source, of which
every document is taken once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.digests import digest
from corpus.errors import ConfigError, CorpusError, IntegrityError, did_you_mean
from corpus.net.urls import is_url, redact
from corpus.outcome import KEPT
from corpus.runs.row_groups import schema_of
from corpus.runs.run_files import RunFiles
from corpus.storage.parquet_files import ParquetFile
from corpus.storage.store import Location, local_file
from corpus.tables.ledger import MEASURE_TYPES
from corpus.tokens.choice import Choice, LedgerRows, SourceSlice
from corpus.tokens.mixture import Mixture, MixtureSource, read_mixture
from corpus.tokens.texts import STRINGS, Texts, open_texts, value_type
from jobs.runner.derived import register

TEXT_BYTES = "text_bytes"
"""The column of the ledger that has the size of a text."""


@dataclass(frozen=True)
class Source:
    """Texts, and what chooses among them. `measures` are the columns that the ledger of the run has."""

    location: Location
    texts: Texts
    choice: Choice
    budget: int | None = None
    measures: tuple[str, ...] = ()

    def slices(self) -> list[SourceSlice]:
        numbers = {file.name: number for number, file in enumerate(self.texts.files)}
        parts = self.texts.slices()
        if not self.measures or self.texts.run is None:
            return [SourceSlice(part, self.choice, numbers[part.name]) for part in parts]
        firsts = [0, *accumulate(file.rows for file in self.texts.files)]
        kept, slices = _kept_rows(self.texts.run, self.texts.rows), []
        for part in parts:
            number = numbers[part.name]
            groups = self.texts.files[number].groups
            rows = sum(groups[at][0] for at in part.groups)
            ledger = kept.between(firsts[number] + part.first, rows)
            slices.append(SourceSlice(part, self.choice, number, ledger, self.measures))
        return slices

    def identity(self) -> dict[str, Any]:
        """Return what identifies the texts and the ledger."""
        run = self.texts.run
        ledger = {"ledger": digest([part.sha256 for part in run.parts("ledger")])} if run and self.measures else {}
        return {**self.texts.identity(), **ledger}


@dataclass(frozen=True)
class _KeptRows:
    """The row groups of a ledger, and the number of the first kept row of each."""

    groups: list[tuple[str, int]]
    starts: np.ndarray

    def between(self, first: int, rows: int) -> LedgerRows:
        """Return the kept rows from number `first` on."""
        begin = int(np.searchsorted(self.starts, first, side="right")) - 1
        end = int(np.searchsorted(self.starts, first + rows))
        return LedgerRows(tuple(self.groups[begin:end]), first - int(self.starts[begin]), rows)


def _kept_rows(run: RunFiles, rows: int) -> _KeptRows:
    groups, counts = [], []
    run.paths("ledger")  # raises if one is missing or has other columns
    for part in run.parts("ledger"):
        location = f"{run.location}/{part.key}"
        with ParquetFile(local_file(location), redact(location)) as file:
            for group in range(len(file.rows)):
                outcomes = file.group(group, ["outcome"])["outcome"]
                groups.append((location, group))
                counts.append(pc.sum(pc.equal(outcomes, KEPT)).as_py() or 0)
    if sum(counts) != rows:
        raise IntegrityError(f"{redact(run.location)} has a ledger of other documents than its corpus.", "Restore it.")
    return _KeptRows(groups, np.cumsum(counts) - counts)


@dataclass(frozen=True)
class Sources:
    """All that is tokenized. `mixture` is None for the texts of one folder."""

    all: tuple[Source, ...]
    seed: int
    mixture: Mixture | None = None

    @property
    def rows(self) -> int:
        return sum(source.texts.rows for source in self.all)

    def plan(self) -> dict[str, Any]:
        """Return the part of the plan that says what is tokenized."""
        if self.mixture is None:
            return {"texts": self.all[0].identity()}
        texts = {source.choice.name: source.identity() for source in self.all}
        return {"mixture": self.mixture.canonical(), "texts": texts}

    def register(self, out: Location) -> None:
        """Note in each run that tokens are made from it."""
        for source in self.all:
            if source.texts.run:
                register(source.location, "tokens", out)


def open_sources(location: Location, seed: int) -> Sources:
    """Open a folder of texts, or the sources of a mixture file. A mixture has its own seed."""
    file = Path(location)
    if is_url(str(location)) or file.suffix != ".toml" or file.is_dir():
        return Sources((Source(location, open_texts(location), Choice()),), seed)
    mixture = read_mixture(file)
    budgets = mixture.budgets()
    sources = tuple(_open(source, mixture.seed, budgets[source.name]) for source in mixture.sources)
    return Sources(sources, mixture.seed, mixture)


def _open(source: MixtureSource, seed: int, budget: int | None) -> Source:
    try:
        texts = open_texts(source.path)
    except CorpusError as error:
        raise type(error)(f"The source '{source.name}': {error.what}", error.todo) from None
    choice = Choice(source.name, seed, source.share, source.conditions, source.repeat)
    return Source(source.path, texts, choice, budget, _measures(source, choice, texts))


_NUMBER, _STRING, _BOOLEAN = "numbers", "strings", "true or false"


def _measures(source: MixtureSource, choice: Choice, texts: Texts) -> tuple[str, ...]:
    """Return the columns of the ledger that a source needs. Raises ConfigError if a column is missing, or holds what
    can't be compared."""
    schemas = [schema_of(local_file(file.location)) for file in texts.files]
    own = {name: {_holds(schema.field(name).type) for schema in schemas} for name in texts.columns}
    run = texts.run
    measured = {TEXT_BYTES: "int", **run.info["columns"]} if run else {}
    known = {**{name: {_holds(MEASURE_TYPES[kind])} for name, kind in measured.items()}, **own}
    for column in choice.columns:
        if column not in known:
            raise ConfigError(f"The source '{source.name}' has no column '{column}'.", did_you_mean(column, known))
    for one in source.conditions:
        kind = _BOOLEAN if isinstance(one.value, bool) else _STRING if isinstance(one.value, str) else _NUMBER
        _check_kind(source.name, one.column, known, kind)
    if choice.repeat.by:
        _check_kind(source.name, choice.repeat.by, known, _NUMBER)
    return (TEXT_BYTES, *(name for name in choice.columns if name not in own and name != TEXT_BYTES)) if run else ()


def _check_kind(name: str, column: str, known: Mapping[str, set[str]], kind: str) -> None:
    others = known[column] - {kind, ""}
    if others:
        what = f"The column '{column}' of the source '{name}' holds {min(others)}, and is used as if it held {kind}."
        raise ConfigError(what, "Compare it with a value of its own kind, or name another column.")


def _holds(kind: pa.DataType) -> str:
    """Return what a column holds, in words, or nothing if it has no values."""
    kind = value_type(kind)
    if pa.types.is_null(kind):
        return ""
    if kind in STRINGS:
        return _STRING
    if pa.types.is_boolean(kind):
        return _BOOLEAN
    integer = pa.types.is_integer(kind) and kind != pa.uint64()
    return _NUMBER if integer or kind in (pa.float32(), pa.float64()) else f"values of the type {kind}"
