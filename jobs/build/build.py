"""`corpus build`: archives in, corpus and ledger out.

plan units → the pass (one task per unit) → check that ranges tile and counts balance → pack → manifest and run.json.
Everything before run.json lies under .work/ or is a part that only run.json and the manifest make count, so the
same command takes up a run wherever it ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from corpus.digests import digest
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.store import LocalStore, Store, as_json, open_store
from corpus.storage.swap import JOURNAL, finish_swap
from corpus.storage.task_commits import begin
from corpus.tables.pack import ROWS_PER_LEDGER_PART, plan_pack
from jobs.build.compare_documents import Compared, Dedup, alarm
from jobs.build.compare_lines import Lines, LinesCompared, lines_alarm
from jobs.build.finish import finish, run_info
from jobs.build.plan import Job, Plan, chosen_units, claim_folder, make_plan, make_units
from jobs.build.units import run_units
from jobs.runner.engine import Engine, Stop
from jobs.runner.folder import open_folder
from jobs.runner.phases import Stopped, end_work, run_commits
from jobs.runner.progress import Progress
from jobs.runner.task_functions import pack_task


@dataclass
class Result:
    """How a build ended: `exit_code` as the command line gives it, and what run.json says."""

    exit_code: int
    info: dict[str, Any] | None = None
    already_done: bool = False
    alarm: str = ""
    """Why the run stopped before it was packed."""


def build(job: Job, make_engine: Callable[[], Engine], progress: Progress) -> Result:
    """Run a build to its end, or to the first stop signal. Raises CorpusError."""
    before = open_store(job.out)
    if isinstance(before, LocalStore) and before.size(JOURNAL) is not None:
        with before.only_run():  # a takedown was cut off: what it says is part of the plan
            finish_swap(before)
    plan = make_plan(job)
    make_units(job, plan, 1 << 40)  # an input that is none is found before anything is written
    store = open_folder(job.out)
    with store.only_run(), Stop() as stop:
        finished = claim_folder(store, plan)
        if finished is not None and finished["complete"]:
            if not job.keep_work:
                store.remove(".work")
            return Result(0, finished, already_done=True)
        started = time.monotonic()
        units = chosen_units(job, plan, store)
        engine = make_engine()
        try:
            commits, given_up = run_units(job, plan, units, store, engine, stop, progress)
            if stop.asked():
                return Result(128 + stop.signal)
            return complete(job, plan, store, engine, stop, progress, commits, given_up, started)
        except Stopped:
            return Result(128 + stop.signal)
        finally:
            end_work(engine, stop, progress)


Fill = Callable[[list[Commit], Compared | None], list[Commit]]


def complete(
    job: Job,
    plan: Plan,
    store: Store,
    engine: Engine,
    stop: Stop,
    progress: Progress,
    commits: list[Commit],
    given_up: list[dict[str, Any]],
    started: float,
    fill: Fill = lambda commits, compared: commits,
) -> Result:
    """From what the pass left to run.json: compare documents, pack, write. `fill` is called with what was found, before
    anything is packed. Raises Stopped, and CorpusError."""
    begin(store, digest([[[one.key, one.sha256] for one in commits], job.dedup_memory]))
    dedup = _dedup(job, plan, store, engine, stop, progress)
    compared = dedup.compare(commits) if dedup else None
    reason = alarm(compared.info, job.alarm_rate) if compared else ""
    if reason:
        return _alarmed(store, reason, compared.info if compared else None)
    by_lines = _lines(job, plan, store, engine, stop, progress)
    lines = by_lines.compare(commits, compared.verdicts if compared else None) if by_lines else None
    reason = lines_alarm(lines.info, job.alarm_rate) if lines else ""
    if reason:
        return _alarmed(store, reason, lines.info if lines else None)
    commits = fill(commits, compared)
    parts = _pack(job, store, engine, stop, progress, commits, compared, lines)
    # a document that loses lines is no longer what its signature says
    has_index = dedup and compared and job.index and not lines
    index = dedup.index(commits, compared) if dedup and compared and has_index else None
    info = run_info(job, plan, commits, compared, lines, parts, given_up)
    info["index"] = index
    costs = (dedup.costs if dedup else {}) | (by_lines.costs if by_lines else {})
    finish(job, plan, store, info, commits, parts, time.monotonic() - started, costs, engine.tally.as_dict())
    return Result(3 if given_up else 0, info)


def _alarmed(store: Store, reason: str, facts: dict[str, Any] | None) -> Result:
    """The end of a run that would remove too much, and what it found so far."""
    store.replace(".work/dedup.json", as_json(facts))
    where = store.where(".work/dedup.json")
    return Result(4, alarm=f"{reason}. See {where}, then run again with another --alarm-rate.")


def _dedup(job: Job, plan: Plan, store: Store, engine: Engine, stop: Stop, progress: Progress) -> Dedup | None:
    """The dedup of a run; None where the recipe compares no documents."""
    bound = job.recipe.pipeline().dedup
    if bound is None:
        return None
    common = _task_payload(job, plan, store)
    return Dedup(store, bound, common, engine, stop, progress, job.dedup_memory, plan.against)


def _lines(job: Job, plan: Plan, store: Store, engine: Engine, stop: Stop, progress: Progress) -> Lines | None:
    """The dedup by lines of a run; None where the recipe compares none."""
    bound = job.recipe.pipeline().lines
    if bound is None:
        return None
    common = _task_payload(job, plan, store)
    return Lines(store, bound, common, engine, stop, progress, job.dedup_memory)


def _task_payload(job: Job, plan: Plan, store: Store) -> dict[str, Any]:
    """What every task of dedup is given."""
    return {
        "store": store.place,
        "recipe": job.recipe.canonical(),
        "factory": job.factory,
        "modules": [[module.name, module.source] for module in job.modules],
        "depends": digest({key: plan.identity[key] for key in ("recipe", "versions")}),
    }


def _pack(
    job: Job,
    store: Store,
    engine: Engine,
    stop: Stop,
    progress: Progress,
    commits: list[Commit],
    compared: Compared | None,
    lines: LinesCompared | None,
) -> list[Commit]:
    """The commits of the output files. Raises Stopped."""
    found = [one.digest if one else "" for one in (compared, lines)]
    packed = digest([*(commit.sha256 for commit in commits), *found, job.index])
    if (store.get(".work/packed") or b"").decode() != packed:
        reached("before_pack")
        # what an earlier, shorter set of units left (a quarantined unit has come back) is no part of this one
        for file in ("run.json", "report.html"):
            store.discard(file)
        for folder in ("corpus", "ledger", "samples", "manifest", "index"):
            store.remove(folder)
        store.remove(".work/commits/pack")
        reached("pack_cleared")
        store.replace(".work/packed", packed.encode())
    columns = {name: kind.__name__ for name, kind in job.recipe.pipeline().columns.items()}
    said = (compared.verdicts if compared else None, lines.cuts if lines else None)
    tasks = plan_pack("corpus", commits, job.recipe.rows_per_part, *said)
    tasks += plan_pack("ledger", commits, ROWS_PER_LEDGER_PART, *said)
    tasks += plan_pack("samples", commits, _ALL, *said)
    if job.index and job.recipe.pipeline().dedup and not job.recipe.pipeline().lines:
        tasks += [task for task in plan_pack("signatures", commits, ROWS_PER_LEDGER_PART) if task.slices]
    payloads = [{**asdict(task), "store": store.place, "columns": columns} for task in tasks]
    return run_commits("pack", pack_task, payloads, engine, stop, progress)


_ALL = 1 << 60
