"""The view of limits: the stages with their measures, the distribution of a measure, and a run under other limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import ConfigError
from corpus.net.urls import redact
from corpus.outcome import DROPPED, KEPT
from corpus.revise.limits import Measure, measures_of, with_limits
from corpus.revise.what_if import OPEN, what_if
from corpus.run import Run
from corpus.runs.funnel import funnel
from corpus.runs.run_json import language_label
from corpus.tables.ledger import Counts, total
from filters import STAGES, recipe_from_dict
from filters.meanings import meanings
from jobs.report.figures import wants_log, x_ticks
from jobs.report.gather import run_name
from jobs.report.scan import histogram_of
from jobs.show import catalog

EXAMPLES = 12
"""The most examples per rule and kind."""
_CATEGORIES = 12


def overview(run: Run) -> dict[str, Any]:
    """Return the recipe of a run with its measures, and the counts of its records."""
    info = run.info
    uses = {table["name"]: table["stage"] for table in info["recipe"]["stages"]}
    known = {stage: meanings(STAGES[stage]) for stage in set(uses.values()) if stage in STAGES}
    stages: dict[str, list[dict[str, Any]]] = {name: [] for name in uses}
    for one in measures_of(info):
        stages[one.stage].append(
            {
                "column": one.column,
                "name": one.name,
                "kind": one.of.__name__,
                "meaning": known.get(uses[one.stage], {}).get(one.name, "").replace("`", ""),
                "bounds": one.bounds,
                "own": {code: limit.bounds for code, limit in one.limits.own.items()},
                "dropped": info["records"][DROPPED].get(one.stage, {}).get(one.name, 0),
            }
        )
    return {
        "name": run_name(run.location) or info["recipe"]["name"],
        "location": redact(run.location),
        "fingerprint": info["fingerprint"],
        "recipe": info["recipe"]["name"],
        "records": info["records"],
        "compared": [*info["compared"]],
        "funnel": _funnel(info, info["records"]),
        "language": language_label(info),
        "by_language": bool(info.get("language")),
        "stages": [
            {"name": name, "dropped": total(info["records"][DROPPED].get(name, {})), "measures": measures}
            for name, measures in stages.items()
        ],
    }


def distribution(run: Run, column: str) -> dict[str, Any]:
    """Return the histogram of a measure, or the counts of its categories. Raises ConfigError for another column."""
    measure = next((one for one in measures_of(run.info) if one.column == column), None)
    if measure is None:
        raise ConfigError("The run has no such measure.", "Reload the page.")
    if measure.of is str:
        return _categories(run, measure)
    values, histogram = histogram_of(run, measure)
    found: dict[str, Any] = {"measured": values.kept + values.dropped, "null": values.null}
    if histogram is None:
        return {**found, "always": float(values.least) if values.kept + values.dropped else None}
    bins = histogram.bins
    return {
        **found,
        "edges": bins.edges.tolist(),
        "scale": bins.scale,
        "whole": measure.of is int,
        "ticks": x_ticks(bins),
        "kept": histogram.kept.tolist(),
        "dropped": histogram.dropped.tolist(),
        "log": wants_log(np.concatenate([histogram.kept, histogram.dropped])),
    }


def _categories(run: Run, measure: Measure) -> dict[str, Any]:
    tables = []
    for group in run.groups("ledger"):
        with group.open() as read:
            outcome, column = read(["outcome", measure.column]).columns
            one = {"name": column.cast(pa.string())}
            one |= {name: pc.equal(outcome, name).cast(pa.int64()) for name in (KEPT, DROPPED)}
            tables.append(pa.table(one).group_by("name").aggregate([(KEPT, "sum"), (DROPPED, "sum")]))
    whole = pa.concat_tables(tables).group_by("name").aggregate([("kept_sum", "sum"), ("dropped_sum", "sum")])
    rows = [(row["name"], row["kept_sum_sum"], row["dropped_sum_sum"]) for row in whole.to_pylist() if row["name"]]
    rows.sort(key=lambda row: (-row[1] - row[2], row[0]))
    return {"categories": rows[:_CATEGORIES], "distinct": len(rows)}


def decide(run: Run, settings: Sequence[str]) -> dict[str, Any]:
    """Return a run under other limits, as `corpus tune` judges it, with its funnel. Raises ConfigError for a setting
    that is none."""
    found = what_if(run, settings, EXAMPLES)
    return {
        **found.as_dict(),
        "funnel": _funnel(run.info, found.counts(run.info["records"])),
        "contradiction": _contradiction(found.recipe),
    }


def recipe_text(run: Run, settings: Sequence[str], name: str) -> str:
    """Return the recipe with these limits, as TOML with the meaning of every value."""
    recipe = with_limits(run.info, settings)
    return catalog.recipe_text({**recipe, "name": name or recipe["name"]}, catalog.stages(STAGES))


def _contradiction(recipe: dict[str, Any]) -> str:
    """Return why stages contradict each other under these limits, or "". The stages of a user are not loaded here."""
    if not {stage["stage"] for stage in recipe["stages"]} <= set(STAGES):
        return ""
    try:
        recipe_from_dict(recipe)
    except ConfigError as error:
        return str(error)
    return ""


def _funnel(info: dict[str, Any], counts: Counts) -> list[dict[str, Any]]:
    """Return the lines of the funnel, each with the records that end there in the run, and now, by `counts`."""
    opened = total(counts["dropped"].pop(OPEN, {}))
    rows: list[dict[str, Any]] = []
    for old, new in zip(funnel(info), funnel({**info, "records": counts}), strict=True):
        rules = {name: [old.rules.get(name, 0), new.rules.get(name, 0)] for name in {**old.rules, **new.rules}}
        line: dict[str, Any] = {"name": old.name, "outcome": old.outcome, "rules": rules}
        rows.append({**line, "before": old.records, "now": new.records, "left_before": old.left, "left_now": new.left})
    if opened:
        last = rows[-1]
        line = {"name": OPEN, "outcome": OPEN, "rules": {}, "before": 0, "now": opened}
        rows.append({**line, "left_before": last["left_before"], "left_now": last["left_now"] - opened})
    return rows
