"""Other limits for the recipe of a finished run, as data: no stage is loaded, so a user's own need not be there."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from corpus.errors import ConfigError, did_you_mean
from corpus.settings import Settings, changes_of, setting_of
from corpus.stage import Limit

_KINDS: dict[str, type] = {"int": int, "float": float, "str": str}
_NEW_RUN = "Only limits can be judged from a ledger: give it to `corpus build`, with another -o."


@dataclass(frozen=True)
class Rule:
    """A measure with its limit before and now. `place` is that of its stage in the recipe."""

    stage: str
    measure: str
    place: int
    old: Limit
    new: Limit

    @property
    def column(self) -> str:
        return f"{self.stage}.{self.measure}"

    @property
    def changed(self) -> bool:
        return self.old != self.new


def with_limits(info: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The recipe of a run (its run.json) with other limits. Raises ConfigError for what is no limit of it."""
    recipe: dict[str, Any] = copy.deepcopy(info["recipe"])
    tables = {table["name"]: table for table in recipe["stages"]}
    for path, value in _pairs(settings):
        stage, measure, bound = _parts(path, tables, info["columns"])
        before: dict[str, Any] = tables[stage][measure]
        changes = changes_of(path, before, bound, value)
        limit = _limit(info["columns"][f"{stage}.{measure}"], before).with_bounds(f"{stage}.{measure}", changes)
        shown = {name: limit.bounds.get(name, "off") for name in {**before, **limit.bounds}}
        tables[stage][measure] = dict(sorted(shown.items()))
    return recipe


def rules_of(info: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[Rule]:
    """The rules that have a limit in the run's recipe or in `recipe`, in the order in which they apply. Stages that
    compare documents have none: they measure nothing on one document."""
    before = {table["name"]: table for table in info["recipe"]["stages"]}
    found = []
    for place, table in enumerate(recipe["stages"]):
        name = table["name"]
        if name in info["compared"]:
            continue
        for measure in measures_of(info["columns"], name):
            kind = info["columns"][f"{name}.{measure}"]
            old, new = _limit(kind, before[name][measure]), _limit(kind, table[measure])
            if old.bounds or new.bounds:
                found.append(Rule(name, measure, place, old, new))
    return found


def measures_of(columns: Iterable[str], stage: str) -> list[str]:
    """The measures of a stage, by the ledger's columns."""
    return [column.removeprefix(f"{stage}.") for column in columns if column.split(".")[0] == stage]


@dataclass(frozen=True)
class DocumentLimit:
    """The limit of a stage that compares whole documents: its name, the similarity from which on it removes a document
    (None if it is off), and the columns that hold its evidence, where it has measures for it."""

    stage: str
    below: float | None
    cluster_size: str | None
    exact: str | None


def document_limit(info: Mapping[str, Any], recipe: Mapping[str, Any]) -> DocumentLimit | None:
    """Return the limit of the stage that compares whole documents; None if there is none, or several."""
    compared = [(name, one) for name, one in info["compared"].items() if one["compares"] == "documents"]
    if len(compared) != 1:
        return None
    name, one = compared[0]
    columns = {column: f"{name}.{measure}" for measure, column in one["measures"].items()}
    measure = columns["similarity"].removeprefix(f"{name}.")
    table = next(table for table in recipe["stages"] if table["name"] == name)
    below = table[measure].get("below", "off")
    return DocumentLimit(
        name, None if below == "off" else float(below), columns.get("cluster_size"), columns.get("exact")
    )


def _limit(kind: str, bounds: Mapping[str, Any]) -> Limit:
    return Limit(of=_KINDS[kind]).with_bounds("a limit", dict(bounds))


def _pairs(settings: Settings) -> list[tuple[str, Any]]:
    if isinstance(settings, Mapping):
        return list(settings.items())
    return [setting_of(setting) for setting in settings]


def _parts(path: str, tables: Mapping[str, Any], columns: Iterable[str]) -> tuple[str, str, str]:
    stage, _, rest = path.partition(".")
    measure, _, bound = rest.partition(".")
    if stage in ("name", "description", "measures", "output"):
        raise ConfigError(f"'{path}' is no limit.", _NEW_RUN)
    if stage not in tables:
        raise ConfigError(f"The recipe has no stage '{stage}'.", did_you_mean(stage, tables))
    measures = measures_of(columns, stage)
    if measure not in measures:
        if measure in tables[stage]:
            raise ConfigError(f"{stage}.{measure} is no limit: another value of it gives other texts.", _NEW_RUN)
        raise ConfigError(f"The stage '{stage}' has no measure '{measure}'.", did_you_mean(measure, measures))
    return stage, measure, bound
