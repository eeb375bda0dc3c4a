"""An engine with any number of workers that exist only as events on a made clock.

The driver's code is the real one. What a task does, how long it takes and what it answers, a model decides.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter, deque
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from jobs.runner.retries import Answer, Function, Payload


class Model(Protocol):
    """What tasks do."""

    def seconds(self, function: Function, payload: Payload, now: float) -> float:
        """Return how long a task that starts now takes."""

    def answer(self, function: Function, payload: Payload, now: float) -> Answer:
        """Return the answer of a task that ends now."""


@dataclass(eq=False)
class _Event:
    function: Function
    payload: Payload
    slots: int
    started: float = -1.0
    over: bool = False


class Simulated:
    """An engine on a made clock. `cpu` has the seconds that the simulation itself took."""

    def __init__(self, workers: int, model: Model, spread: bool = True) -> None:
        self.workers, self.most_slots, self.spread = workers, workers, spread
        self.tally: dict[str, Counter[str]] = {}
        self.clock = self.cpu = 0.0
        self.first: dict[str, float] = {}
        """The real time at which a task of each function was first submitted."""
        self.most_held = 0
        self._model = model
        self._queue: deque[_Event] = deque()
        self._ends: list[tuple[float, int, _Event]] = []
        self._free = workers
        self._number = count()

    def now(self) -> float:
        return self.clock

    def submit(self, function: Function, payload: Payload, slots: int) -> Any:
        started = time.thread_time()
        self.first.setdefault(function.__name__, time.monotonic())
        event = _Event(function, payload, slots)
        self._queue.append(event)
        self.most_held = max(self.most_held, len(self._queue) + len(self._ends))
        self._start()
        self.cpu += time.thread_time() - started
        return event

    def _start(self) -> None:
        while self._queue and self._queue[0].slots <= self._free:
            event = self._queue.popleft()
            if event.over:
                continue
            self._free -= event.slots
            event.started = self.clock
            ends = self.clock + self._model.seconds(event.function, event.payload, self.clock)
            heapq.heappush(self._ends, (ends, next(self._number), event))

    def withdraw(self) -> list[Any]:
        withdrawn = [event for event in self._queue if not event.over]
        self._queue.clear()
        return withdrawn

    def wait(self, seconds: float) -> list[Any]:
        started = time.thread_time()
        until, found = self.clock + seconds, list[_Event]()
        while self._ends and not found and self._ends[0][0] <= until:
            self.clock = max(self.clock, self._ends[0][0])
            while self._ends and self._ends[0][0] <= self.clock:
                event = heapq.heappop(self._ends)[2]
                if not event.over:
                    self._finish(event)
                    found.append(event)
        if not found:
            self.clock = until + 1e-6
        self._start()
        self.cpu += time.thread_time() - started
        return found

    def _finish(self, event: _Event) -> None:
        event.over = True
        if event.started >= 0:
            self._free += event.slots

    def result(self, task: Any) -> Answer:
        started = time.thread_time()
        answer = self._model.answer(task.function, task.payload, self.clock)
        self.cpu += time.thread_time() - started
        return answer

    def running_s(self, task: Any) -> float:
        return self.clock - task.started if task.started >= 0 else 0.0

    def end(self, task: Any) -> None:
        """The task ends without an answer, as a process that is killed."""
        if not task.over:
            self._finish(task)
            self._start()

    def close(self, wait: bool = True) -> None:
        """Do nothing: there are no processes."""
