"""The folder that a job writes to: opened, locked, and bound to what it is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from operator import itemgetter
from pathlib import Path
from typing import Any

from corpus.digests import differences
from corpus.errors import OutputError
from corpus.storage.store import Store, open_store

PLAN = ".work/plan.json"
"""What a folder is bound to, until the job is done."""


def open_folder(out: str | Path) -> Store:
    """The store at a path or URL, once it can be written to. Raises OutputError, and ConfigError."""
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
    """Bind an empty folder to a plan. What is in the file `name`, with the plan (`plan_of`), where the job came to its
    end. Raises OutputError for a folder that is bound to another plan, or holds other files than those of `beside`."""
    finished, begun = store.get(name), store.get(PLAN)
    mine = json.dumps(plan, sort_keys=True)
    if finished is None and begun is None:
        foreign = sorted(store.names() - {".work"} - beside)
        if foreign:
            raise _foreign(store, foreign[0])
        store.put_new(PLAN, mine.encode())
        return None
    try:
        info: dict[str, Any] | None = json.loads(finished) if finished is not None else None
        bound = json.loads(begun) if begun is not None else plan_of(info or {})
        lines = compare(bound, json.loads(mine))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _foreign(store, PLAN if begun is not None else name) from None
    if json.dumps(bound, sort_keys=True) != mine:
        shown = "".join(f"\n  {line[:200]}" for line in lines[:20]) + ("\n  …" if len(lines) > 20 else "")
        raise OutputError(
            f"{store.where()} was made of another recipe, input, settings or code (old → new):{shown}\n",
            "Give another -o, or the same as before.",
        )
    return info


def _foreign(store: Store, name: str) -> OutputError:
    return OutputError(f"{store.where()} holds other files, such as {name}.", "Give an empty folder.")
