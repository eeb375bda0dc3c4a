"""The pack phase of a build: the rows of all units and the verdicts on them become the output files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice

from corpus.digests import digest
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.gathered import digest_of, without_facts
from corpus.tables.pack import ROWS_PER_LEDGER_PART, PackTask, Slice, plan_pack
from corpus.tables.verdicts import Verdicts
from jobs.build.passed import Units
from jobs.build.plan import Build
from jobs.runner.task_functions import choose_task, pack_task


def pack(run: Build, units: Units, verdicts: list[Verdicts]) -> list[Commit]:
    """Return the commits of the output files. Raises Stopped."""
    job, store, commits = run.job, run.execution.store, units.commits
    packed = digest([digest_of(commits), *(one.digest for one in verdicts), job.index])
    if (store.get(".work/packed") or b"").decode() != packed:
        reached("before_pack")
        # if a quarantined unit has come back, these are files of an earlier, shorter set of units
        for file in ("run.json", "report.html"):
            store.discard(file)
        for folder in ("corpus", "ledger", "samples", "manifest", "index"):
            store.remove(folder)
        store.remove(".work/commits/pack")
        reached("pack_cleared")
        store.replace(".work/packed", packed.encode())
    columns = {name: kind.__name__ for name, kind in job.recipe.pipeline().columns.items()}
    common = {"store": store.location, "columns": columns, "documents": run.plan.identity.get("documents")}
    signed = [stage.kind for stage in job.recipe.pipeline().collective] if run.keeps_signatures else []
    rows = {kind: sum(units.sizes(kind)[0]) for kind in ("corpus", "ledger", *signed)}
    rows["corpus"] -= sum(sum(one.removed) for one in verdicts)
    sizes = {"corpus": job.recipe.rows_per_part, **dict.fromkeys(["ledger", *signed], ROWS_PER_LEDGER_PART)}
    sizes = {kind: size for kind, size in sizes.items() if rows[kind] or kind not in signed}
    tasks = chain([_samples(run, commits, verdicts)], plan_pack(without_facts(commits), sizes, verdicts))
    payloads = ({**task.stored(store), **common} for task in tasks)
    files = sum(-(-rows[kind] // size) or 1 for kind, size in sizes.items())
    done = run.execution.commits("pack", pack_task, payloads, 1 + files)
    order = {kind: number for number, kind in enumerate(("corpus", "ledger", "samples", *signed))}
    return sorted(done, key=lambda one: (order[one.facts["kind"]], one.facts["index"]))


SAMPLED_AT_ONCE = 4096
"""The most units whose samples one task reads."""


def _samples(run: Build, commits: Sequence[Commit], verdicts: list[Verdicts]) -> PackTask:
    """Return the file of samples. Of very many units, tasks first choose those that give samples."""
    compared = tuple(one.compared for one in verdicts)

    def piece(number: int, one: Commit) -> Slice:
        part = one.part("samples")
        return Slice(part, 0, part.rows, tuple(found.boxes[number] for found in verdicts))

    if len(commits) <= SAMPLED_AT_ONCE:
        return PackTask("samples", 0, tuple(piece(number, one) for number, one in enumerate(commits)), compared)
    store, pieces = run.execution.store, (piece(number, one) for number, one in enumerate(without_facts(commits)))
    groups = range(0, len(commits), SAMPLED_AT_ONCE)
    tasks = (PackTask("samples", first, tuple(islice(pieces, SAMPLED_AT_ONCE))) for first in groups)
    payloads = ({"store": store.location, **task.stored(store)} for task in tasks)
    chosen = run.execution.commits("samples", choose_task, payloads, len(groups))
    numbers = [first + at for first, done in zip(groups, chosen, strict=True) for at in done.facts["slices"]]
    found = run.execution.follow("samples", (piece(number, commits[number]) for number in numbers), len(numbers))
    return PackTask("samples", 0, tuple(found), compared)
