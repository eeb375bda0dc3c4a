"""The interface between jobs and engines, which run functions over payloads, on this machine or on a cluster.

Functions take and return plain data (JSON types). Their exceptions come back as text, so no object of ours is
unpickled. `loop` gives tasks to an engine.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from types import FrameType
from typing import Any, Protocol

from jobs.runner.retries import Answer, Function, Payload
from jobs.runner.terminal import say


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
    """An engine runs functions over payloads, some at the same time."""

    workers: int
    tally: dict[str, Counter[str]]
    """The number of failed attempts of all tasks, by function and class."""
    spread: bool
    """True if tasks run on several machines, so that a second attempt may be faster than a first one."""

    @property
    def most_slots(self) -> int:
        """The greatest number of slots that a task can take."""

    def now(self) -> float:
        """Return the time in seconds, by the clock of `running_s`."""

    def submit(self, function: Function, payload: Payload, slots: int) -> Any: ...

    def withdraw(self) -> list[Any]:
        """Take back the tasks that certainly have not started, and return them."""

    def wait(self, seconds: float) -> list[Any]:
        """Return finished tasks: as soon as there are some, or none after this time. The cost must not grow with the
        number of running tasks."""

    def result(self, task: Any) -> Answer: ...

    def running_s(self, task: Any) -> float:
        """Return for how many seconds a task has been running: 0 if it waits for a slot, or can't be ended."""

    def end(self, task: Any) -> None:
        """End a running task by force."""

    def close(self, wait: bool = True) -> None:
        """Shut the engine down. Without `wait`, running tasks are abandoned or ended."""
