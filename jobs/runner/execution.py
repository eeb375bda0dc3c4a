"""A running job: its store, the engine that runs its tasks, its stop signal, and its progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from corpus.errors import InputChanged, InputUnreachable, IntegrityError
from corpus.storage.commits import Commit
from corpus.storage.store import Store
from jobs.runner.engine import Engine, Stop
from jobs.runner.loop import Task, run
from jobs.runner.progress import Progress
from jobs.runner.retries import CHANGED, SERVER_DOWN, UNREACHABLE, Function, Payload
from jobs.runner.state import State

T = TypeVar("T")

_SHOWN_EVERY_S = 0.2

_ERRORS = {CHANGED: InputChanged, UNREACHABLE: InputUnreachable, SERVER_DOWN: InputUnreachable}


class Stopped(Exception):
    """Raised by a stop signal. Committed work stays, and the same command continues from there."""


@dataclass(frozen=True)
class JobResult:
    """The result of a job: the exit code of the command line, and the content of the file that completes the job."""

    exit_code: int
    info: dict[str, Any] | None = None
    already_done: bool = False
    alarm: str = ""
    """The reason why a build stopped before it was packed."""


@dataclass(frozen=True)
class Execution:
    """A running job. It writes to `store`."""

    store: Store
    engine: Engine
    stop: Stop
    progress: Progress

    @cached_property
    def state(self) -> State:
        """The state of the job, as a file."""
        return State(self.store, self.progress)

    def start(self, phase: str, units: int, brief: bool = False) -> None:
        """Start a phase in the progress and in the state. A `brief` phase is not shown at its end."""
        self.progress.start(phase, units, brief=brief)
        self.state.start(phase, units)

    def expect(self, units: int) -> None:
        """Set the number of units of the phase, which was only an estimate."""
        self.progress.expect(units)
        self.state.expect(units)

    def unit_done(self, counts: Mapping[str, Any] | None = None, seconds: float = 0.0, units: int = 1) -> None:
        """Count finished units, their records, and their seconds."""
        self.progress.unit_done(counts, units)
        self.state.done(seconds, units)

    def end(self) -> None:
        """End a phase."""
        self.progress.end()
        self.state.write()

    def follow(self, name: str, items: Iterable[T], count: int) -> Iterator[T]:
        """Yield items, one for each step of work that this process does alone, as a phase of `count` units.

        Raises Stopped.
        """
        self.start(name, count, brief=True)
        done, shown = 0, time.monotonic()
        for item in items:
            yield item
            done += 1
            stopped = self.stop.asked()
            if stopped or time.monotonic() - shown > _SHOWN_EVERY_S:
                self.unit_done(units=done)
                done, shown = 0, time.monotonic()
            if stopped:
                self.end()
                raise Stopped
        self.unit_done(units=done)
        self.end()

    def phase(
        self, name: str, function: Function, payloads: Iterable[Payload], shown: str = "", count: int | None = None
    ) -> list[Payload]:
        """Run one function over all payloads and return the results in the order of the payloads. Progress has the name
        `shown`, errors have `name`. `count` is the number of payloads if they are made only when there is room.

        Raises Stopped, and InputChanged, InputUnreachable or IntegrityError if a task was given up.
        """
        if count is None:
            payloads = list(payloads)
            count = len(payloads)
        numbers: dict[int, int] = {}
        """The number of each payload that is under way, by its identity."""

        def tasks() -> Iterator[Task]:
            for number, payload in enumerate(payloads):
                numbers[id(payload)] = number
                yield Task(function, payload)

        made: dict[int, Payload] = {}
        self.start(shown or name, count, brief=True)
        for answer in run(self.engine, tasks(), self.stop):
            if answer.result is None:
                self.end()
                last = answer.failures[-1]
                error = _ERRORS.get(last.kind, IntegrityError)
                raise error(f"{name} failed: {last.reason}", "Remove the cause, and run the same command again.")
            made[numbers.pop(id(answer.payload))] = answer.result
            self.unit_done()
        self.end()
        if self.stop.asked():
            raise Stopped
        return [made[number] for number in range(len(made))]

    def commits(
        self, name: str, function: Function, payloads: Iterable[Payload], count: int | None = None
    ) -> list[Commit]:
        """Run a phase whose tasks make commits, and return the commits."""
        return [Commit.from_dict(result) for result in self.phase(name, function, payloads, count=count)]


@contextmanager
def executing(store: Store, make_engine: Callable[[], Engine], stop: Stop, progress: Progress) -> Iterator[Execution]:
    """Yield the execution of a job. At the end, running tasks finish first, unless a second stop signal came."""
    engine = make_engine()
    progress.watch(stop.asked, engine.workers)
    try:
        yield Execution(store, engine, stop, progress)
    finally:
        progress.stop()
        engine.close(wait=not stop.at_once)
