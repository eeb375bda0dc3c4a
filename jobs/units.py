"""The pass: one task per unit, until the ranges that were read tile every archive."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from corpus.commits import Commit
from corpus.errors import InputChanged, InputUnreachable, IntegrityError
from corpus.recipe import digest
from corpus.store import Store
from corpus.takedown import FILE as TAKEN_DOWN
from corpus.unit import Unit
from jobs.engine import Engine, Stop, run
from jobs.plan import Job, Plan
from jobs.progress import Progress
from jobs.tasks import commit_from_dict, run_unit_task

LOST_IN_A_ROW = 4
"""Units in a row that no server gave, or two per worker if that is more: then it is not one file, and the run stops."""


def run_units(
    job: Job, plan: Plan, units: list[Unit], store: Store, engine: Engine, stop: Stop, progress: Progress
) -> tuple[list[Commit], list[dict[str, Any]]]:
    """The commits of all units in (WARC, offset) order, and the units that were given up."""
    depends = digest({key: plan.identity[key] for key in ("recipe", "resources", "versions", "removed")})
    common = {
        "store": store.place,
        "recipe": job.recipe.canonical(),
        "factory": job.factory,
        "modules": [[module.name, module.source] for module in job.modules],
        "guard": asdict(job.guard),
        "depends": depends,
        "taken": store.size(TAKEN_DOWN) is not None,
    }
    done: dict[Unit, Commit] = {}
    while True:
        given_up: dict[Unit, list[str]] = {}
        lost = 0
        todo = [unit for unit in units if unit not in done]
        progress.start("pass", len(units), sum(unit.end - unit.start for unit in units), done=len(units) - len(todo))
        for answer in run(engine, run_unit_task, ({"unit": unit.as_dict(), **common} for unit in todo), stop):
            unit = Unit(**answer.payload["unit"])
            if answer.result is None:
                kind, _, reason = answer.failures[-1].partition(": ")
                lost += kind == "unreachable"
                if kind == "changed" or lost >= max(LOST_IN_A_ROW, 2 * engine.workers):
                    progress.end()
                    raise InputChanged(reason) if kind == "changed" else InputUnreachable(reason)
                given_up[unit] = list(answer.failures)
            else:
                lost = 0
                done[unit] = commit_from_dict(answer.result)
                progress.unit_done(unit.end - unit.start, done[unit].about["counts"])
        progress.end()
        if stop.asked():
            return [], []
        false_starts = untiled(units, done)
        if not false_starts:
            break
        units = merge(units, false_starts)
        done = {unit: commit for unit, commit in done.items() if unit in set(units)}
    quarantine = [
        {"warc": unit.warc, "start": unit.start, "end": unit.end, "attempts": reasons}
        for unit, reasons in given_up.items()
    ]
    return [done[unit] for unit in units if unit in done], quarantine


def untiled(units: list[Unit], done: dict[Unit, Commit]) -> set[Unit]:
    """The units that do not start where the one before them ended: their start lay inside a member.

    Raises IntegrityError where an archive's last unit did not reach its end.
    """
    wrong = set()
    for unit, after in zip(units, [*units[1:], None], strict=True):
        if unit not in done:
            continue
        reached = done[unit].about["reached"]
        if after is not None and after.warc == unit.warc:
            if reached != after.start:
                wrong.add(after)
        elif unit.format == "members" and reached != unit.end:
            raise IntegrityError(
                f"{unit.warc} was read up to byte {reached} of {unit.end}.", "Please report this file."
            )
    return wrong


def merge(units: list[Unit], false_starts: set[Unit]) -> list[Unit]:
    """Each unit with a false start becomes the end of the unit before it."""
    merged: list[Unit] = []
    for unit in units:
        if unit in false_starts:
            before = merged.pop()
            merged.append(Unit(**{**before.as_dict(), "end": unit.end}))
        else:
            merged.append(unit)
    return merged
