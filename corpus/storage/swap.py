"""One run put in the place of another in the same folder, so that a kill at any time leaves the old or, once the same
command or a build has run again, the new one; what opens the folder in between is told so.

What replaces lies ready under .work/; a journal, put if absent, is the point of no return; then names are moved one by
one, each step being one that can be done again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass

from corpus.errors import IntegrityError
from corpus.storage.put_if_absent import sync_folder
from corpus.storage.store import LocalStore, Store

JOURNAL = ".work/swap.json"
RUN_FILES = (
    "corpus", "ledger", "samples", "manifest", "index", "timings.json", "report.html", "removed.json", "run.json",
)  # fmt: skip
"""All that belongs to a run. A report contains excerpts, so it goes; it can be made again."""

_FRESH = re.compile(r"\.work/takedown-[0-9a-f]{16}")
_GONE = ".work/gone"


def fresh_folder(digest: str) -> str:
    """Return the folder under .work/ in which a takedown prepares the new run."""
    return f".work/takedown-{digest[:16]}"


def swap(store: LocalStore, fresh: str) -> None:
    """Replace each of `RUN_FILES` by the one under `fresh`, or remove it where `fresh` has none."""
    there = [name for name in RUN_FILES if store.path(f"{fresh}/{name}").exists()]
    journal = {"fresh": fresh, "replace": there, "remove": [name for name in RUN_FILES if name not in there]}
    store.put_new(JOURNAL, json.dumps(journal).encode())
    finish_swap(store)


def finish_swap(store: LocalStore) -> bool:
    """Go through with a swap that has begun; whether there was one."""
    data = store.get(JOURNAL)
    if data is None:
        return False
    journal = _read_journal(store, data)
    gone = store.path(_GONE)
    gone.mkdir(parents=True, exist_ok=True)
    for name in journal.remove:
        _away(store, name)
    for name in journal.replace:
        new = store.path(f"{journal.fresh}/{name}")
        if new.exists():  # else this step was done
            _away(store, name)
            os.rename(new, store.path(name))
    sync_folder(store.root)
    store.remove(_GONE)
    store.remove(journal.fresh)
    store.path(JOURNAL).unlink()  # last: until then the next command finishes what is left
    return True


@dataclass(frozen=True)
class _Journal:
    """What a swap moves: names under `fresh` that replace those of the run, and names that the run loses."""

    fresh: str
    replace: list[str]
    remove: list[str]


def _read_journal(store: LocalStore, data: bytes) -> _Journal:
    """Return the journal. It may come from a stranger's folder, so it may name only what a swap itself writes."""
    try:
        journal = _Journal(**json.loads(data))
        names = [*journal.replace, *journal.remove]
        known = _FRESH.fullmatch(journal.fresh) is not None and all(name in RUN_FILES for name in names)
    except (ValueError, TypeError, RecursionError):
        known = False
    if not known:
        raise IntegrityError(
            f"{store.where(JOURNAL)} was not written by `corpus remove`, so nothing was moved.",
            "Delete it if you trust the rest of the folder.",
        )
    return journal


def check_no_swap(store: Store) -> None:
    """Raise IntegrityError where a swap was cut off."""
    if store.size(JOURNAL) is not None:
        raise IntegrityError(
            f"A takedown in {store.where()} was cut off while files were moved.",
            "Run `corpus remove` on it to finish it.",
        )


def _away(store: LocalStore, name: str) -> None:
    path = store.path(name)
    if path.exists():
        aside = store.path(f"{_GONE}/{name}")
        if aside.is_dir():
            shutil.rmtree(aside)
        os.rename(path, aside)
