"""A build on a simulated cluster: real tasks, which run in this process, on nodes and by a clock that are made.

    python -m tests.faults.simulated_run INPUT OUT FAULTS…

FAULTS are JSON objects, one for each process that is started, one after the other. The processes print their exit codes
and what their engines counted. All but the last may be killed.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from signal import SIGKILL
from typing import Any

import jobs.build.build
import jobs.build.volumes
from benchmarks.simulated import Simulated
from jobs.build.build import build
from jobs.runner.progress import Progress
from jobs.runner.retries import CRASH, MEMORY, NODE_LOST, OUTPUT, SERVER_DOWN, Answer, Function, Payload, answer_of
from tests.jobs.build.test_build import job

UNIT_S = 60.0
CLIENT_S = 300.0
"""The seconds for which a client asks a store that does not answer."""


class Faulty:
    """Tasks that do what real ones do, and fail as they do on a large cluster.

    `failing` and `slow` are shares of the attempts. `leaving` is the share of nodes that leave in an hour. `silent` is
    the time from which store and servers answer 503 for ten minutes. The process is killed after `killed` answers.
    """

    def __init__(
        self, seed: int, failing: float = 0.0, slow: float = 0.0, leaving: float = 0.0, silent: float = -1e9,
        killed: int = 0,
    ) -> None:  # fmt: skip
        self._chance = random.Random(seed)
        self._failing, self._slow, self._leaving, self._killed = failing, slow, leaving, killed
        self._silent, self._speaks = silent, silent + 600
        self._fates: dict[int, list[Any]] = {}
        self.slow = self.answers = 0

    def seconds(self, function: Function, payload: Payload, now: float) -> float:
        chance, seconds, fate = self._chance, UNIT_S, ""
        if chance.random() < self._slow:
            seconds, self.slow = 20 * seconds, self.slow + 1
        if chance.random() < self._failing:
            fate = chance.choice([CRASH, MEMORY, NODE_LOST])
        if chance.random() < self._leaving * seconds / 3600:
            seconds, fate = seconds * chance.random(), NODE_LOST
        if self._silent <= now + seconds < self._speaks:
            waits = min(CLIENT_S, self._speaks - now - seconds)
            seconds, fate = seconds + waits, chance.choice([OUTPUT, SERVER_DOWN]) if waits == CLIENT_S else fate
        self._fates.setdefault(id(payload), []).append(fate)
        return seconds

    def answer(self, function: Function, payload: Payload, now: float) -> Answer:
        fate = self._fates[id(payload)].pop(0)
        self.answers += 1
        if self.answers == self._killed:
            os.kill(os.getpid(), SIGKILL)
        if not fate or self._chance.random() < 0.5:  # a node may be lost before and after a commit
            made = answer_of(function, json.loads(json.dumps(payload)))
            if not fate:
                return made
        return {"error": "made", "todo": "Wait.", "kind": fate}


class Cluster(Simulated):
    """A cluster on which half of the attempts that are ended do their work nevertheless, as on a node that is cut
    off."""

    def __init__(self, workers: int, model: Faulty) -> None:
        super().__init__(workers, model)
        self.ended = 0

    def end(self, task: Any) -> None:
        self.ended += 1
        if self.ended % 2:
            answer_of(task.function, task.payload)
        super().end(task)


def main(given: Path, out: Path, faults: dict[str, Any]) -> int:
    jobs.build.build.LOOKED_UP, jobs.build.volumes.MOST = 2, 6
    model = Faulty(**faults)
    cluster = Cluster(8, model)
    done = build(job([given], out, unit_bytes=3_000), lambda: cluster, Progress(quiet=True))
    facts = {"tally": cluster.tally, "slow": model.slow, "ended": cluster.ended, "seconds": cluster.clock}
    print(json.dumps({**facts, "answers": model.answers}), flush=True)
    return done.exit_code


if __name__ == "__main__":
    for words in sys.argv[3:]:
        child = os.fork()  # importing takes longer than the build
        if not child:
            code = 70
            try:
                code = main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(words))
            finally:
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
