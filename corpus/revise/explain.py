"""The ledger rows of a URL, with each measure beside its limit, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpus.errors import InputError
from corpus.outcome import DROPPED, KEPT
from corpus.revise.limits import measures_of

if TYPE_CHECKING:
    from corpus.runs.run_files import RunFiles


def explain(run: RunFiles, url_or_id: str) -> list[dict[str, Any]]:
    """Every ledger row of a URL or id, with each measure beside its limit, and the text of a kept page.

    Raises InputError if the ledger has no such row.
    """
    rows = run.find(url_or_id)
    if not rows:
        what = f"The ledger of {run.store.where()} has no record of {url_or_id}."
        raise InputError(what, "Give the URL as it was crawled, or an id.")
    return [_explained(run, row) for row in rows]


def _explained(run: RunFiles, row: dict[str, Any]) -> dict[str, Any]:
    stages = []
    every = measures_of(run.info)
    for stage in run.info["recipe"]["stages"]:
        measures = []
        for one in (measure for measure in every if measure.stage == stage["name"]):
            ended = row["outcome"] == DROPPED and (row["stage"], row["rule"]) == (one.stage, one.name)
            limit = {bound: value for bound, value in stage[one.name].items() if value != "off"}
            measures.append({"measure": one.name, "value": row[one.column], "limit": limit, "ended_here": ended})
        stages.append({"stage": stage["name"], "measures": measures})
    fixed = {key: value for key, value in row.items() if key not in run.info["columns"]}
    text = run.text_of(row["id"]) if row["outcome"] == KEPT else None
    return {**fixed, "stages": stages, "text": text}
