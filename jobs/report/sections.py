"""Funnel, rules and measures of a report, from what a scan counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from corpus.outcome import DROPPED
from corpus.tables.funnel import funnel as count_funnel
from corpus.tables.ledger import total
from jobs.report import formats
from jobs.report.columns import Measure
from jobs.report.figures import histogram
from jobs.report.scan import RuleCounts, Scan
from jobs.report.top_counts import Row, Tally, Top

CATEGORIES = 8
"""Categories of a measure that are shown by name."""


@dataclass(frozen=True)
class Step:
    """A line of the funnel: what it took away, and what was left."""

    name: str
    kind: str
    count: int
    bytes: int
    left: int
    left_bytes: int


@dataclass(frozen=True)
class Rule:
    """What one rule did: documents that it was the first to drop, and what its limit rules out anyway."""

    measure: Measure
    dropped: int
    counts: RuleCounts


@dataclass(frozen=True)
class StageRules:
    """A stage with its rules: those that have a limit."""

    name: str
    dropped: int
    counts: RuleCounts
    rules: list[Rule]


@dataclass(frozen=True)
class Card:
    """How the values of a measure are distributed: a picture, or categories, or one sentence."""

    measure: Measure
    kept: int
    dropped: int
    null: int
    outside: int
    sentence: str = ""
    picture: Markup | None = None
    logarithmic: bool = False
    edges: list[float] | None = None
    kept_bars: list[int] | None = None
    dropped_bars: list[int] | None = None
    categories: Top | None = None
    rest: Row | None = None


def funnel(info: dict[str, Any], scan: Scan) -> list[Step]:
    """From all records to the kept ones, stage by stage."""
    left_bytes = sum(scan.spans.values())
    steps = [Step("records", "in", info["records"]["in"], left_bytes, info["records"]["in"], left_bytes)]
    for row in count_funnel(info):
        if row.records or row.outcome == DROPPED:
            ended = row.outcome, row.name if row.outcome == DROPPED else None
            size = sum(
                bytes_
                for (outcome, stage, _), bytes_ in scan.spans.items()
                if (outcome, stage if outcome == DROPPED else None) == ended
            )
            left_bytes -= size
            steps.append(Step(row.name, row.outcome, row.records, size, row.left, left_bytes))
    return steps


def rules(info: dict[str, Any], scan: Scan) -> list[StageRules]:
    """Each stage that has limits or dropped something, in order."""
    found = []
    for table in info["recipe"]["stages"]:
        name = table["name"]
        dropped = info["records"][DROPPED].get(name, {})
        own = [
            Rule(measure, dropped.get(measure.name, 0), scan.rules[measure.column])
            for measure in scan.measures
            if measure.stage == name and (measure.bounds or measure.name in dropped)
        ]
        if own:
            found.append(StageRules(name, total(dropped), scan.stages[name], own))
    return found


def cards(info: dict[str, Any], scan: Scan, tally: Tally) -> dict[str, list[Card]]:
    """The measures by stage, in order. Called inside `figures.plotting()`."""
    judged = info["records"]["kept"] + total(info["records"][DROPPED])
    found: dict[str, list[Card]] = {}
    for measure in scan.measures:
        make = _categories if measure.kind == "str" else _numbers
        found.setdefault(measure.stage, []).append(make(measure, scan, tally, judged))
    return found


def _categories(measure: Measure, scan: Scan, tally: Tally, judged: int) -> Card:
    top = tally.top(measure.column, CATEGORIES)
    outside = scan.rules[measure.column].outside
    null = judged - top.kept - top.dropped
    sentence = "" if top.distinct else "never measured"
    return Card(measure, top.kept, top.dropped, null, outside, sentence, categories=top, rest=top.rest)


def _numbers(measure: Measure, scan: Scan, tally: Tally, judged: int) -> Card:
    values = scan.values[measure.column]
    outside = scan.rules[measure.column].outside
    plain = (measure, values.kept, values.dropped, values.null, outside)
    if not values.kept + values.dropped:
        return Card(*plain, "never measured")
    found = scan.histograms.get(measure.column)
    if found is None:
        return Card(*plain, f"always {formats.value(float(values.least))}")
    words = {bound: formats.limit({bound: given}) for bound, given in measure.bounds.items()}
    label = (
        f"{measure.column}: from {formats.value(float(values.least))} to {formats.value(float(values.most))} "
        f"in {values.kept:,} kept and {values.dropped:,} dropped documents; {outside:,} outside the limit"
    )
    whole = measure.kind == "int"
    picture, logarithmic = histogram(found.bins, found.kept, found.dropped, words, label, whole=whole)
    return Card(
        *plain,
        picture=picture,
        logarithmic=logarithmic,
        edges=found.bins.edges.tolist(),
        kept_bars=found.kept.tolist(),
        dropped_bars=found.dropped.tolist(),
    )
