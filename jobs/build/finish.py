"""The end of a build: run.json, whose counts must balance, the manifest, and timings.json."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import dataclass
from typing import Any

from corpus.collective import Collective
from corpus.errors import IntegrityError
from corpus.net.urls import redact
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.manifest import write_manifest
from corpus.storage.store import Store, as_json
from corpus.tables.ledger import add_counts, balances, no_counts
from corpus.tables.verdicts import Verdicts
from jobs.build.plan import Job, Plan


def run_info(
    job: Job,
    plan: Plan,
    commits: list[Commit],
    verdicts: list[Verdicts],
    parts: list[Commit],
    given_up: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return the content of run.json. Raises IntegrityError if the counts do not balance."""
    counts, others = no_counts(), dict[str, int]()
    exceptions = []
    for commit in commits:
        add_counts(counts, commit.facts["counts"])
        add_counts(others, commit.facts["other_records"])
        exceptions += commit.facts["exceptions"]
    for one in verdicts:
        if sum(one.removed):
            counts["kept"] -= sum(one.removed)
            add_counts(counts, {"dropped": {one.compared.stage: one.rules}})
    rows = {kind: sum(c.parts[0].rows for c in parts if c.parts[0].kind == kind) for kind in ("corpus", "ledger")}
    if not balances(counts) or rows["ledger"] != counts["in"] or rows["corpus"] != counts["kept"]:
        raise IntegrityError(f"The records do not balance: {counts}, rows written {rows}.", "Please report this.")
    return {
        "complete": not given_up,
        "recipe": plan.identity["recipe"],
        "resources": plan.identity["resources"],
        "versions": plan.identity["versions"],
        "fingerprint": plan.fingerprint,
        "inputs": plan.identity["inputs"],
        "against": plan.identity["against"],
        "removed": plan.identity["removed"],
        "records": counts,
        "other_records": dict(sorted(others.items())),
        "columns": {name: kind.__name__ for name, kind in job.recipe.pipeline().columns.items()},
        "compared": {
            bound.name: {"compares": bound.stage.compares, "kind": bound.stage.kind, "measures": bound.stage.evidence}
            for bound in job.recipe.stages
            if isinstance(bound.stage, Collective)
        },
        "dedup": _facts(verdicts, "documents", plan.indexed),
        "lines": _facts(verdicts, "lines"),
        "comparisons": {one.compared.stage: one.facts for one in verdicts},
        "exceptions": exceptions,
        "quarantined": given_up,
    }


def _facts(verdicts: list[Verdicts], compares: str, stage: str = "") -> dict[str, Any] | None:
    """Return the facts of a comparison: that of `stage`, or else the first of its kind."""
    found = [one for one in verdicts if one.compared.compares == compares]
    chosen = [one for one in found if one.compared.stage == stage] or found
    return chosen[0].facts if chosen else None


_COSTS = ("seconds", "stages", "read", "failed_tries")
"""The facts of a unit's commit that go into timings.json: seconds by the clock, CPU time by stage, pages that were read
again, and failed attempts by class."""


@dataclass(frozen=True)
class Finished:
    """A build whose output files are written: run.json, the commits of units and files, and what it took."""

    info: dict[str, Any]
    commits: list[Commit]
    parts: list[Commit]
    seconds: float
    dedup: dict[str, Any]
    failed_tries: dict[str, dict[str, int]]


def finish(job: Job, plan: Plan, store: Store, done: Finished) -> None:
    """Write the manifest, timings.json and, last, run.json. Then remove intermediate files."""
    info = done.info
    if not info["complete"]:
        store.discard("run.json")  # of an earlier try with as many units, but other reasons
    run_json = store.get("run.json") or as_json(_sorted_counts(info))
    reached("before_manifest")
    write_manifest(store, [commit.parts[0] for commit in done.parts], run_json)
    reached("after_manifest")
    timings = {
        "seconds": round(done.seconds, 1),
        "host": socket.gethostname(),
        "argv": [redact(argument) for argument in sys.argv],
        "cpus": os.cpu_count(),
        "dedup": done.dedup,
        "failed_tries": done.failed_tries,
        "inputs": {item.name: redact(item.path) for item in plan.inputs},
        "units": [
            commit.facts["unit"] | {key: commit.facts[key] for key in _COSTS if key in commit.facts}
            for commit in done.commits
        ],
    }
    store.replace("timings.json", as_json(timings))
    reached("before_run_json")
    store.put_new("run.json", run_json)
    reached("after_run_json")
    if info["complete"] and not job.keep_work:
        store.remove(".work")
        reached("work_removed")


def _sorted_counts(info: dict[str, Any]) -> dict[str, Any]:
    """Return `info` with its rules in alphabetical order, since the order of counting depends on the units."""
    return {**info, "records": json.loads(json.dumps(info["records"], sort_keys=True))}
