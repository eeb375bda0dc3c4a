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


def claim(store: Store, plan: dict[str, Any], finished: dict[str, Any] | None) -> None:
    """Bind an empty folder to a plan. Raises OutputError where it is bound to another, which is `finished` where that
    came to its end, or holds other files."""
    bound = finished
    if bound is None:
        data = store.get(".work/plan.json")
        bound = json.loads(data) if data is not None else None
    if bound is None:
        foreign = sorted(store.names() - {".work"})
        if foreign:
            raise OutputError(f"{store.where()} holds other files, such as {foreign[0]}.", "Give an empty folder.")
        store.put_new(".work/plan.json", json.dumps(plan, sort_keys=True).encode())
        return
    lines = differences(bound, json.loads(json.dumps(plan)))
    if lines:
        shown = "".join(f"\n  {line[:200]}" for line in lines[:20]) + ("\n  …" if len(lines) > 20 else "")
        raise OutputError(
            f"{store.where()} was made of other input, settings or code (old → new):{shown}\n",
            "Give another -o, or the same as before.",
        )
