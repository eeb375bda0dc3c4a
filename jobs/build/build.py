"""`corpus build`: archives in, corpus and ledger out.

plan units → the pass (one task per unit) → check that ranges tile and counts balance → compare → pack → manifest and
run.json. Everything before run.json lies under .work/, or is a part that counts only once run.json and the manifest
name it. So the same command takes up a run wherever it ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from corpus.collective import Collective
from corpus.digests import digest
from corpus.stage import BoundStage
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.store import LocalStore, Store, as_json, open_store
from corpus.storage.swap import JOURNAL, finish_swap
from corpus.storage.task_commits import begin
from corpus.tables.pack import ROWS_PER_LEDGER_PART, plan_pack
from corpus.tables.verdicts import Verdicts
from jobs.build.compare import Comparison
from jobs.build.compare_documents import compare_documents, documents_alarm, make_index
from jobs.build.compare_lines import compare_lines, lines_alarm
from jobs.build.finish import Finished, finish, run_info
from jobs.build.plan import Job, Plan, chosen_units, claim_folder, make_plan, make_units
from jobs.build.units import run_units
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import Execution, Stopped, executing
from jobs.runner.folder import open_folder
from jobs.runner.progress import Progress
from jobs.runner.task_functions import pack_task

_ALL = 1 << 60


@dataclass
class Result:
    """The end of a build: `exit_code` as the command line gives it, and the content of run.json."""

    exit_code: int
    info: dict[str, Any] | None = None
    already_done: bool = False
    alarm: str = ""
    """Why the run stopped before it was packed."""


@dataclass
class Build:
    """A build that is running."""

    job: Job
    plan: Plan
    execution: Execution
    started: float = field(default_factory=time.monotonic)
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """What each phase of a comparison took."""

    @property
    def store(self) -> Store:
        return self.execution.store

    @property
    def collective(self) -> list[BoundStage]:
        return [bound for bound in self.job.recipe.stages if isinstance(bound.stage, Collective)]

    @property
    def keeps_signatures(self) -> bool:
        """Whether the run keeps its signatures. A document that loses lines is no longer what its signature says."""
        return self.job.index and all(
            isinstance(bound.stage, Collective) and bound.stage.compares == "documents" for bound in self.collective
        )


def build(job: Job, make_engine: Callable[[], Engine], progress: Progress) -> Result:
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
            return Result(0, finished, already_done=True)
        units = chosen_units(job, plan, store)
        return carry_out(job, plan, store, make_engine, stop, progress, lambda run: complete(run, *run_units(
            job, plan, units, run.execution)))  # fmt: skip


def carry_out(
    job: Job, plan: Plan, store: Store, make_engine: Callable[[], Engine], stop: Stop, progress: Progress,
    work: Callable[[Build], Result],
) -> Result:  # fmt: skip
    """Start the engine, do the work of a build, and end the engine."""
    try:
        with executing(store, make_engine, stop, progress) as execution:
            return work(Build(job, plan, execution))
    except Stopped:
        return Result(128 + stop.signal)


Fill = Callable[[list[Commit], list[Verdicts]], list[Commit]]


def complete(
    run: Build,
    commits: list[Commit],
    given_up: list[dict[str, Any]],
    fill: Fill = lambda commits, verdicts: commits,
) -> Result:
    """Do all that comes after the pass: compare documents, pack, write run.json.

    `fill` is called with the verdicts before anything is packed, for commits that lack texts. Raises Stopped, and
    CorpusError.
    """
    job, store = run.job, run.store
    begin(store, digest([[[one.key, one.sha256] for one in commits], job.dedup_memory]))
    found: list[Verdicts] = []
    indexed: Comparison | None = None
    for bound in run.collective:
        comparison = _comparison(run, bound, commits, found)
        verdicts = _compare(comparison)
        if verdicts is None:
            continue
        by_documents = verdicts.compared.compares == "documents"
        reason = (documents_alarm if by_documents else lines_alarm)(verdicts.facts, job.alarm_rate)
        if reason:
            store.replace(".work/dedup.json", as_json(verdicts.facts))
            where = store.where(".work/dedup.json")
            return Result(4, alarm=f"{reason}. See {where}, then run again with another --alarm-rate.")
        found.append(verdicts)
        if by_documents and run.plan.indexed == bound.name:
            indexed = comparison
    commits = fill(commits, found)
    parts = _pack(run, commits, found)
    index = None
    if indexed is not None and run.keeps_signatures:
        index = make_index(indexed, next(one for one in found if one.compared.stage == indexed.bound.name))
    info = run_info(job, run.plan, commits, found, parts, given_up)
    info["index"] = index
    finish(run.job, run.plan, store, Finished(info, commits, parts, time.monotonic() - run.started, run.costs,
                                              run.execution.engine.tally.as_dict()))  # fmt: skip
    return Result(3 if given_up else 0, info)


def _comparison(run: Build, bound: BoundStage, commits: list[Commit], before: list[Verdicts]) -> Comparison:
    depends = digest({key: run.plan.identity[key] for key in ("recipe", "versions")})
    common = {"store": run.store.location, **run.job.recipe_payload(), "depends": depends}
    against = run.plan.against if run.plan.indexed == bound.name else []
    return Comparison(
        run.execution, bound, common, commits, tuple(before), run.job.dedup_memory, against, {}, run.costs
    )


def _compare(comparison: Comparison) -> Verdicts | None:
    by_documents = comparison.stage.compares == "documents"
    return compare_documents(comparison) if by_documents else compare_lines(comparison)


def _pack(run: Build, commits: list[Commit], verdicts: list[Verdicts]) -> list[Commit]:
    """Return the commits of the output files. Raises Stopped."""
    job, store = run.job, run.store
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
    tasks += plan_pack("samples", commits, _ALL, verdicts)
    if run.keeps_signatures:
        for stage in job.recipe.pipeline().collective:
            tasks += [task for task in plan_pack(stage.kind, commits, ROWS_PER_LEDGER_PART) if task.slices]
    payloads = [{**asdict(task), "store": store.location, "columns": columns} for task in tasks]
    return run.execution.commits("pack", pack_task, payloads)
