"""The end of a build: run.json, whose counts must balance, the manifest, and timings.json."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import Any

from corpus.collective import Collective
from corpus.errors import IntegrityError
from corpus.net.urls import redact
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.manifest import write_manifest
from corpus.storage.store import as_json
from corpus.tables.ledger import add_counts, balances, no_counts
from corpus.tables.verdicts import Verdicts
from jobs.build.plan import Build


def run_info(
    run: Build, commits: list[Commit], verdicts: list[Verdicts], parts: list[Commit], given_up: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the content of run.json. Raises IntegrityError if the counts do not balance."""
    identity, recipe = run.plan.identity, run.job.recipe
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
        **{key: identity[key] for key in ("recipe", "resources", "versions")},
        "fingerprint": run.plan.fingerprint,
        **{key: identity[key] for key in ("inputs", "against", "removed")},
        "records": counts,
        "other_records": dict(sorted(others.items())),
        "columns": {name: kind.__name__ for name, kind in recipe.pipeline().columns.items()},
        "compared": {
            bound.name: {"compares": bound.stage.compares, "kind": bound.stage.kind, "measures": bound.stage.evidence}
            for bound in recipe.stages
            if isinstance(bound.stage, Collective)
        },
        "dedup": _facts(verdicts, "documents", run.job.indexed.name if run.job.indexed else ""),
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


def finish(run: Build, info: dict[str, Any], commits: list[Commit], parts: list[Commit]) -> None:
    """Write the manifest, timings.json and, last, run.json. Then remove intermediate files."""
    store = run.execution.store
    if not info["complete"]:
        store.discard("run.json")  # of an earlier try with as many units, but other reasons
    run_json = store.get("run.json") or as_json(_sorted_counts(info))
    reached("before_manifest")
    write_manifest(store, [commit.parts[0] for commit in parts], run_json)
    reached("after_manifest")
    failed = run.execution.engine.tally
    timings = {
        "seconds": round(time.monotonic() - run.started, 1),
        "host": socket.gethostname(),
        "argv": [redact(argument) for argument in sys.argv],
        "cpus": os.cpu_count(),
        "dedup": run.costs,
        "failed_tries": {task: dict(sorted(counts.items())) for task, counts in sorted(failed.items())},
        "inputs": {item.name: redact(item.path) for item in run.plan.inputs},
        "units": [
            commit.facts["unit"] | {key: commit.facts[key] for key in _COSTS if key in commit.facts}
            for commit in commits
        ],
    }
    store.replace("timings.json", as_json(timings))
    reached("before_run_json")
    store.put_new("run.json", run_json)
    reached("after_run_json")
    if info["complete"] and not run.job.keep_work:
        store.remove(".work")
        reached("work_removed")


def _sorted_counts(info: dict[str, Any]) -> dict[str, Any]:
    """Return `info` with its rules in alphabetical order, since the order of counting depends on the units."""
    return {**info, "records": json.loads(json.dumps(info["records"], sort_keys=True))}
