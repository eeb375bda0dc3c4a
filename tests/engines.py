"""An engine for tests."""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import jobs.build.archives
from corpus.sandbox.environment import worker_environment
from corpus.sandbox.guard import Guard, _Worker
from corpus.sandbox.unit import Batch, Unit, UnitOptions
from jobs.runner import task_functions
from jobs.runner.local_engine import LocalEngine
from jobs.runner.local_engine import _Worker as _Process
from jobs.runner.retries import Answer, Function, Payload, answer_of

_SHARED = ("filters:recipe_from_dict", "tests.stubs:recipe_from_dict")
"""The factories whose page workers go from build to build. Others change the process that they are called in."""

_MOST = 3
"""Page workers that wait for a next build. One with models takes 300 MB."""

_left: dict[str, tuple[_Worker, dict[str, Any]]] = {}
"""The page workers that builds left, the latest last, with the recipes that they have. The key says what code is loaded
in them, and their environment."""


class InProcess:
    """Runs tasks one after the other in this process, where a test can patch what they call.

    A build leaves its page worker for the next one, which gives it another recipe. A new one takes more than a second
    to start.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = self.most_slots = workers
        self.spread = False
        self.tally: dict[str, Counter[str]] = {}
        self._running: deque[Any] = deque()

    def now(self) -> float:
        return time.monotonic()

    def submit(self, function: Function, payload: Payload, slots: int) -> Any:
        task = lambda: _through_json(answer_of(function, _through_json(payload)))  # noqa: E731
        self._running.append(task)
        return task

    def withdraw(self) -> list[Any]:
        return []

    def wait(self, seconds: float) -> list[Any]:
        if not self._running:
            time.sleep(seconds)
        return [self._running.popleft()] if self._running else []

    def result(self, task: Any) -> Answer:
        return task()

    def running_s(self, task: Any) -> float:
        return 0.0

    def end(self, task: Any) -> None:
        raise NotImplementedError

    def close(self, wait: bool = True) -> None:
        if guard := task_functions._kept.guard:
            guard.close()


class SharingGuard(Guard):
    """A guard that leaves its page worker to the next one, if the worker is in the middle of nothing."""

    _busy = False

    def run(self, unit: Unit, take: Callable[[Batch], None], options: UnitOptions | None = None) -> None:
        self._busy = True
        super().run(unit, take, options)
        self._busy = False

    def close(self) -> None:
        if self._worker is None or self._busy or self.factory not in _SHARED:
            super().close()
        else:
            self._leave(self._worker)

    def _leave(self, worker: _Worker) -> None:
        key = self._key(worker.process.environment)
        _end(_left.pop(key, None))
        _left[key] = worker, self.recipe
        self._worker = None
        while len(_left) > _MOST:
            _end(_left.pop(next(iter(_left))))

    def _ready_worker(self, archive: str) -> _Worker:
        environment = worker_environment(archive)
        if self._worker and self._worker.process.environment != environment and self.factory in _SHARED:
            self._leave(self._worker)
        if self._worker is None and (left := _left.pop(self._key(environment), None)):
            self._worker, recipe = left
            self._worker._settings = self.settings
            self._worker._recipe = None if recipe == self.recipe else self.recipe
        return super()._ready_worker(archive)

    def _key(self, environment: dict[str, str]) -> str:
        return json.dumps([self.factory, self.recipe["modules"], environment])


task_functions.Guard = jobs.build.archives.Guard = SharingGuard


def _end(left: tuple[_Worker, dict[str, Any]] | None) -> None:
    if left is not None:
        left[0].close()


_idle: dict[str, list[_Process]] = {}
"""The processes that engines left, by the surroundings that they were started in. Only the latest are kept."""


class SharingEngine(LocalEngine):
    """An engine that leaves its idle processes to the next one. A process takes half a second to start."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        left = _idle.get(_surroundings(), [])
        self._idle += left[:workers]
        del left[:workers]

    def close(self, wait: bool = True) -> None:
        if wait and not self._running:
            left = _idle.pop(_surroundings(), [])
            _end_idle()
            _idle[_surroundings()] = left + self._idle
            self._idle = []
        super().close(wait)


def _surroundings() -> str:
    own = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return json.dumps([own, os.getcwd(), sys.path])


def _end_idle() -> None:
    for process in [process for left in _idle.values() for process in left]:
        process.finish()
        process.join()
    _idle.clear()


@atexit.register
def _end_all() -> None:
    while _left:
        _end(_left.popitem()[1])
    _end_idle()


def _through_json(data: Any) -> Any:
    """Return plain data as another process gets it."""
    return json.loads(json.dumps(data))


def engine_of(workers: int) -> InProcess | LocalEngine:
    """One worker is this process. Several are processes, as the command line has them."""
    return InProcess() if workers == 1 else SharingEngine(workers)
