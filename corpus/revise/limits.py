"""New limits for the recipe of a finished run, as data. Stages are not loaded, so plugins can be absent."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpus.errors import ConfigError, did_you_mean
from corpus.settings import Settings, changes_of, pairs_of
from corpus.stage import Limit

_KINDS: dict[str, type] = {"int": int, "float": float, "str": str}
_NEW_RUN = "Only limits can be judged from a ledger. Give this setting to `corpus build`, with another -o."


@dataclass(frozen=True)
class Measure:
    """One ledger column of a stage, with its limit."""

    stage: str
    name: str
    limit: Limit
    collective: bool
    """True if the stage compares documents. Then only documents that passed all other stages have a value."""

    @property
    def column(self) -> str:
        return f"{self.stage}.{self.name}"

    @property
    def bounds(self) -> dict[str, Any]:
        return self.limit.bounds


@dataclass(frozen=True)
class TunedRule(Measure):
    """A measure with its limit in the run and with its new limit."""

    new: Limit

    @property
    def changed(self) -> bool:
        return self.limit != self.new


def with_limits(info: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the recipe of a run with new limits. `info` is its run.json.

    Raises ConfigError for a setting that names no limit of the recipe.
    """
    recipe: dict[str, Any] = copy.deepcopy(info["recipe"])
    tables = {table["name"]: table for table in recipe["stages"]}
    for path, value in pairs_of(settings):
        stage, measure, bound = _split(path, tables, info)
        before: dict[str, Any] = tables[stage][measure]
        changes = changes_of(path, before, bound, value)
        limit = _limit(info["columns"][f"{stage}.{measure}"], before).with_bounds(f"{stage}.{measure}", changes)
        bounds = {name: limit.bounds.get(name, "off") for name in {**before, **limit.bounds}}
        tables[stage][measure] = dict(sorted(bounds.items()))
    return recipe


def rules_of(info: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[TunedRule]:
    """Return the rules that have a limit in the run or in `recipe`, in the order in which they apply.

    Collective stages have no rules here, because they measure nothing on a single document.
    """
    pairs = zip(measures_of(info), measures_of({**info, "recipe": recipe}), strict=True)
    rules = [TunedRule(old.stage, old.name, old.limit, old.collective, new.limit) for old, new in pairs]
    return [rule for rule in rules if not rule.collective and (rule.bounds or rule.new.bounds)]


def measures_of(info: Mapping[str, Any]) -> list[Measure]:
    """Return the measures of a run, in the order of its ledger columns. This is also the order of the rules."""
    tables = {table["name"]: table for table in info["recipe"]["stages"]}
    found = []
    for column, kind in info["columns"].items():
        stage, _, name = column.partition(".")
        found.append(Measure(stage, name, _limit(kind, tables[stage][name]), stage in info.get("compared", ())))
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


def _split(path: str, tables: Mapping[str, Any], info: Mapping[str, Any]) -> tuple[str, str, str]:
    """Split the path of a setting into stage, measure and bound."""
    stage, _, rest = path.partition(".")
    measure, _, bound = rest.partition(".")
    if stage in ("name", "description", "measures", "output"):
        raise ConfigError(f"'{path}' is not a limit.", _NEW_RUN)
    if stage not in tables:
        rules = [measure.column for measure in measures_of(info)]
        raise ConfigError(f"The recipe has no stage '{stage}'.", did_you_mean(stage, tables, rules))
    measures = [measure.name for measure in measures_of(info) if measure.stage == stage]
    if measure not in measures:
        if measure in tables[stage]:
            raise ConfigError(f"{stage}.{measure} is a parameter, not a limit.", _NEW_RUN)
        raise ConfigError(f"The stage '{stage}' has no measure '{measure}'.", did_you_mean(measure, measures))
    return stage, measure, bound
