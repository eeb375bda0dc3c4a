"""`corpus remove`: take pages down from a finished run, for good.

The run without them is made beside it, as a run of its own (`jobs.build.replay_run`), and then takes its place. No file
of the folder has their text afterwards. The ledger keeps a row for each, which says that it was taken down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError
from corpus.run import open_run
from corpus.storage.store import LocalStore
from corpus.storage.swap import JOURNAL, finish_swap, fresh_folder, swap
from corpus.tables.takedown import Takedown, takedown_of
from jobs.build.plan import Job
from jobs.build.replay_run import replay
from jobs.runner.engine import Engine
from jobs.runner.execution import JobResult
from jobs.runner.progress import Progress


def read_list(path: Path | None) -> list[str]:
    """Return the entries of a list, one a line, without empty lines and comments. Raises ConfigError."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = type(error).__name__
        raise ConfigError(f"{path} can't be read ({reason}).", "Give a text file, one entry a line.") from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def remove(folder: Path, entries: Takedown, make_job: Callable[[dict[str, Any], Path], Job],
           make_engine: Callable[[], Engine], progress: Progress) -> JobResult:  # fmt: skip
    """Take the pages of `entries` down from the run in `folder`. Earlier takedowns stay.

    `make_job` makes the job for a recipe and a folder. A takedown that was cut off is finished first.
    """
    store = LocalStore(folder)
    if store.size(JOURNAL) is None:
        open_run(folder)  # raises if there is no run, before anything is written
    with store.only_run():
        finish_swap(store)
        run = open_run(folder)
        takedown = takedown_of(store) | entries
        if takedown.digest == run.info["removed"]:
            store.remove(".work")  # an earlier takedown may have been cut off at its very end
            return JobResult(0, run.info, already_done=True)
        fresh = fresh_folder(takedown.digest)
        for key in {path.name for path in store.path(".work").glob("takedown-*")} - {Path(fresh).name}:
            store.remove(f".work/{key}")  # another takedown that was cut off
        job = replace(make_job(run.info["recipe"], folder / fresh), index=bool(run.parts("signatures")))
        result = replay(run, job, takedown, make_engine, progress)
        if result.info is not None and result.exit_code == 0:
            swap(store, fresh)
            store.remove(".work")  # it holds texts of the pages
        return result
