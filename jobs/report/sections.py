"""The sections of a report, made from run.json, timings.json and the scan of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from corpus.digests import differences
from corpus.json_data import Maybe, check_shape, parse_json
from corpus.outcome import DROPPED
from corpus.recipes import RESERVED
from corpus.revise.limits import Measure
from corpus.run import Run
from corpus.runs.funnel import funnel as count_funnel
from corpus.tables.ledger import total
from filters import STAGES, load_recipe, recipe_names
from filters.meanings import meanings
from jobs.report import formatting
from jobs.report.categories import CategoryCounts, TopCategories
from jobs.report.figures import draw_histogram
from jobs.report.scan import Histogram, RuleCounts, Scan, drawn_bounds

_CATEGORIES = 8
"""The most categories of a measure that are shown by name."""

_SLOWEST = 5

_SECONDS = (int, float)
_TIMINGS = {
    "seconds": _SECONDS,
    "host": str,
    "cpus": int,
    "argv": [str],
    "dedup": Maybe({str: {"tasks": int, "seconds": _SECONDS, "cpu": _SECONDS, "peak": int}}),
    "pass": Maybe({"units": int, "seconds": _SECONDS, "stages": {str: _SECONDS}}),
    "slowest": Maybe([{"warc": str, "start": Maybe(int), "end": Maybe(int), "seconds": _SECONDS}]),
}


@dataclass(frozen=True)
class FunnelStep:
    """A line of the funnel: the records that ended here and the records that were left, with their bytes."""

    name: str
    kind: str
    count: int
    bytes: int
    left: int
    left_bytes: int


@dataclass(frozen=True)
class RuleEffect:
    """A rule with the documents that it was the first to drop, and the documents that its limit excludes in any
    case.
    """

    measure: Measure
    dropped: int
    counts: RuleCounts


@dataclass(frozen=True)
class StageRules:
    """A stage with its rules."""

    name: str
    dropped: int
    counts: RuleCounts
    rules: list[RuleEffect]


@dataclass(frozen=True)
class MeasureCard:
    """The distribution of a measure, shown as a picture, as categories, or as one sentence."""

    measure: Measure
    meaning: str
    """The description of the measure. It is empty for a user's own stage, because its module is not executed here."""
    kept: int
    dropped: int
    null: int
    outside: int
    sentence: str = ""
    picture: Markup | None = None
    logarithmic: bool = False
    histogram: Histogram | None = None
    categories: TopCategories | None = None


@dataclass(frozen=True)
class StageTable:
    """A stage of the recipe: its parameters, and its measures with and without a limit."""

    name: str
    uses: str
    languages: list[str]
    params: dict[str, Any]
    limits: dict[str, str]
    unlimited: list[str]
    by_language: dict[str, str]
    """The changes of single languages, in words, by code."""


@dataclass(frozen=True)
class Times:
    """The content of timings.json, summed up."""

    seconds: float
    host: str
    cpus: int
    command: str
    units: int
    unit_seconds: float
    slowest: list[dict[str, Any]]
    stages: list[tuple[str, float]]
    """The CPU seconds of each stage over all units."""
    phases: list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Cluster:
    """A cluster of duplicates: the row of its keeper, if this ledger has it, and some of the duplicates."""

    id: str
    documents: int
    keeper: dict[str, Any] | None
    repeats: list[dict[str, Any]]


def funnel(info: dict[str, Any], scan: Scan) -> list[FunnelStep]:
    """Return the lines of the funnel, from all records to the kept ones, stage by stage."""
    records, left_bytes = info["records"]["in"], scan.spans.totals.total()
    steps = [FunnelStep("records", "in", records, left_bytes, records, left_bytes)]
    for row in count_funnel(info):
        if row.records or row.outcome == DROPPED:
            size = sum(
                bytes_
                for (outcome, stage, _), bytes_ in scan.spans.totals.items()
                if outcome == row.outcome and (outcome != DROPPED or stage == row.name)
            )
            left_bytes -= size
            steps.append(FunnelStep(row.name, row.outcome, row.records, size, row.left, left_bytes))
    return steps


def rules(info: dict[str, Any], scan: Scan) -> list[StageRules]:
    """Return every stage that has limits or dropped something, in order."""
    found = []
    for table in info["recipe"]["stages"]:
        name = table["name"]
        dropped = info["records"][DROPPED].get(name, {})
        own = [
            RuleEffect(measure, dropped.get(measure.name, 0), scan.rules[measure.column])
            for measure in scan.measures
            if measure.stage == name and (measure.limits.on or measure.name in dropped)
        ]
        if own:
            found.append(StageRules(name, total(dropped), scan.stages[name], own))
    return found


def cards(info: dict[str, Any], scan: Scan, counts: CategoryCounts) -> dict[str, list[MeasureCard]]:
    """Return the measures by stage, in order."""
    judged = info["records"]["kept"] + total(info["records"][DROPPED])
    uses = {table["name"]: table["stage"] for table in info["recipe"]["stages"]}
    known = {stage: meanings(STAGES[stage]) for stage in set(uses.values()) if stage in STAGES}
    found: dict[str, list[MeasureCard]] = {}
    for measure in scan.measures:
        meaning = known.get(uses[measure.stage], {}).get(measure.name, "").replace("`", "")
        if measure.of is str:
            top = counts.top(measure.column, _CATEGORIES)
            null, outside = judged - top.kept - top.dropped, scan.rules[measure.column].outside
            sentence = "" if top.distinct else "never measured"
            card = MeasureCard(measure, meaning, top.kept, top.dropped, null, outside, sentence, categories=top)
        else:
            card = _number_card(measure, meaning, scan)
        found.setdefault(measure.stage, []).append(card)
    return found


def _number_card(measure: Measure, meaning: str, scan: Scan) -> MeasureCard:
    values = scan.values[measure.column]
    outside = scan.rules[measure.column].outside
    counts = (measure, meaning, values.kept, values.dropped, values.null, outside)
    if not values.kept + values.dropped:
        return MeasureCard(*counts, "never measured")
    least, most = (formatting.value(float(value)) for value in (values.least, values.most))
    found = scan.histograms.get(measure.column)
    if found is None:
        return MeasureCard(*counts, f"always {least}")
    words = {bound: formatting.limit({bound: given}) for bound, given in drawn_bounds(measure).items()}
    label = (
        f"{measure.column}: from {least} to {most} "
        f"in {values.kept:,} kept and {values.dropped:,} dropped documents; {outside:,} outside the limit"
    )
    whole = measure.of is int
    picture, logarithmic = draw_histogram(found.bins, found.kept, found.dropped, words, label, whole=whole)
    return MeasureCard(*counts, picture=picture, logarithmic=logarithmic, histogram=found)


def stage_tables(info: dict[str, Any], scan: Scan) -> list[StageTable]:
    """Return the stages of the recipe."""
    found = []
    for table in info["recipe"]["stages"]:
        name = table["name"]
        limits = {measure.name: formatting.limits(measure.limits) for measure in scan.measures if measure.stage == name}
        params = {key: given for key, given in table.items() if key not in limits and key not in RESERVED}
        limited = {key: words for key, words in limits.items() if words}
        unlimited = [key for key in limits if key not in limited]
        own = {code: _changes(changes) for code, changes in table.get("by_language", {}).items()}
        found.append(StageTable(name, table["stage"], table.get("languages", []), params, limited, unlimited, own))
    return found


def _changes(changes: dict[str, Any]) -> str:
    """Return what a language changes, in words."""
    shown = {
        name: formatting.limit(to) if isinstance(to, dict) else formatting.value(to) for name, to in changes.items()
    }
    return "; ".join(f"{name} {words}" for name, words in shown.items())


def recipe_differences(recipe: dict[str, Any]) -> list[str] | None:
    """Return the differences from the recipe of the same name in this version, or None if this version has no such
    recipe.
    """
    if recipe["name"] not in recipe_names():
        return None
    return differences(load_recipe(recipe["name"]).canonical(), recipe)


def read_times(run: Run) -> Times | None:
    """Return the times of a run.

    A run is complete without timings.json, so this file may be missing or hold anything.
    """
    try:
        found = parse_json(run.store.get("timings.json") or b"")
        check_shape(found, _TIMINGS)
    except ValueError:
        return None
    sums = found.get("pass") or {"units": 0, "seconds": 0.0, "stages": {}}
    stages = {table["name"]: 0.0 for table in run.info["recipe"]["stages"]} | sums["stages"]
    # the portions of a replay are no units
    timed = [unit for unit in found.get("slowest") or [] if None not in (unit.get("start"), unit.get("end"))]
    return Times(
        seconds=found["seconds"],
        host=found["host"],
        cpus=found["cpus"],
        command=" ".join(found["argv"]),
        units=sums["units"] if timed else 0,
        unit_seconds=sums["seconds"],
        slowest=sorted(timed, key=lambda unit: (-unit["seconds"], unit["warc"], unit["start"]))[:_SLOWEST],
        stages=[(name, seconds) for name, seconds in stages.items() if seconds],
        phases=list((found.get("dedup") or {}).items()),
    )


def clusters(info: dict[str, Any], scan: Scan) -> list[Cluster]:
    """Return the largest clusters of duplicates."""
    largest = info["dedup"]["largest"] if info["dedup"] else ()
    return [
        Cluster(entry["id"], entry["documents"], scan.rows.get(entry["id"]), scan.repeats.get(entry["id"], []))
        for entry in largest
    ]
