"""The folder that a job writes to: opened, locked, and bound to what it is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from corpus.errors import OutputError, no_room
from corpus.publish import locked
from corpus.recipe import differences
from corpus.store import LocalStore


def open_folder(out: Path) -> LocalStore:
    """The store in a folder that can be written. Raises OutputError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        store = LocalStore(out)
        try:
            probe = store.scratch()
            probe.write_bytes(b"")
            probe.unlink()
        except (FileNotFoundError, FileExistsError):
            return store  # swept by another run, which `only_run` finds
        with suppress(OSError):  # not empty: there is work
            probe.parent.rmdir()
            probe.parent.parent.rmdir()
    except OSError as error:
        raise OutputError(f"{out} can't be written: {error.strerror}.", "Give another folder with -o.") from None
    return store


LOCK = ".work/lock"


@contextmanager
def only_run(store: LocalStore) -> Iterator[None]:
    """Hold the folder's lock, which the system releases when this process ends, however it ends. Raises OutputError,
    also for whatever is done meanwhile in a folder that takes no more."""
    lock = store.path(LOCK)
    with ExitStack() as held:
        try:
            held.enter_context(locked(lock, wait=False))
        except BlockingIOError:
            raise OutputError(f"Another run is writing to {store.root}.", "Wait for it, or give another -o.") from None
        except OSError as error:
            raise OutputError(f"{store.root} can't be written: {error.strerror}.", "Mend that first.") from None
        try:
            store.remove(".work/tmp")
            yield
        except OSError as error:
            if full := no_room(error, store.root):
                raise full from None
            raise
        finally:
            store.remove(".work/tmp")  # what tasks that failed left
            with suppress(OSError):  # gone already with a run that is complete
                lock.unlink()
            with suppress(OSError):  # not empty: there is work
                lock.parent.rmdir()


def claim(store: LocalStore, plan: dict[str, Any], finished: dict[str, Any] | None) -> None:
    """Bind an empty folder to a plan. Raises OutputError where it is bound to another, which is `finished` where that
    came to its end, or holds other files."""
    bound = finished
    if bound is None:
        data = store.get(".work/plan.json")
        bound = json.loads(data) if data is not None else None
    if bound is None:
        foreign = sorted(path.name for path in store.root.iterdir() if path.name != ".work")
        if foreign:
            raise OutputError(f"{store.root} holds other files, such as {foreign[0]}.", "Give an empty folder.")
        store.put_new(".work/plan.json", json.dumps(plan, sort_keys=True).encode())
        return
    lines = differences(bound, json.loads(json.dumps(plan)))
    if lines:
        shown = "".join(f"\n  {line[:200]}" for line in lines[:20]) + ("\n  …" if len(lines) > 20 else "")
        raise OutputError(
            f"{store.root} was made of other input, settings or code (old → new):{shown}\n",
            "Give another -o, or the same as before.",
        )
