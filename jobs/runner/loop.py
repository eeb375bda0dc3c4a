"""The loop of the driver: it runs tasks on an engine, and tries failed and slow ones again.

Tasks are taken from an iterator only when there is room for them, and each answer costs the same, however many tasks
run. Failed tasks are tried again depending on the class of their failure (`retries`).
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from corpus.errors import NoRoom, OutputError
from corpus.sandbox.footprint import read_footprint
from jobs.runner import retries
from jobs.runner.engine import Engine, Stop
from jobs.runner.retries import Answer, Failure, Function, Payload, PendingTask

_GRACE_S = 60.0
"""The extra time, in seconds, for two cases.

After its deadline, a task may still answer, because some tasks watch the deadline themselves. After a task was ended,
it may take this long to disappear before it is abandoned.
"""


_SLOW_TIMES = 4.0
"""A task that runs so many times longer than the median is slow."""

_SLOW_S = 30.0
"""A shorter task is never slow."""

_LOOK_S = 5.0
"""The time between two looks for slow tasks."""

_MEASURED = 255
"""The number of answers that give the median. Fewer than a twentieth of them give none."""


class Task(NamedTuple):
    """Work for an engine."""

    function: Function
    payload: Payload


@dataclass(frozen=True)
class TaskResult:
    """A payload with its result and its failed attempts. The result of a payload that was given up is None."""

    payload: Payload
    result: Payload | None
    failures: tuple[Failure, ...] = ()


def run(engine: Engine, tasks: Iterable[Task | None], stop: Stop) -> Iterator[TaskResult]:
    """Run all tasks, and yield the results as they come.

    At most two slots per worker are submitted at a time. A None among the tasks means that no task can start before
    another result has been yielded. After a stop signal no new task starts, and running tasks may finish. Raises
    NoRoom, and OutputError if no attempt could write.
    """
    return _Loop(engine, iter(tasks), stop).results()


@dataclass(eq=False)
class _Attempt:
    """A running attempt at a task. A second attempt at the same task may run beside it."""

    task: PendingTask
    other: Any = None
    """The other attempt, as the engine knows it. There is only one, even if it has failed."""


class _Loop:
    def __init__(self, engine: Engine, tasks: Iterator[Task | None], stop: Stop) -> None:
        self._engine, self._tasks, self._stop = engine, tasks, stop
        self._more = True
        self._again: list[tuple[float, int, PendingTask]] = []
        """The failed tasks, by the time when they may start."""
        self._running: dict[Any, _Attempt] = {}
        self._slots = 0
        self._deadlines: list[tuple[float, int, Any]] = []
        self._ended: dict[Any, float] = {}
        self._number = count()
        self._seconds: deque[float] = deque(maxlen=_MEASURED)
        self._looked = 0.0
        """The time of the last look for slow tasks."""

    def results(self) -> Iterator[TaskResult]:
        engine = self._engine
        while True:
            waits = self._submit()
            if self._stop.asked():
                for task in engine.withdraw():
                    self._forget(task)
            if not self._running and (self._stop.asked() or not (self._more or self._again)):
                return
            pause = 1.0
            if waits:
                self._try_slow_ones_again()
                pause = max(0.0, min(pause, self._again[0][0] - engine.now())) if self._again else pause
            finished = engine.wait(pause)
            self._end_late_ones()
            for task in finished:
                yield from self._take(task)
            for task in [task for task, since in self._ended.items() if engine.now() - since > _GRACE_S]:
                # the task can't be ended, because its node is unreachable or its storage hangs
                yield from self._answered(task, {})

    def _submit(self) -> bool:
        """Submit tasks as long as there is room. Return True if there is room left."""
        while self._slots < 2 * self._engine.workers and not self._stop.asked():
            due = self._next()
            if due is None:
                return True
            self._start(due)
        return False

    def _next(self) -> PendingTask | None:
        """Return the next task to submit: a failed task whose wait is over, or else a new one."""
        if self._again and self._again[0][0] <= self._engine.now():
            return heapq.heappop(self._again)[2]
        if self._more:
            try:
                task = next(self._tasks)
            except StopIteration:
                self._more = False
            else:
                return PendingTask(*task) if task is not None else None
        return None

    def _start(self, due: PendingTask) -> Any:
        task = self._engine.submit(due.function, due.sent, due.slots)
        self._running[task] = _Attempt(due)
        self._slots += due.slots
        self._watch(task, due.wall_s + _GRACE_S)
        return task

    def _watch(self, task: Any, seconds: float) -> None:
        """Look at the deadline of a task after some seconds. Most tasks have ended by then."""
        if len(self._deadlines) > 1000 + 4 * len(self._running):
            self._deadlines = [entry for entry in self._deadlines if entry[2] in self._running]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (self._engine.now() + seconds, next(self._number), task))

    def _end_late_ones(self) -> None:
        while self._deadlines and self._deadlines[0][0] < self._engine.now():
            task = heapq.heappop(self._deadlines)[2]
            if task not in self._running or task in self._ended:
                continue
            left = self._running[task].task.wall_s + _GRACE_S - self._engine.running_s(task)
            if left < 0:
                self._engine.end(task)
                self._ended[task] = self._engine.now()
            else:
                self._watch(task, left)

    def _try_slow_ones_again(self) -> None:
        """Start a second attempt at each slow task for which a slot is free. The attempt that commits first wins."""
        engine, now = self._engine, self._engine.now()
        if (
            not engine.spread
            or self._stop.asked()
            or now - self._looked < _LOOK_S
            or len(self._seconds) < _MEASURED // 20
        ):
            return
        self._looked, limit = now, max(_SLOW_S, _SLOW_TIMES * median(self._seconds))
        for task, attempt in list(self._running.items()):
            if self._slots + attempt.task.slots > engine.workers:
                return
            if attempt.other is None and task not in self._ended and engine.running_s(task) > limit:
                attempt.other = self._start(replace(attempt.task, second=True))
                self._running[attempt.other].other = task

    def _take(self, task: Any) -> Iterator[TaskResult]:
        if task in self._running:  # otherwise the task was abandoned
            self._seconds.append(self._engine.running_s(task))
            yield from self._answered(task, self._engine.result(task))

    def _forget(self, task: Any) -> _Attempt:
        attempt = self._running.pop(task)
        self._slots -= attempt.task.slots
        self._ended.pop(task, None)
        return attempt

    def _answered(self, task: Any, answer: Answer) -> Iterator[TaskResult]:
        late = task in self._ended
        attempt = self._forget(task)
        one = attempt.task
        if "ok" in answer:
            if attempt.other in self._running:
                self._engine.end(attempt.other)
                self._forget(attempt.other)
            yield TaskResult(one.payload, answer["ok"], one.failures)
            return
        if answer.get("kind") == retries.NO_ROOM:
            raise NoRoom(answer["error"], answer["todo"])
        if late:
            answer = {"error": f"it took more than {one.wall_s:,.0f} s", "kind": retries.DEADLINE}
        failed = one.failed(_failure(answer, one.sent), self._engine.now(), self._engine.most_slots)
        self._engine.tally.setdefault(one.function.__name__, Counter())[answer["kind"]] += 1
        if attempt.other in self._running:
            other = self._running[attempt.other]
            other.task = replace(other.task, failures=failed.failures)
        elif not failed.given_up:
            heapq.heappush(self._again, (failed.ready, next(self._number), failed))
        elif answer["kind"] == retries.OUTPUT:
            raise OutputError(answer["error"], answer["todo"])
        else:
            yield TaskResult(one.payload, None, failed.failures)


def _failure(answer: Answer, payload: Payload) -> Failure:
    """Return the failure in an answer, with the record that the task or its footprint names."""
    footprint = payload.get("footprint", "")
    place = answer.get("place") or read_footprint(footprint)
    if footprint:
        Path(footprint).unlink(missing_ok=True)  # the next attempt must not find this file
    return Failure(answer["kind"], answer["error"], (place[0], place[1]) if place else None)
