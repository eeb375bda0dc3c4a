"""The folder that a job writes to: opened, locked, and bound to what it is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corpus.errors import OutputError
from corpus.recipe import differences
from corpus.store import Store, open_store


def open_folder(out: str | Path) -> Store:
    """The store at a path or URL, once it can be written to. Raises OutputError, and ConfigError."""
    store = open_store(out)
    store.prepare()
    return store


def claim(store: Store, plan: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Bind an empty folder to a plan. What is in the file `name`, with the plan, where the job came to its end. Raises
    OutputError for a folder that is bound to another plan, or holds other files."""
    finished, begun = store.get(name), store.get(".work/plan.json")
    if finished is None and begun is None:
        foreign = sorted(store.names() - {".work"})
        if foreign:
            raise OutputError(f"{store.where()} holds other files, such as {foreign[0]}.", "Give an empty folder.")
        store.put_new(".work/plan.json", json.dumps(plan, sort_keys=True).encode())
        return None
    try:
        info: dict[str, Any] | None = json.loads(finished) if finished is not None else None
        bound = info["plan"] if info is not None else json.loads(begun or b"")
        lines = differences(bound, json.loads(json.dumps(plan)))
    except (ValueError, KeyError, TypeError):
        foreign_file = name if finished is not None else ".work/plan.json"
        raise OutputError(
            f"{store.where()} holds other files, such as {foreign_file}.", "Give an empty folder."
        ) from None
    if lines:
        shown = "".join(f"\n  {line[:200]}" for line in lines[:20]) + ("\n  …" if len(lines) > 20 else "")
        raise OutputError(
            f"{store.where()} was made of other input, settings or code (old → new):{shown}\n",
            "Give another -o, or the same as before.",
        )
    return info
