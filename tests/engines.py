"""An engine for tests."""

from __future__ import annotations

from collections import Counter
from typing import Any

from jobs.runner import task_functions
from jobs.runner.local_engine import LocalEngine
from jobs.runner.retries import Answer, Function, Payload, answer_of


class InProcess:
    """Runs tasks one after the other in this process, where a test can patch what they call."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = self.most_slots = workers
        self.tally: dict[str, Counter[str]] = {}

    def submit(self, function: Function, payload: Payload, slots: int) -> Any:
        return lambda: answer_of(function, payload)

    def wait(self, running: list[Any]) -> Any:
        return running[0]

    def result(self, task: Any) -> Answer:
        return task()

    def running_s(self, task: Any) -> float:
        return 0.0

    def end(self, task: Any) -> None:
        raise NotImplementedError

    def close(self, wait: bool = True) -> None:
        if guard := task_functions._kept.guard:
            guard.close()


def engine_of(workers: int) -> InProcess | LocalEngine:
    """One worker is this process. Several are processes, as the command line has them."""
    return InProcess() if workers == 1 else LocalEngine(workers)
