"""Replace one run by another in the same folder. A kill at any time leaves either the old run or the new one.

The new run is ready under .work/. A journal, put if absent, is the point of no return. Then files are moved one by one,
and each step can be repeated. If this is interrupted by a kill, the same command or a build finishes the swap. Until
then, opening the run raises an error about the unfinished swap.
"""

from __future__ import annotations

import json
import os
import re
import shutil

from corpus.errors import IntegrityError
from corpus.json_data import parse_json
from corpus.storage.put_if_absent import sync_folder
from corpus.storage.store import LocalStore, Store

JOURNAL = ".work/swap.json"
RUN_FILES = (
    "corpus", "ledger", "samples", "manifest", "index", "timings.json", "report.html", "removed.json", "run.json",
)  # fmt: skip
"""All files of a run. The old report must be removed too, because it contains excerpts. It can be made again."""

_FRESH = re.compile(r"\.work/takedown-[0-9a-f]{16}")
_GONE = ".work/gone"


def fresh_folder(digest: str) -> str:
    """Return the folder under .work/ in which a takedown prepares the new run."""
    return f".work/takedown-{digest[:16]}"


def swap(store: LocalStore, fresh: str) -> None:
    """Replace each of `RUN_FILES` by the file under `fresh`, or remove it if `fresh` has no such file."""
    there = [name for name in RUN_FILES if store.path(f"{fresh}/{name}").exists()]
    journal = {"fresh": fresh, "replace": there, "remove": [name for name in RUN_FILES if name not in there]}
    store.put_new(JOURNAL, json.dumps(journal).encode())
    finish_swap(store)


def finish_swap(store: LocalStore) -> bool:
    """Finish a swap that has begun. Return False if no swap has begun."""
    data = store.get(JOURNAL)
    if data is None:
        return False
    fresh, replace, remove = _read_journal(store, data)
    gone = store.path(_GONE)
    gone.mkdir(parents=True, exist_ok=True)
    for name in (*remove, *replace):
        old, new, aside = (store.path(key) for key in (name, f"{fresh}/{name}", f"{_GONE}/{name}"))
        if name in replace and not new.exists():
            continue  # this step is done
        if old.exists():
            if aside.is_dir():
                shutil.rmtree(aside)
            os.rename(old, aside)
        if name in replace:
            os.rename(new, old)
    sync_folder(store.root)
    store.remove(_GONE)
    store.remove(fresh)
    store.path(JOURNAL).unlink()  # the journal is removed last: until then the next command finishes the swap
    return True


def _read_journal(store: LocalStore, data: bytes) -> tuple[str, list[str], list[str]]:
    """Return the folder of the new run, the names that it replaces, and the names that it removes.

    The folder may come from a stranger, so only names that a swap itself writes are allowed. Raises IntegrityError.
    """
    try:
        journal = parse_json(data)
        fresh, replace, remove = journal["fresh"], journal["replace"], journal["remove"]
        if _FRESH.fullmatch(fresh) and all(name in RUN_FILES for name in [*replace, *remove]):
            return fresh, replace, remove
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise IntegrityError(
        f"{store.where(JOURNAL)} was not written by `corpus remove`, so nothing was moved.",
        "Delete it if you trust the rest of the folder.",
    )


def check_no_swap(store: Store) -> None:
    """Raise IntegrityError if a swap was interrupted."""
    if store.size(JOURNAL) is not None:
        raise IntegrityError(
            f"A takedown in {store.where()} was interrupted while it moved files.",
            "Run `corpus remove` on the folder to finish it.",
        )
