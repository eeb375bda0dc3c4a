"""How a phase of dedup is run: a set of tasks over committed files, one list of what they left.

Everything between phases lies in committed files, so a run that was killed goes on with the first task that has no
commit. What a phase has used up is removed, so that a document never takes much more than its signature.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store
from corpus.storage.task_commits import as_list
from jobs.runner.engine import Engine, Stop
from jobs.runner.phases import run_phase
from jobs.runner.progress import Progress
from jobs.runner.retries import Function
from jobs.runner.task_functions import commit_from_dict


@dataclass(frozen=True)
class Phases:
    """The phases of one stage of one run. `common` is what every task's payload holds."""

    store: Store
    stage: str
    function: Function
    common: dict[str, Any]
    engine: Engine
    stop: Stop
    progress: Progress
    lists: dict[str, str] = field(default_factory=dict)
    """The names of what phases left, and of what the tasks are given."""
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """What each phase took in this process's run: for timings.json, as it differs from run to run."""

    def run(self, phase: str, own: Iterable[dict[str, Any]], reads: Sequence[str], name: str = "") -> list[Commit]:
        """Run all pieces of a phase, which may read some lists; its own is added under `name` or its own name.

        Raises Stopped, and IntegrityError where a piece fails again and again.
        """
        common = {**self.common, "phase": phase, "lists": {read: self.lists[read] for read in reads}}
        payloads = [{**common, "piece": piece, "own": payload} for piece, payload in enumerate(own)]
        started = time.monotonic()
        where = (self.engine, self.stop, self.progress)
        results = run_phase(f"{self.stage} {phase}", self.function, payloads, *where)
        done = [commit_from_dict(result) for result in results]
        costs = [result["cost"] for result in results]
        cpu, peak = sum(cost["cpu"] for cost in costs), max((cost["peak"] for cost in costs), default=0)
        took = {"tasks": len(done), "seconds": round(time.monotonic() - started, 3), "cpu": round(cpu, 3), "peak": peak}
        self.costs[phase] = took
        reached("before_list")
        self.lists[name or phase] = as_list(self.store, done)
        return done

    def forget(self, commits: Sequence[Commit], *kinds: str) -> None:
        """Remove files that all their readers have read: each of these has its commit."""
        for done in commits:
            for part in done.parts:
                if part.kind in kinds or not kinds:
                    self.store.discard(part.key)
                    reached("part_forgotten")
