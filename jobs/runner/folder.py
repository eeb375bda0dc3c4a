"""The output folder of a job. The folder is opened, and bound to the plan of its content."""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from operator import itemgetter
from pathlib import Path
from typing import Any

from corpus.digests import differences
from corpus.errors import OutputError
from corpus.json_data import parse_json
from corpus.storage.store import Store, open_store

PLAN = ".work/plan.json"
"""The plan to which a folder is bound until the job is done."""


def open_folder(out: str | Path) -> Store:
    """Open the store at a path or URL for writing. Raises OutputError and ConfigError."""
    store = open_store(out)
    store.prepare()
    return store


def claim(
    store: Store,
    plan: dict[str, Any],
    name: str,
    plan_of: Callable[[dict[str, Any]], dict[str, Any]] = itemgetter("plan"),
    compare: Callable[[dict[str, Any], dict[str, Any]], list[str]] = differences,
    beside: Set[str] = frozenset(),
) -> dict[str, Any] | None:
    """Bind a folder to a plan. If the job is already complete, return the content of its file `name`.

    `name` is written at the end of the job, and `plan_of` finds the plan in it. `compare` lists the differences of two
    plans. Raises OutputError for a folder that is bound to another plan, or has files that are not in `beside`.
    """
    finished, begun = store.get(name), store.get(PLAN)
    mine = json.dumps(plan, sort_keys=True)
    if finished is None and begun is None:
        foreign = sorted(store.names() - {".work"} - beside)
        if foreign:
            raise _foreign(store, foreign[0])
        store.put_new(PLAN, mine.encode())
        return None
    try:
        info: dict[str, Any] | None = parse_json(finished) if finished is not None else None
        bound = parse_json(begun) if begun is not None else plan_of(info or {})
        lines = compare(bound, parse_json(mine))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _foreign(store, PLAN if begun is not None else name) from None
    if json.dumps(bound, sort_keys=True) != mine:
        shown = "".join(f"\n  {line[:200]}" for line in lines[:20]) + ("\n  …" if len(lines) > 20 else "")
        raise OutputError(
            f"{store.where()} was made from another recipe, input, settings or code (old → new):{shown}\n",
            "Give another -o, or the same recipe, input and settings as before.",
        )
    return info


def _foreign(store: Store, name: str) -> OutputError:
    return OutputError(f"{store.where()} holds other files, such as {name}.", "Give an empty folder.")
