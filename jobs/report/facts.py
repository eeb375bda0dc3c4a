"""What ran: recipe, inputs, versions, times; and what dedup found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from corpus.digests import differences
from corpus.recipe import RESERVED
from corpus.run import Run
from filters import load_recipe, recipe_names
from jobs.report import formats
from jobs.report.columns import BOUNDS

SLOWEST = 5


@dataclass(frozen=True)
class StageFacts:
    """A stage of the recipe as a table: parameters, and measures with their limits."""

    name: str
    uses: str
    languages: list[str]
    params: dict[str, Any]
    limits: dict[str, str]
    unlimited: list[str]


@dataclass(frozen=True)
class Times:
    """What timings.json says."""

    seconds: float
    host: str
    cpus: int
    command: str
    units: int
    unit_seconds: float
    slowest: list[dict[str, Any]]
    stages: list[tuple[str, float]]
    """CPU seconds of each stage over all units."""
    phases: list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Cluster:
    """A cluster of duplicates: the keeper's row if it is in this ledger, and some of those it stands for."""

    id: str
    documents: int
    keeper: dict[str, Any] | None
    repeats: list[dict[str, Any]]


def stage_facts(info: dict[str, Any]) -> list[StageFacts]:
    """The stages of the recipe."""
    return [_stage(table, info["columns"]) for table in info["recipe"]["stages"]]


def _stage(table: dict[str, Any], columns: dict[str, str]) -> StageFacts:
    name = table["name"]
    limits = {
        key: {bound: value[bound] for bound in BOUNDS if value.get(bound, "off") != "off"}
        for key, value in table.items()
        if f"{name}.{key}" in columns
    }
    params = {key: value for key, value in table.items() if key not in limits and key not in RESERVED}
    on = {key: formats.limit(bounds) for key, bounds in limits.items() if bounds}
    return StageFacts(
        name, table["stage"], table.get("languages", []), params, on, [key for key in limits if key not in on]
    )


def recipe_differences(recipe: dict[str, Any]) -> list[str] | None:
    """What the run's recipe changes in the one of its name that ships with this version; None where none does."""
    if recipe["name"] not in recipe_names():
        return None
    return differences(load_recipe(recipe["name"]).canonical(), recipe)


def read_times(run: Run) -> Times | None:
    """The times of a run, which need not be there: a run without them is as good."""
    try:
        found = json.loads(run.store.get("timings.json") or b"")
    except ValueError:
        return None
    units = found.get("units", [])
    stages = {table["name"]: 0.0 for table in run.info["recipe"]["stages"]}
    for unit in units:
        for name, seconds in unit.get("stages", {}).items():
            stages[name] += seconds
    timed = [unit for unit in units if "start" in unit]  # pieces of a run that was made of another have rows
    slowest = sorted(timed, key=lambda unit: (-unit["seconds"], unit["warc"], unit["start"]))[:SLOWEST]
    return Times(
        seconds=found["seconds"],
        host=found["host"],
        cpus=found["cpus"],
        command=" ".join(found["argv"]),
        units=len(timed),
        unit_seconds=sum(unit["seconds"] for unit in timed),
        slowest=slowest,
        stages=[(name, seconds) for name, seconds in stages.items() if seconds],
        phases=list(found.get("dedup", {}).items()),
    )


def clusters(
    info: dict[str, Any], rows: dict[str, dict[str, Any]], repeats: dict[str, list[dict[str, Any]]]
) -> list[Cluster]:
    """The largest clusters of duplicates."""
    if not info["dedup"]:
        return []
    return [
        Cluster(entry["id"], entry["documents"], rows.get(entry["id"]), repeats.get(entry["id"], []))
        for entry in info["dedup"]["largest"]
    ]
