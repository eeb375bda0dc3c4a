"""How a phase of dedup is run: a set of tasks over committed files, one list of what they left.

Everything between phases lies in committed files, so a run that was killed goes on with the first task that has no
commit. What a phase has used up is removed, so that a document never takes much more than its signature.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from corpus.commits import Commit
from corpus.crash import reached
from corpus.dedup.pieces import as_list
from corpus.errors import IntegrityError
from corpus.store import Store
from jobs.engine import Engine, Stop, run
from jobs.progress import Progress
from jobs.retries import Function
from jobs.tasks import commit_from_dict


class Stopped(Exception):
    """A stop signal came."""


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
        made: dict[int, Commit] = {}
        started = time.monotonic()
        costs = []
        self.progress.start(f"{self.stage} {phase}", len(payloads), 0, done=0)
        for answer in run(self.engine, self.function, payloads, self.stop):
            if answer.result is None:
                raise IntegrityError(f"Dedup failed ({phase}): {answer.failures[-1]}.", "Run the same command again.")
            made[answer.payload["piece"]] = commit_from_dict(answer.result)
            costs.append(answer.result["cost"])
            self.progress.unit_done(0, {})
        self.progress.end()
        if self.stop.asked():
            raise Stopped
        done = [made[piece] for piece in range(len(payloads))]
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
