"""`corpus build`: archives in, corpus and ledger out.

plan units → the pass (one task per unit) → check that ranges tile and counts balance → compare → pack → manifest and
run.json. Everything before run.json lies under .work/, or is a part that counts only once run.json and the manifest
name it. So the same command takes up a run wherever it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from corpus.collective import Collective
from corpus.digests import digest
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.store import LocalStore, Store, as_json, open_store
from corpus.storage.swap import JOURNAL, finish_swap
from corpus.storage.task_commits import begin
from corpus.tables.pack import ROWS_PER_LEDGER_PART, plan_pack
from corpus.tables.verdicts import Verdicts
from corpus.version import versions
from jobs.build.compare import Comparison, alarm
from jobs.build.compare_documents import compare_documents, make_index
from jobs.build.compare_lines import compare_lines
from jobs.build.finish import finish, run_info
from jobs.build.plan import Build, Job, Plan, chosen_units, claim_folder, make_plan, make_units
from jobs.build.units import run_units
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import JobResult, Stopped, executing
from jobs.runner.folder import open_folder
from jobs.runner.progress import Progress
from jobs.runner.task_functions import pack_task


def build(job: Job, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Run a build to its end, or to the first stop signal. Raises CorpusError."""
    before = open_store(job.out)
    if isinstance(before, LocalStore) and before.size(JOURNAL) is not None:
        with before.only_run():  # a takedown was cut off, and its list is part of the plan
            finish_swap(before)
    plan = make_plan(job)
    make_units(job, plan, 1 << 40)  # finds an input that is no archive before anything is written
    store = open_folder(job.out)
    with store.only_run(), Stop() as stop:
        finished = claim_folder(store, plan)
        if finished is not None and finished["complete"]:
            if not job.keep_work:
                store.remove(".work")
            return JobResult(0, finished, already_done=True)
        units = chosen_units(job, plan, store)
        return carry_out(
            job, plan, store, make_engine, stop, progress, lambda run: complete(run, *run_units(run, units))
        )


def carry_out(
    job: Job, plan: Plan, store: Store, make_engine: Callable[[], Engine], stop: Stop, progress: Progress,
    work: Callable[[Build], JobResult],
) -> JobResult:  # fmt: skip
    """Start the engine, do the work of a build, and end the engine."""
    try:
        with executing(store, make_engine, stop, progress) as execution:
            return work(Build(job, plan, execution))
    except Stopped:
        return JobResult(128 + stop.signal)


def complete(
    run: Build, commits: list[Commit], given_up: list[dict[str, Any]],
    fill: Callable[[list[Commit], list[Verdicts]], list[Commit]] = lambda commits, verdicts: commits,
) -> JobResult:  # fmt: skip
    """Do all that comes after the pass: compare documents, pack, write run.json.

    `fill` is called with the verdicts before anything is packed, for commits that lack texts. Raises Stopped, and
    CorpusError.
    """
    job, plan, store = run.job, run.plan, run.execution.store
    begin(store, digest([[[one.key, one.sha256] for one in commits], job.dedup_memory]))
    # the versions of this process: a takedown has the identity of the run, which another version may have made
    depends = digest({"recipe": plan.identity["recipe"], "versions": versions()})
    common = {**run.payload(), "depends": depends}
    found: list[Verdicts] = []
    indexed: tuple[Comparison, Verdicts] | None = None
    for bound in job.recipe.stages:
        if not isinstance(bound.stage, Collective):
            continue
        against = plan.against if bound is job.indexed else []
        comparison = Comparison(
            run.execution, bound, common, commits, tuple(found), job.dedup_memory, against, costs=run.costs
        )
        compare = compare_documents if comparison.stage.compares == "documents" else compare_lines
        verdicts = compare(comparison)
        if verdicts is None:
            continue
        if reason := alarm(verdicts, job.alarm_rate):
            store.replace(".work/dedup.json", as_json(verdicts.facts))
            where = store.where(".work/dedup.json")
            return JobResult(4, alarm=f"{reason}. See {where}, then run again with another --alarm-rate.")
        found.append(verdicts)
        if bound is job.indexed:
            indexed = comparison, verdicts
    commits = fill(commits, found)
    parts = _pack(run, commits, found)
    index = make_index(*indexed) if indexed and run.keeps_signatures else None
    info = {**run_info(run, commits, found, parts, given_up), "index": index}
    finish(run, info, commits, parts)
    return JobResult(3 if given_up else 0, info)


def _pack(run: Build, commits: list[Commit], verdicts: list[Verdicts]) -> list[Commit]:
    """Return the commits of the output files. Raises Stopped."""
    job, store = run.job, run.execution.store
    packed = digest([*(commit.sha256 for commit in commits), *(one.digest for one in verdicts), job.index])
    if (store.get(".work/packed") or b"").decode() != packed:
        reached("before_pack")
        # files of an earlier, shorter set of units (a quarantined unit has come back) are no part of this one
        for file in ("run.json", "report.html"):
            store.discard(file)
        for folder in ("corpus", "ledger", "samples", "manifest", "index"):
            store.remove(folder)
        store.remove(".work/commits/pack")
        reached("pack_cleared")
        store.replace(".work/packed", packed.encode())
    columns = {name: kind.__name__ for name, kind in job.recipe.pipeline().columns.items()}
    tasks = plan_pack("corpus", commits, job.recipe.rows_per_part, verdicts)
    tasks += plan_pack("ledger", commits, ROWS_PER_LEDGER_PART, verdicts)
    tasks += plan_pack("samples", commits, 1 << 60, verdicts)  # one file
    if run.keeps_signatures:
        for stage in job.recipe.pipeline().collective:
            tasks += [task for task in plan_pack(stage.kind, commits, ROWS_PER_LEDGER_PART) if task.slices]
    payloads = [{**asdict(task), "store": store.location, "columns": columns} for task in tasks]
    return run.execution.commits("pack", pack_task, payloads)
