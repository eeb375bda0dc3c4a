"""The ledger rows of a URL, with each measure beside its limit, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpus.errors import InputError
from corpus.outcome import DROPPED, KEPT
from corpus.revise.limits import measures_of
from corpus.runs.urls import is_variant, nearest_urls, urls_in

if TYPE_CHECKING:
    from corpus.runs.run_files import RunFiles


def explain(run: RunFiles, url_or_id: str) -> list[dict[str, Any]]:
    """Return every ledger row of a URL or id, with each measure beside its limit, and the text of a kept page.

    If there is no such row, URLs that differ only in `www.`, a final slash or letter case are tried. If these have no
    row either, raise InputError, which names the nearest URLs.
    """
    rows = run.find(url_or_id)
    if not rows:
        near = nearest_urls(urls_in(run.paths("ledger")), [url_or_id])[url_or_id]
        if not near or not is_variant(near[0], url_or_id):
            what = f"The ledger of {run.store.where()} has no record of {url_or_id}."
            shown = [one for one in near if one.isprintable()]  # a crawled URL may contain control characters
            todo = f"Did you mean {' or '.join(shown)}?" if shown else "`corpus ls` lists the pages of a run."
            raise InputError(what, todo)
        rows = run.find(near[0])
    return [{**explained(run, row), "text": _text(run, row)} for row in rows]


def explained(run: RunFiles, row: dict[str, Any]) -> dict[str, Any]:
    """Return a ledger row with each measure beside its limit."""
    stages = []
    compared, every = _compared(run, row), measures_of(run.info)
    language = row[run.info["language"]] if run.info.get("language") else None
    for stage in run.info["recipe"]["stages"]:
        measures = []
        for one in (measure for measure in every if measure.stage == stage["name"]):
            ended = row["outcome"] == DROPPED and (row["stage"], row["rule"]) == (one.stage, one.name)
            limit = one.limits.of_language(language).bounds
            measures.append({"measure": one.name, "value": row[one.column], "limit": limit, "ended_here": ended})
        stages.append({"stage": stage["name"], "measures": measures, "compared": stage["name"] in compared})
    fixed = {key: value for key, value in row.items() if key not in run.info["columns"]}
    return {**fixed, "stages": stages}


def _text(run: RunFiles, row: dict[str, Any]) -> str | None:
    return run.text_of(row["id"]) if row["outcome"] == KEPT else None


def _compared(run: RunFiles, row: dict[str, Any]) -> list[str]:
    """Return the stages that compared a page with others. For a kept page these are all collective stages, for others
    the stages up to the one that removed the page.

    A stage that is limited to some languages may have ignored the page. The ledger does not show this.
    """
    tables = {table["name"]: table for table in run.info["recipe"]["stages"]}
    names = [name for name in run.info["compared"] if name in run.info.get("comparisons", tables)]
    if row["stage"] in names:
        names = names[: names.index(row["stage"]) + 1]
    elif row["outcome"] != KEPT:
        names = []
    return [name for name in names if not tables[name].get("languages")]
