"""New limits for the recipe of a finished run, as data. Stages are not loaded, so plugins can be absent."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import ConfigError, did_you_mean
from corpus.settings import Settings, changes_of, pairs_of, part_of
from corpus.stage import BREAKS, Limit

_KINDS: dict[str, type] = {"int": int, "float": float, "str": str}
_NEW_RUN = "Only limits can be judged from a ledger. Give this setting to `corpus build`, with another -o."


@dataclass(frozen=True)
class Limits:
    """The limit of a measure, and the limits that single languages have instead."""

    base: Limit
    own: dict[str, Limit] = field(default_factory=dict)

    @property
    def of(self) -> type:
        """The type of the measure."""
        return self.base.of

    @property
    def on(self) -> bool:
        """True if the measure has a bound for some language."""
        return any(limit.bounds for limit in self._all)

    def of_language(self, language: str | None) -> Limit:
        return self.own.get(language or "", self.base)

    def outside(self, column: pa.Array | pa.ChunkedArray, languages: pa.Array | pa.ChunkedArray | None) -> np.ndarray:
        """Return True for each value outside the limit of its language. A null value counts as inside."""
        if self.of is str:
            found = _not_one_of(self.base, column)
            for code, limit in self.own.items():
                here = pc.fill_null(pc.equal(languages, code), False).to_numpy(zero_copy_only=False)
                found[here] = _not_one_of(limit, column)[here]
            return found
        values = column.to_numpy(zero_copy_only=False)  # null becomes NaN, and every comparison with NaN is false
        found = np.zeros(len(values), np.bool_)
        for bound, breaks in self._checks(languages):
            found |= breaks(values, bound)
        return found

    def broken(self, column: pa.ChunkedArray, languages: pa.Array | pa.ChunkedArray | None) -> np.ndarray:
        """Return the first bound that each value breaks, as `Limit.broken_by` finds it, or NaN."""
        numbers = column.cast(pa.float64()).to_numpy()
        found = np.full(len(numbers), np.nan)
        for bound, breaks in reversed(self._checks(languages)):
            found = np.where(breaks(numbers, bound), bound, found)
        return found

    def _checks(self, languages: pa.Array | pa.ChunkedArray | None) -> list[tuple[Any, Callable[[Any, Any], Any]]]:
        """Return the bounds of each row, in the order of `Limit.broken_by`, with the comparison that breaks them. A
        bound is one number if no language has its own, and otherwise an array with NaN for rows without the bound."""
        names = [name for name in BREAKS if any(name in limit.bounds for limit in self._all)]
        if not self.own or languages is None:
            return [(self.base.bounds[name], BREAKS[name]) for name in names if name in self.base.bounds]
        rows = pc.fill_null(pc.index_in(languages, value_set=self._codes), len(self.own)).to_numpy(zero_copy_only=False)
        limits = [*self.own.values(), self.base]
        return [(np.array([one.bounds.get(name, np.nan) for one in limits])[rows], BREAKS[name]) for name in names]

    @property
    def _all(self) -> list[Limit]:
        return [self.base, *self.own.values()]

    @cached_property
    def _codes(self) -> pa.Array:
        return pa.array(list(self.own), pa.string())


def _not_one_of(limit: Limit, column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    if limit.one_of is None:
        return np.zeros(len(column), np.bool_)
    inside = pc.is_in(column, value_set=pa.array(limit.one_of, pa.string()))
    found: np.ndarray = pc.and_(pc.invert(inside), column.is_valid()).to_numpy(zero_copy_only=False).copy()
    return found


@dataclass(frozen=True)
class Measure:
    """One ledger column of a stage, with its limits."""

    stage: str
    name: str
    limits: Limits
    collective: bool
    """True if the stage compares documents. Then only documents that passed all other stages have a value."""

    @property
    def column(self) -> str:
        return f"{self.stage}.{self.name}"

    @property
    def of(self) -> type:
        """The type of the measure."""
        return self.limits.of

    @property
    def bounds(self) -> dict[str, Any]:
        """The bounds for languages without bounds of their own."""
        return self.limits.base.bounds


@dataclass(frozen=True)
class TunedRule(Measure):
    """A measure with its limits in the run and with its new limits."""

    new: Limits

    @property
    def changed(self) -> bool:
        codes = {*self.limits.own, *self.new.own, None}
        return any(self.limits.of_language(code) != self.new.of_language(code) for code in codes)


def with_limits(info: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the recipe of a run with new limits. `info` is its run.json.

    Raises ConfigError for a setting that names no limit of the recipe.
    """
    recipe: dict[str, Any] = copy.deepcopy(info["recipe"])
    tables = {table["name"]: table for table in recipe["stages"]}
    for path, value in pairs_of(settings):
        stage, keys = _split(path, tables, info)
        part, (measure, *bound) = part_of(tables[stage], keys, tables.values())
        kind, before, own = info["columns"][f"{stage}.{measure}"], tables[stage][measure], part.get(measure, {})
        changes = changes_of(path, before | own, "".join(bound), value)
        limit = _limit(kind, before | own).with_bounds(f"{stage}.{'.'.join(keys[: len(keys) - len(bound)])}", changes)
        bounds = {name: limit.bounds.get(name, "off") for name in {**own, **changes}}
        part[measure] = dict(sorted(bounds.items()))
        if "by_language" in tables[stage]:
            tables[stage]["by_language"] = dict(sorted(tables[stage]["by_language"].items()))
    return recipe


def rules_of(info: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[TunedRule]:
    """Return the rules that have a limit in the run or in `recipe`, in the order in which they apply.

    Collective stages have no rules here, because they measure nothing on a single document.
    """
    pairs = zip(measures_of(info), measures_of({**info, "recipe": recipe}), strict=True)
    rules = [TunedRule(old.stage, old.name, old.limits, old.collective, new.limits) for old, new in pairs]
    return [rule for rule in rules if not rule.collective and (rule.limits.on or rule.new.on)]


def measures_of(info: Mapping[str, Any]) -> list[Measure]:
    """Return the measures of a run, in the order of its ledger columns. This is also the order of the rules."""
    tables = {table["name"]: table for table in info["recipe"]["stages"]}
    found = []
    for column, kind in info["columns"].items():
        stage, _, name = column.partition(".")
        base, changes = tables[stage][name], tables[stage].get("by_language", {})
        own = {code: _limit(kind, base | table[name]) for code, table in changes.items() if name in table}
        found.append(Measure(stage, name, Limits(_limit(kind, base), own), stage in info.get("compared", ())))
    return found


@dataclass(frozen=True)
class SimilarityLimit:
    """The limit of a stage that compares whole documents, and the ledger columns that hold its evidence, if any."""

    below: float | None
    """The similarity from which a document is removed, or None if the limit is off."""
    cluster_size: str | None
    exact: str | None


def similarity_limit(info: Mapping[str, Any], recipe: Mapping[str, Any]) -> SimilarityLimit | None:
    """Return the limit of the only stage that compares whole documents, or None if no stage or several stages do."""
    found = [(name, one["measures"]) for name, one in info["compared"].items() if one["compares"] == "documents"]
    if len(found) != 1:
        return None
    [(name, columns)] = found
    table = next(table for table in recipe["stages"] if table["name"] == name)
    measures = {column: measure for measure, column in columns.items()}
    below = table[measures["similarity"]].get("below", "off")
    evidence = [f"{name}.{measures[column]}" if column in measures else None for column in ("cluster_size", "exact")]
    return SimilarityLimit(None if below == "off" else float(below), *evidence)


def _limit(kind: str, bounds: Mapping[str, Any]) -> Limit:
    return Limit(of=_KINDS[kind]).with_bounds("a limit", dict(bounds))


def _split(path: str, tables: Mapping[str, Any], info: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Split the path of a setting into the stage, and the language (if any), measure and bound (if any)."""
    stage, *keys = path.split(".")
    if stage in ("name", "description", "measures", "output"):
        raise ConfigError(f"'{path}' is not a limit.", _NEW_RUN)
    if stage not in tables:
        rules = [measure.column for measure in measures_of(info)]
        raise ConfigError(f"The recipe has no stage '{stage}'.", did_you_mean(stage, tables, rules))
    measures = [measure.name for measure in measures_of(info) if measure.stage == stage]
    measure = "".join(part_of(dict(tables[stage]), keys, tables.values())[1][:1])
    if measure not in measures:
        if measure in tables[stage]:
            raise ConfigError(f"{stage}.{measure} is a parameter, not a limit.", _NEW_RUN)
        raise ConfigError(f"The stage '{stage}' has no measure '{measure}'.", did_you_mean(measure, measures))
    if keys[0] != measure and not info.get("language"):
        raise ConfigError(f"'{path}' names a language, but the run has no limits by language.", _NEW_RUN)
    return stage, keys
