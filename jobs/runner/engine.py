"""The interface between jobs and engines: run one function over many payloads, on this machine or on a cluster.

Functions take and return plain data (JSON types). Their exceptions come back as text, so no object of ours is
unpickled. `run` retries failed tasks, depending on the class of their failure (`retries`). If it gives up on a payload,
it gives the reasons.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from corpus.errors import NoRoom, OutputError
from corpus.sandbox.footprint import read_footprint
from jobs.runner import retries
from jobs.runner.retries import Answer, Failure, Function, Payload, PendingTask
from jobs.runner.terminal import say

_GRACE_S = 60.0
"""The extra time, in seconds, for two cases.

After its deadline, a task may still answer, because some tasks watch the deadline themselves. After a task was ended,
it may take this long to disappear before it is abandoned.
"""


@dataclass(frozen=True)
class TaskResult:
    """A payload with its result and its failed attempts. The result of a payload that was given up is None."""

    payload: Payload
    result: Payload | None
    failures: tuple[Failure, ...] = ()


class AtOnce(SystemExit):
    """Raised by a second stop signal. Running work is abandoned."""

    code: int


class Stop:
    """A handler of Ctrl-C and SIGTERM. After the first signal no new work starts. The second signal raises AtOnce."""

    def __init__(self, work: str = "the units in work (some seconds)") -> None:
        """`work` is what still ends after the first signal, in words."""
        self.signal = 0
        self.at_once = False
        self._work = work

    def asked(self) -> bool:
        return self.signal != 0

    def __enter__(self) -> Stop:
        if threading.current_thread() is not threading.main_thread():
            self._before: dict[signal.Signals, Any] = {}  # signals reach the main thread only
            return self
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked():
            self.at_once = True
            say("\nInterrupted. Run the same command again to continue.")
            raise AtOnce(128 + number)
        self.signal = number
        say(f"\nStopping after {self._work}. Press Ctrl-C again to stop now.")


class Engine(Protocol):
    """An engine runs a function over payloads, some at the same time."""

    workers: int
    tally: dict[str, Counter[str]]
    """The number of failed attempts of all tasks, by function and class."""

    @property
    def most_slots(self) -> int:
        """The greatest number of slots that a task can take."""

    def submit(self, function: Function, payload: Payload, slots: int) -> Any: ...

    def withdraw(self) -> list[Any]:
        """Take back the tasks that certainly have not started, and return them."""

    def wait(self, running: list[Any]) -> Any | None:
        """Return a finished task, or None after about a second."""

    def result(self, task: Any) -> Answer: ...

    def running_s(self, task: Any) -> float:
        """Return for how many seconds a task has been running: 0 if it waits for a slot, or can't be ended."""

    def end(self, task: Any) -> None:
        """End a running task by force."""

    def close(self, wait: bool = True) -> None:
        """Shut the engine down. Without `wait`, running tasks are abandoned or ended."""


def run(engine: Engine, function: Function, payloads: Iterable[Payload], stop: Stop) -> Iterator[TaskResult]:
    """Run `function` over all payloads, and yield the results as they come.

    At most two slots per worker are submitted at a time. After a stop signal no new task starts, and running tasks may
    finish. Raises NoRoom, and OutputError if no attempt could write.
    """
    fresh = deque(PendingTask(payload) for payload in payloads)
    again: list[PendingTask] = []
    running: dict[Any, PendingTask] = {}
    ended: dict[Any, float] = {}
    while fresh or again or running:
        room = 2 * engine.workers - sum(one.slots for one in running.values())
        while room > 0 and not stop.asked() and (due := _next(fresh, again)):
            running[engine.submit(function, due.payload, due.slots)] = due
            room -= due.slots
        for task in engine.withdraw() if stop.asked() else ():
            del running[task]
        if not running:
            if stop.asked():
                return
            time.sleep(max(0.0, min(1.0, min(one.ready for one in again) - time.monotonic())))
            continue
        task = engine.wait(list(running))
        for late, one in running.items():
            if late is not task and late not in ended and engine.running_s(late) > one.wall_s + _GRACE_S:
                engine.end(late)
                ended[late] = time.monotonic()
        if task is not None:
            answer = engine.result(task)
        elif lost := [late for late, since in ended.items() if time.monotonic() - since > _GRACE_S]:
            task, answer = lost[0], {}  # the task can't be ended, because its node is unreachable or its storage hangs
        else:
            continue
        one = running.pop(task)
        if "ok" in answer:
            ended.pop(task, None)
            yield TaskResult(one.payload, answer["ok"], one.failures)
        elif answer.get("kind") == retries.NO_ROOM:
            raise NoRoom(answer["error"], answer["todo"])
        else:
            if ended.pop(task, None) is not None:
                answer = {"error": f"it took more than {one.wall_s:,.0f} s", "kind": retries.DEADLINE}
            failed = one.failed(_failure(answer, one.payload), time.monotonic(), engine.most_slots)
            engine.tally.setdefault(function.__name__, Counter())[answer["kind"]] += 1
            if not failed.given_up:
                again.append(failed)
            elif answer["kind"] == retries.OUTPUT:
                raise OutputError(answer["error"], answer["todo"])
            else:
                yield TaskResult(one.payload, None, failed.failures)


def _next(fresh: deque[PendingTask], again: list[PendingTask]) -> PendingTask | None:
    """Return the next task to submit: a failed task whose wait is over, or else a new one."""
    now = time.monotonic()
    due = next((one for one in again if one.ready <= now), None)
    if due is not None:
        again.remove(due)
        return due
    return fresh.popleft() if fresh else None


def _failure(answer: Answer, payload: Payload) -> Failure:
    """Return the failure in an answer, with the record that the task or its footprint names."""
    footprint = payload.get("footprint", "")
    place = answer.get("place") or read_footprint(footprint)
    if footprint:
        Path(footprint).unlink(missing_ok=True)  # the next attempt must not find this file
    return Failure(answer["kind"], answer["error"], (place[0], place[1]) if place else None)
