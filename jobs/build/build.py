"""`corpus build`: archives in, corpus and ledger out.

plan units → the pass (one task per unit) → check that ranges tile and counts balance → compare → pack → manifest and
run.json. All other files are under .work/, or are parts that count only when run.json and the manifest name them.
So the same command continues a run wherever it ended.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from corpus.collective import Collective
from corpus.cpus import usable_cpus
from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.net.urls import redact
from corpus.recipes import language_column
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.gathered import digest_of
from corpus.storage.manifest import write_manifest
from corpus.storage.store import LocalStore, Store, as_json, open_store
from corpus.storage.swap import JOURNAL, finish_swap
from corpus.storage.task_commits import begin
from corpus.tables.ledger import add_counts, balances
from corpus.tables.takedown import takedown_of
from corpus.tables.verdicts import Verdicts
from corpus.version import versions
from jobs.build.choose import check_chosen, choose
from jobs.build.compare import Comparison, alarm
from jobs.build.compare_documents import compare_documents, make_index
from jobs.build.compare_lines import compare_lines
from jobs.build.contents import plan_all
from jobs.build.inputs import LOOKED_UP, check_unchanged
from jobs.build.packing import pack
from jobs.build.passed import Passed, read_pass
from jobs.build.plan import OPTIONAL, Build, Job, Plan, claim_folder, first_size, make_plan
from jobs.build.units import run_units
from jobs.build.volumes import volume_size
from jobs.runner.derived import register
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import JobResult, Stopped, executing
from jobs.runner.folder import PLAN, open_folder
from jobs.runner.progress import Progress


def build(job: Job, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Run a build to its end, or to the first stop signal. Raises CorpusError."""
    before = open_store(job.out)
    if isinstance(before, LocalStore) and before.size(JOURNAL) is not None:
        with before.only_run():  # if a takedown was interrupted, its list is part of the plan
            finish_swap(before)
    plan = make_plan(job, LOOKED_UP if before.get("run.json") is None or before.get(PLAN) is not None else None)
    if plan.columns is not None:
        progress.note(f"Columns: {plan.columns}")
    plan_all(plan.known, 1 << 40, plan.columns)  # finds an input that is not an archive before anything is written
    store = open_folder(job.out)
    with store.only_run(job.share), Stop() as stop:
        finished = claim_folder(store, plan)
        for earlier in job.against:
            register(earlier, "run", job.out)
        if finished is not None and finished["complete"]:
            if plan.index:
                plan.inputs = check_chosen(plan.index, plan.inputs, finished)
            check_unchanged(store, plan.inputs)
            if not job.keep_work:
                store.remove(".work")
            return JobResult(0, finished, already_done=True)
        return carry_out(job, plan, store, make_engine, stop, progress, _build)


def _build(run: Build) -> JobResult:
    job, plan, execution = run.job, run.plan, run.execution
    chosen = None
    if job.choice is not None:
        size = volume_size(plan.inputs, chosen=True)
        chosen = choose(execution, job.choice, plan.index, plan.inputs, job.base, size)
        execution.progress.note(f"Chosen: {chosen.captures:,} pages, {chosen.bytes:,} bytes.")
    unit_bytes = first_size(job, plan, execution.store, chosen.bytes if chosen else None)
    return complete(run, *run_units(run, unit_bytes, chosen))


def carry_out(
    job: Job, plan: Plan, store: Store, make_engine: Callable[[], Engine], stop: Stop, progress: Progress,
    work: Callable[[Build], JobResult],
) -> JobResult:  # fmt: skip
    """Start the engine, do the work of a build, and stop the engine."""
    try:
        with executing(store, make_engine, stop, progress) as execution:
            return work(Build(job, plan, execution))
    except Stopped:
        return JobResult(128 + stop.signal)


def complete(
    run: Build, commits: Sequence[Commit], given_up: list[dict[str, Any]],
    fill: Callable[[Sequence[Commit], list[Verdicts]], Sequence[Commit]] = lambda commits, verdicts: commits,
) -> JobResult:  # fmt: skip
    """Do everything that comes after the pass: compare documents, pack, write run.json.

    Before packing, `fill` is called with the verdicts, for commits that lack texts. Raises Stopped, and CorpusError.
    """
    job, plan, store = run.job, run.plan, run.execution.store
    begin(store, digest([digest_of(commits), job.dedup_memory]))
    passed = read_pass(run.execution, commits)
    # The versions of this process. The identity has those of the run, which another version may have made.
    depends = digest({"recipe": plan.identity["recipe"], "versions": versions()})
    common = {**run.payload(), "depends": depends}
    found: list[Verdicts] = []
    indexed: tuple[Comparison, Verdicts] | None = None
    for bound in job.recipe.stages:
        if not isinstance(bound.stage, Collective):
            continue
        against = plan.against if bound is job.indexed else []
        comparison = Comparison(
            run.execution, bound, common, passed.units, tuple(found), job.dedup_memory, against, costs=run.costs
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
    if (filled := fill(commits, found)) is not commits:
        passed = read_pass(run.execution, filled)
    parts = pack(run, passed.units, found)
    index = make_index(*indexed) if indexed and run.keeps_signatures else None
    info = {**run_info(run, passed, found, parts, given_up), "index": index}
    finish(run, info, passed.costs, parts)
    return JobResult(3 if given_up else 0, info)


def run_info(
    run: Build, passed: Passed, verdicts: list[Verdicts], parts: list[Commit], given_up: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the content of run.json. Raises IntegrityError if the counts do not balance."""
    identity, recipe = run.plan.whole(), run.job.recipe
    counts = passed.counts
    for one in verdicts:
        if sum(one.removed):
            counts["kept"] -= sum(one.removed)
            add_counts(counts, {"dropped": {one.compared.stage: one.rules}})
    rows = {kind: sum(c.parts[0].rows for c in parts if c.parts[0].kind == kind) for kind in ("corpus", "ledger")}
    if not balances(counts) or rows["ledger"] != counts["in"] or rows["corpus"] != counts["kept"]:
        raise IntegrityError(f"The records do not balance: {counts}, rows written {rows}.", "Please report this.")
    chosen = identity["chosen"]["captures"] if "chosen" in identity and not given_up else counts["in"]
    if counts["in"] != chosen:
        raise IntegrityError(f"{chosen} pages were chosen, but {counts['in']} were read.", "Please report this.")
    return {
        "complete": not given_up,
        **{key: identity[key] for key in ("recipe", "resources", "versions")},
        "fingerprint": run.plan.fingerprint,
        # an input that could not be looked up has no size and no identity
        "inputs": [{"name": "", "bytes": 0, "identity": "", **item} for item in identity["inputs"]],
        **{key: identity[key] for key in ("against", "removed")},
        **{key: identity[key] for key in OPTIONAL if key in identity},
        **({"removed_urls": "sha256"} if takedown_of(run.execution.store).hides else {}),
        "records": counts,
        "other_records": passed.others,
        "columns": {name: kind.__name__ for name, kind in recipe.pipeline().columns.items()},
        "language": language_column(recipe.stages),
        "compared": {
            bound.name: {"compares": bound.stage.compares, "kind": bound.stage.kind, "measures": bound.stage.evidence}
            for bound in recipe.stages
            if isinstance(bound.stage, Collective)
        },
        "dedup": _facts(verdicts, "documents", run.job.indexed.name if run.job.indexed else ""),
        "lines": _facts(verdicts, "lines"),
        "comparisons": {one.compared.stage: one.facts for one in verdicts},
        "exceptions": passed.exceptions,
        "quarantined": given_up,
    }


def _facts(verdicts: list[Verdicts], compares: str, stage: str = "") -> dict[str, Any] | None:
    """Return the facts of the comparison by `stage`, or else of the first comparison of this kind."""
    found = [one for one in verdicts if one.compared.compares == compares]
    chosen = [one for one in found if one.compared.stage == stage] or found
    return chosen[0].facts if chosen else None


def finish(run: Build, info: dict[str, Any], costs: dict[str, Any], parts: list[Commit]) -> None:
    """Write the manifest, timings.json and, last, run.json. Then remove intermediate files. Raises Stopped."""
    store = run.execution.store
    if not info["complete"]:
        store.discard("run.json")  # an earlier try may have left it, with as many units but other reasons
    # rules in alphabetical order, because the order of counting depends on the units
    records = json.loads(json.dumps(info["records"], sort_keys=True))
    run_json = store.get("run.json") or as_json({**info, "records": records})
    reached("before_manifest")
    listing = partial(run.execution.follow, "manifest", count=len(parts))
    write_manifest(store, [commit.parts[0] for commit in parts], run_json, listing)
    reached("after_manifest")
    failed = run.execution.engine.tally
    timings = {
        "seconds": round(time.monotonic() - run.started, 1),
        "host": socket.gethostname(),
        "argv": [redact(argument).encode("utf-8", "replace").decode() for argument in sys.argv],
        "cpus": usable_cpus(),
        "dedup": run.costs,
        "failed_tries": {task: dict(sorted(counts.items())) for task, counts in sorted(failed.items())},
        "inputs": {item.name: redact(item.path) for item in run.plan.inputs},
        **costs,
        "seen": [*run.plan.seen, *costs["seen"]],
    }
    store.replace("timings.json", as_json(timings))
    reached("before_run_json")
    store.put_new("run.json", run_json)
    reached("after_run_json")
    if info["complete"] and not run.job.keep_work:
        store.remove(".work")
        reached("work_removed")
