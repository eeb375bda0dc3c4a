"""The end of a build: run.json, whose books must balance, the manifest, and what may differ between two runs."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

from corpus.collective import Collective
from corpus.errors import IntegrityError
from corpus.net.urls import redact
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.manifest import write_manifest
from corpus.storage.store import Store, as_json
from corpus.tables.ledger import add_counts, balances, no_counts
from jobs.build.compare_documents import Compared
from jobs.build.compare_lines import LinesCompared
from jobs.build.plan import Job, Plan


def run_info(
    job: Job,
    plan: Plan,
    commits: list[Commit],
    compared: Compared | None,
    lines: LinesCompared | None,
    parts: list[Commit],
    given_up: list[dict[str, Any]],
) -> dict[str, Any]:
    """The content of run.json. Raises IntegrityError where the books do not balance."""
    counts, others = no_counts(), dict[str, int]()
    exceptions = []
    for commit in commits:
        add_counts(counts, commit.about["counts"])
        add_counts(others, commit.about["other_records"])
        exceptions += commit.about["exceptions"]
    if compared and compared.removed:
        counts["kept"] -= compared.removed
        add_counts(counts, {"dropped": {compared.verdicts.stage: {"similarity": compared.removed}}})
    if lines and sum(lines.cuts.dropped):
        counts["kept"] -= sum(lines.cuts.dropped)
        add_counts(counts, {"dropped": {lines.cuts.stage: lines.info["removed"]["documents"]}})
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
            bound.name: bound.stage.kind for bound in job.recipe.stages if isinstance(bound.stage, Collective)
        },
        "dedup": compared.info if compared else None,
        "lines": lines.info if lines else None,
        "exceptions": exceptions,
        "quarantined": given_up,
    }


_COSTS = ("seconds", "stages", "read", "failed_tries")
"""What a unit's commit may say of its own making: wall time, CPU time by stage, how it read what it judged again; and
in this run the tries before it that failed, by class."""


def finish(
    job: Job,
    plan: Plan,
    store: Store,
    info: dict[str, Any],
    commits: list[Commit],
    parts: list[Commit],
    seconds: float,
    dedup: dict[str, Any],
    failed_tries: dict[str, dict[str, int]],
) -> None:
    """Write manifest, timings and, last, run.json; then remove what was in between."""
    if not info["complete"]:
        store.discard("run.json")  # of a run as short as this one, with other reasons
    run_json = store.get("run.json") or as_json(_sorted_counts(info))
    reached("before_manifest")
    write_manifest(store, [commit.parts[0] for commit in parts], run_json)
    reached("after_manifest")
    timings = {
        "seconds": round(seconds, 1),
        "host": socket.gethostname(),
        "argv": [redact(argument) for argument in sys.argv],
        "cpus": os.cpu_count(),
        "dedup": dedup,
        "failed_tries": failed_tries,
        "inputs": {item.name: redact(item.path) for item in plan.inputs},
        "units": [
            commit.about["unit"] | {key: commit.about[key] for key in _COSTS if key in commit.about}
            for commit in commits
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
    """The same info with the rules in alphabetical order: the order of counting depends on the units."""
    return {**info, "records": json.loads(json.dumps(info["records"], sort_keys=True))}
