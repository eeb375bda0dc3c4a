"""One run put in the place of another in the same folder, so that a kill at any time leaves the old or, once the same
command or a build has run again, the new one; what opens the folder in between is told so.

What replaces lies ready under .work/; a journal, put if absent, is the point of no return; then names are moved one by
one, each step being one that can be done again.
"""

from __future__ import annotations

import json
import os
import shutil

from corpus.errors import IntegrityError
from corpus.publish import sync_folder
from corpus.store import LocalStore, Store

JOURNAL = ".work/swap.json"
_GONE = ".work/gone"


def swap(store: LocalStore, fresh: str, names: list[str]) -> None:
    """Replace each of `names` by what is under `fresh`, or by nothing where there is nothing."""
    there = [name for name in names if (store.path(fresh) / name).exists()]
    journal = {"fresh": fresh, "replace": there, "remove": [name for name in names if name not in there]}
    store.put_new(JOURNAL, json.dumps(journal).encode())
    finish_swap(store)


def finish_swap(store: LocalStore) -> bool:
    """Go through with a swap that has begun; whether there was one."""
    data = store.get(JOURNAL)
    if data is None:
        return False
    journal = json.loads(data)
    gone = store.path(_GONE)
    gone.mkdir(parents=True, exist_ok=True)
    for name in journal["remove"]:
        _away(store, name)
    for name in journal["replace"]:
        new = store.path(journal["fresh"]) / name
        if new.exists():  # else this step was done
            _away(store, name)
            os.rename(new, store.path(name))
    sync_folder(store.root)
    store.remove(_GONE)
    store.remove(journal["fresh"])
    store.path(JOURNAL).unlink()  # last: until then somebody comes back for what was to go
    return True


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
        aside = store.path(_GONE) / name
        if aside.is_dir():
            shutil.rmtree(aside)
        os.rename(path, aside)
