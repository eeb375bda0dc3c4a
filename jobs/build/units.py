"""The pass: one task per unit, until the units tile every archive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from corpus.digests import digest
from corpus.errors import InputChanged, InputUnreachable, IntegrityError
from corpus.sandbox.unit import Unit
from corpus.storage.commits import Commit
from corpus.warc.record import record_id
from jobs.build.plan import Build
from jobs.runner.engine import Task, run
from jobs.runner.execution import Stopped
from jobs.runner.retries import CHANGED, UNREACHABLE, Failure, by_class, last_place
from jobs.runner.task_functions import run_unit_task

LOST_IN_A_ROW = 4
"""The run stops if this many units in a row can't be fetched, or two per worker if that is more.

Then the server is probably down.
"""


def run_units(build: Build, units: list[Unit]) -> tuple[list[Commit], list[dict[str, Any]]]:
    """Return the commits of all units in (archive, offset) order, and the quarantined units. Raises Stopped."""
    execution, progress = build.execution, build.execution.progress
    depends = digest({key: build.plan.identity[key] for key in ("recipe", "resources", "versions", "removed")})
    common = {**build.payload(), "depends": depends}
    done: dict[Unit, Commit] = {}
    while True:
        given_up: dict[Unit, tuple[Failure, ...]] = {}
        lost = 0
        todo = [unit for unit in units if unit not in done]
        progress.start("pass", len(units), done=len(units) - len(todo))
        tasks = (Task(run_unit_task, {"unit": unit.as_dict(), **_own(build, unit), **common}) for unit in todo)
        for answer in run(execution.engine, tasks, execution.stop):
            unit = Unit(**answer.payload["unit"])
            if answer.result is None:
                last = answer.failures[-1]
                lost += last.kind == UNREACHABLE
                if last.kind == CHANGED or lost >= max(LOST_IN_A_ROW, 2 * execution.engine.workers):
                    progress.end()
                    raise InputChanged(last.reason) if last.kind == CHANGED else InputUnreachable(last.reason)
                given_up[unit] = answer.failures
            else:
                lost = 0
                done[unit] = Commit.from_dict(answer.result)
                if answer.failures:  # these failures belong to this process, not to the commit
                    done[unit].facts["failed_tries"] = by_class(answer.failures)
                progress.unit_done(done[unit].facts["counts"])
        progress.end()
        if execution.stop.asked():
            raise Stopped
        false_starts = untiled(units, done)
        if not false_starts:
            break
        units = merge(units, false_starts)
        done = {unit: commit for unit, commit in done.items() if unit in set(units)}
    quarantine = [quarantined(unit, given_up[unit]) for unit in units if unit in given_up]
    return [done[unit] for unit in units if unit in done], quarantine


def _own(build: Build, unit: Unit) -> dict[str, Any]:
    """Return the payload of a unit that is not shared: its deadline, and the file in which its worker names the current
    record.
    """
    limit, guard = build.job.unit_seconds, build.job.guard
    limit = guard.unit_wall_s(unit.end - unit.start) if limit is None else limit
    return {"wall_s": limit, "footprint": str(build.execution.store.scratch().resolve())}


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


def untiled(units: list[Unit], done: dict[Unit, Commit]) -> set[Unit]:
    """Return the units that do not start where the unit before them ended. Their start is inside a member.

    Raises IntegrityError if the last unit of an archive did not reach the archive's end.
    """
    wrong = set()
    for unit, after in zip(units, [*units[1:], None], strict=True):
        if unit not in done:
            continue
        reached = done[unit].facts["reached"]
        if after is not None and after.warc == unit.warc:
            if reached != after.start:
                wrong.add(after)
        elif unit.layout == "members" and reached != unit.end:
            short = f"{unit.warc} was read up to byte {reached} of {unit.end}."
            raise IntegrityError(short, "Please report this file.")
    return wrong


def merge(units: list[Unit], false_starts: set[Unit]) -> list[Unit]:
    """Return the units with each false start joined to the unit before it."""
    merged: list[Unit] = []
    for unit in units:
        if unit in false_starts:
            merged[-1] = replace(merged[-1], end=unit.end)
        else:
            merged.append(unit)
    return merged
