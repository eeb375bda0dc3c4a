"""The pass: one task per unit, until the units tile every archive.

The inputs are divided while units run, a few units per worker ahead. The time for a unit does not grow with the
run, nor does memory, since only units in work are held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from itertools import count
from typing import Any

from corpus.digests import digest
from corpus.errors import InputChanged, InputUnreachable, IntegrityError, NoRoom, OutputError
from corpus.sandbox.unit import Unit
from corpus.storage.gathered import FOLDER, Commits, as_line, gather, mark_of
from corpus.storage.store import Store
from corpus.warc.record import record_id
from jobs.build.choose import CAPTURES_IN_UNIT, Chosen
from jobs.build.divide import divide_task, divided_of
from jobs.build.inputs import Input
from jobs.build.plan import Build
from jobs.build.volumes import Volume, volume_size, volumes_of
from jobs.runner.execution import Stopped
from jobs.runner.loop import Task, TaskResult, run
from jobs.runner.retries import CHANGED, OUTPUT, POLICIES, SERVER_DOWN, UNREACHABLE, Failure, by_class, last_place
from jobs.runner.task_functions import run_unit_task

LOST_IN_A_ROW = 4
"""The run stops if this many units in a row can't be fetched, or two per worker if that is more.

Then the server is probably down.
"""

_AHEAD = 4
"""Inputs are divided until so many units per worker wait."""

_UNITS_IN_INPUT = 16
"""The guess before the first volume is divided."""

WRITERS = 4
"""The number of threads that gather commits."""


def run_units(build: Build, unit_bytes: int, chosen: Chosen | None = None) -> tuple[Commits, list[dict[str, Any]]]:
    """Return the commits of all units in (archive, offset) order, and the quarantined units. Raises Stopped.

    If pages were chosen by an index, only the archives with such pages are inputs afterwards.
    """
    return _Pass(build, unit_bytes, chosen).run()


class _Pass:
    def __init__(self, build: Build, unit_bytes: int, chosen: Chosen | None) -> None:
        self._build, self._execution = build, build.execution
        identity, columns = build.plan.identity, build.plan.columns
        depends = digest({key: identity[key] for key in ("recipe", "resources", "versions", "removed")})
        self._common = {**build.payload(), "depends": depends}
        named = chosen.list if chosen is not None else ""
        divided_by = digest([unit_bytes, depends, columns.as_dict() if columns else None, named])
        self._division = {
            "store": self._execution.store.location, "depends": divided_by, "unit_bytes": unit_bytes,
            "columns": columns.as_dict() if columns else None, "chosen": named,
        }  # fmt: skip
        self._unit_bytes, self._chosen = unit_bytes, chosen
        self._volumes = volumes_of(build.plan.inputs, divided_by, volume_size(build.plan.inputs, chosen is not None))
        self._wanted = self._volumes
        if chosen is not None:
            self._wanted = [self._volumes[number] for number in sorted(chosen.volumes)]
        self._captures = 0
        gathered = set(self._execution.store.keys(FOLDER))
        for volume in self._volumes:
            volume.done = volume.key in gathered
        self._undivided = deque(
            (volume, 0, volume.inputs) for volume in sorted(self._wanted, key=lambda volume: volume.done)
        )
        """The divisions that have not started: a volume, and its inputs from this number on."""
        self._open = len(self._wanted)
        self._guess = _UNITS_IN_INPUT * max((len(volume.inputs) for volume in self._volumes), default=1)
        self._dividing = self._divided = 0
        self._ready: deque[tuple[Volume, Unit]] = deque()
        self._units = 0
        self._lost = 0
        self._quarantined: dict[int, list[dict[str, Any]]] = {}
        self._footprint = self._execution.store.scratch().resolve()
        self._number = count()
        self._writing: deque[Future[None]] = deque()

    def run(self) -> tuple[Commits, list[dict[str, Any]]]:
        execution = self._execution
        execution.start("pass", self._expected())
        with ThreadPoolExecutor(WRITERS) as self._writers:
            for answer in run(execution.engine, self._tasks(), execution.stop):
                self._take(answer)
                execution.expect(self._expected())
            while self._writing:
                self._writing.popleft().result()
        execution.end()
        if execution.stop.asked():
            raise Stopped
        self._build.plan.inputs = [item for volume in self._wanted for item in volume.inputs]
        if self._chosen is not None:
            self._note_chosen(self._chosen)
        groups = [(volume.key, volume.size, volume.digest) for volume in self._volumes if volume.size]
        quarantine = [unit for number in sorted(self._quarantined) for unit in self._quarantined[number]]
        return Commits(execution.store, groups), quarantine

    def _note_chosen(self, chosen: Chosen) -> None:
        """Note in the plan what was chosen."""
        facts = chosen.facts() | {"archives": len(self._build.plan.inputs), "captures": self._captures}
        if not self._quarantined:
            facts["repeated"] = chosen.captures - self._captures
        self._build.plan.identity["chosen"] = facts

    def _expected(self) -> int:
        """Return the number of units, as far as it is known. Inputs that were not divided count by their size."""
        if not self._divided and self._chosen is not None:
            return -(-self._chosen.captures // CAPTURES_IN_UNIT)
        if not self._divided:
            return sum(-(-item.size // self._unit_bytes) or 1 for item in self._build.plan.inputs)
        return self._units * len(self._wanted) // self._divided

    def _tasks(self) -> Iterator[Task | None]:
        """Yield tasks as long as there are any, and None while the next ones depend on running ones."""
        while self._open:
            each = self._units // self._divided if self._divided else self._guess
            ahead = len(self._ready) + self._dividing * each
            if self._undivided and ahead < _AHEAD * self._execution.engine.workers:
                yield self._division_of(*self._undivided.popleft())
            elif self._ready:
                volume, unit = self._ready.popleft()
                own = {"unit": unit.as_dict(), "volume": volume.number, **self._own(unit)}
                yield Task(run_unit_task, {**own, **self._common})
            else:
                yield None

    def _division_of(self, volume: Volume, first: int, inputs: Sequence[Input]) -> Task:
        self._dividing += 1
        own = {
            "first": first,
            "inputs": [asdict(item) for item in inputs],
            "gathered": volume.key if volume.done else "",
        }
        return Task(divide_task, {"volume": volume.number, **own, **self._division})

    def _own(self, unit: Unit) -> dict[str, Any]:
        """Return the payload of a unit that is not shared: its deadline, and the file in which its worker names the
        current record.
        """
        limit, guard = self._build.job.unit_seconds, self._build.job.guard
        if limit is None:
            pages = guard.pages_wall_s(CAPTURES_IN_UNIT)
            limit = pages if unit.chosen else guard.unit_wall_s(unit.end - unit.start)
        return {"wall_s": limit, "footprint": f"{self._footprint}-{next(self._number)}"}

    def _take(self, answer: TaskResult) -> None:
        volume = self._volumes[answer.payload["volume"]]
        if answer.result is None:
            self._count_lost(answer.failures[-1])
        else:
            self._lost = 0
        if "inputs" in answer.payload:
            self._take_division(volume, answer)
        else:
            self._take_unit(volume, answer)
        if not volume.left:
            self._end(volume)

    def _count_lost(self, last: Failure) -> None:
        self._lost += last.kind in (UNREACHABLE, SERVER_DOWN)
        if last.kind == CHANGED or self._lost >= max(LOST_IN_A_ROW, 2 * self._execution.engine.workers):
            self._execution.end()
            raise InputChanged(last.reason) if last.kind == CHANGED else InputUnreachable(last.reason)

    def _take_division(self, volume: Volume, answer: TaskResult) -> None:
        first, inputs = answer.payload["first"], [Input(**one) for one in answer.payload["inputs"]]
        self._dividing -= 1
        if volume.divided or volume.left:  # one of the inputs that are divided alone
            volume.left -= 1
        else:
            self._divided += 1
        if answer.result is None:
            self._divide_alone(volume, first, inputs, answer.failures)
            return
        divided = divided_of(answer.result)
        self._captures += answer.result.get("captures", 0)
        if volume.done:
            volume.inputs = [one.item for one in divided]
            facts = answer.result
            volume.size, volume.digest = facts["units"], facts["digest"]
            self._units += volume.size
            self._execution.unit_done(facts["counts"], facts["seconds"], facts["units"])
            return
        columns = self._build.plan.columns
        units = [unit for one in divided for unit in one.units(columns)]
        volume.take(first, [one.item for one in divided], units)
        self._units += len(units)
        self._add(volume, units)

    def _divide_alone(self, volume: Volume, first: int, inputs: list[Input], failures: tuple[Failure, ...]) -> None:
        """Divide each input alone, since one of them may be to blame. If there is only one, give it up, as a unit."""
        if volume.done:
            raise IntegrityError(failures[-1].reason)
        if len(inputs) > 1:
            volume.left += len(inputs)
            self._undivided.extendleft((volume, first + at, [inputs[at]]) for at in reversed(range(len(inputs))))
            return
        (one,) = inputs
        whole = Unit(one.name, one.path, one.identity, "", "", "", 0, one.size)
        volume.take(first, inputs, [whole])
        volume.given_up[whole] = failures
        self._units += 1

    def _add(self, volume: Volume, units: list[Unit]) -> None:
        volume.left += len(units)
        self._ready.extend((volume, unit) for unit in units)

    def _take_unit(self, volume: Volume, answer: TaskResult) -> None:
        volume.left -= 1
        unit = Unit(**answer.payload["unit"])
        if answer.result is None:
            volume.given_up[unit] = answer.failures
            return
        facts = answer.result["facts"]
        if answer.failures:  # these failures belong to this process, not to the commit of the unit
            facts["failed_tries"] = by_class(answer.failures)
        volume.lines[unit], volume.reached[unit] = as_line(answer.result), facts["reached"]
        volume.marks[unit] = mark_of(answer.result["key"], [part["sha256"] for part in answer.result["parts"]])
        self._execution.unit_done(facts["counts"], facts["seconds"])

    def _end(self, volume: Volume) -> None:
        """Gather the commits of a volume, once its units tile its inputs."""
        if not volume.done:
            again = volume.untiled()
            if again:
                self._add(volume, again)
                return
            if volume.given_up:
                self._quarantined[volume.number] = [
                    quarantined(unit, volume.given_up[unit]) for unit in volume.units if unit in volume.given_up
                ]
            key, lines = volume.close()
            self._writing.append(self._writers.submit(_gather, self._execution.store, key, lines))
            while self._writing[0].done() or len(self._writing) > 4 * WRITERS:
                self._writing.popleft().result()
                if not self._writing:
                    break
        self._open -= 1


def _gather(store: Store, key: str, lines: Sequence[bytes]) -> None:
    """Gather commits. Like a task, try again if the store does not answer."""
    for tries in range(1, POLICIES[OUTPUT].attempts + 1):
        try:
            return gather(store, key, lines)
        except NoRoom:
            raise
        except OutputError:
            if tries == POLICIES[OUTPUT].attempts:
                raise


def quarantined(unit: Unit, failures: tuple[Failure, ...]) -> dict[str, Any]:
    """Return the entry of run.json for a quarantined unit. The entry never quotes a page."""
    place = last_place(failures)
    return {
        "warc": unit.warc,
        "start": unit.start,
        "end": unit.end,
        "record": record_id(unit.warc, *place) if place else None,
        "attempts": by_class(failures),
        "reason": failures[-1].reason,
    }
