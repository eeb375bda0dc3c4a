"""The view of pages: a search whose result is read page by page, and one page with everything that is known of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from starlette.datastructures import QueryParams

from corpus.revise.explain import explained
from corpus.revise.judge import LedgerJudge
from corpus.revise.limits import with_limits
from corpus.run import Run
from corpus.runs.listing import PageQuery, chooser, ended_at
from corpus.runs.row_groups import Columns
from corpus.runs.run_json import language_label
from jobs.browse.served_run import ServedRun
from jobs.web.requests import BadRequest

MOST_ROWS = 200
_TEXTS = ("rule", "url", "outcome", "domain", "language", "measure", "cluster")
_COLUMNS = ("id", "url", "outcome", "stage", "rule", "value", "detail", "text_bytes")

Choose = Callable[[Columns], np.ndarray]


def number(asked: QueryParams, name: str, otherwise: int) -> int:
    """Return a whole number of a question that is not negative. Raises BadRequest."""
    given = asked.get(name, "")
    if given and not (given.isascii() and given.isdigit() and len(given) < 16):
        raise BadRequest(f"`{name}` is not a whole number.")
    return int(given) if given else otherwise


def _real(asked: QueryParams, name: str) -> float | None:
    try:
        return float(asked[name]) if asked.get(name) else None
    except ValueError:
        raise BadRequest(f"`{name}` is not a number.") from None


def chosen_by(run: Run, asked: QueryParams) -> Choose:
    """Return a function that marks the rows that a question is for. `moved` asks for the pages that would come or go
    under the limits `set`, or that are open. Raises BadRequest and ConfigError."""
    texts: dict[str, Any] = {name: asked.get(name, "").strip() for name in _TEXTS}
    choose = chooser(run, PageQuery(**texts, least=_real(asked, "least"), most=_real(asked, "most")))
    moved = asked.get("moved", "")
    if not moved:
        return choose
    judge = LedgerJudge(run.info, with_limits(run.info, asked.getlist("set")))
    codes = judge.codes

    def moves(read: Columns) -> np.ndarray:
        old, new = judge.verdicts(read)
        if moved == "come":
            here = (old < codes.kept) & (new == codes.kept)
        elif moved == "go":
            here = (old == codes.kept) & (new < codes.kept)
        else:
            here = new == codes.open
        found: np.ndarray = here & choose(read)
        return found

    return moves


def page_rows(run: ServedRun, asked: QueryParams, among: dict[int, str] | None) -> dict[str, Any]:
    """Return the first rows from row `start` on, and the row at which the next ones begin, or None.

    `among` has the only rows that count, each with its passage, for a search by words.
    """
    start, most = number(asked, "start", 0), min(number(asked, "most", 50), MOST_ROWS)
    choose, language = chosen_by(run, asked), language_label(run.info)
    columns = [*_COLUMNS, *filter(None, dict.fromkeys((language, asked.get("measure", ""))))]
    wanted = np.array(sorted(among)) if among is not None else None
    found: list[dict[str, Any]] = []
    for group in run.groups("ledger"):
        if group.first + group.rows <= start or (wanted is not None and not _any(wanted, group.first, group.rows)):
            continue
        with group.open() as read:
            rows = np.flatnonzero(choose(read)) + group.first
            rows = rows[rows >= start] if wanted is None else rows[(rows >= start) & np.isin(rows, wanted)]
            rows = rows[: most + 1 - len(found)]
            table = read(columns).take(pa.array(rows - group.first)).to_pylist()
        found += ({"row": int(at), **row} for at, row in zip(rows, table, strict=True))
        if len(found) > most:
            break
    shown = [
        {
            **{name: row[name] for name in ("row", "id", "url", "outcome", "detail", "text_bytes")},
            "ended": ended_at(row),
            "value": row[asked["measure"]] if asked.get("measure") else row["value"],
            "language": row[language] if language else None,
            "passage": (among or {}).get(row["row"], ""),
        }
        for row in found[:most]
    ]
    return {"rows": shown, "next": found[most]["row"] if len(found) > most else None}


def _any(wanted: np.ndarray, first: int, rows: int) -> bool:
    return bool(np.searchsorted(wanted, first) < np.searchsorted(wanted, first + rows))


def count(run: ServedRun, asked: QueryParams, among: dict[int, str] | None) -> int:
    """Return the number of pages that a question is for."""
    choose = chosen_by(run, asked)
    wanted = np.array(sorted(among)) if among is not None else None
    total = 0
    for group in run.groups("ledger"):
        with group.open() as read:
            found = np.flatnonzero(choose(read))
            total += len(found) if wanted is None else int(np.isin(found + group.first, wanted).sum())
    return total


def page(run: ServedRun, row: int) -> dict[str, Any]:
    """Return a page with its measures beside their limits, its text if it is kept, and the number of its cluster."""
    found = run.row(row)
    kept = run.kept_text(row)
    compared = found["stage"] in run.info["compared"]
    return {
        **explained(run, found),
        "row": row,
        "keeper": found["detail"] if compared else found["id"] if _has_copies(run, found) else "",
        "text": kept["text"] if kept else None,
        **({name: kept[name] for name in ("date", "license")} if kept else {}),
    }


def _has_copies(run: Run, row: dict[str, Any]) -> bool:
    """Return True if a page is the keeper of a cluster, or if the run does not say so."""
    for name, one in run.info["compared"].items():
        for measure, column in one["measures"].items():
            if column == "cluster_size":
                return bool((row.get(f"{name}.{measure}") or 0) > 1)
    return False
