"""`corpus build`: archives in, corpus and ledger out.

plan units → the pass (one task per unit) → check that ranges tile and counts balance → pack → manifest and run.json.
Everything before run.json lies under .work/ or is a part that only run.json and the manifest make count, so the
same command takes up a run wherever it ended.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from corpus.commits import Commit
from corpus.dedup import Collective
from corpus.dedup import Dedup as Stage
from corpus.dedup.index import Earlier, check_comparable, open_index
from corpus.dedup.layout import MEMORY_BYTES
from corpus.errors import ConfigError, InputChanged, InputUnreachable, IntegrityError, OutputError
from corpus.guard import GuardSettings
from corpus.ledger import add_counts, balances, no_counts
from corpus.manifest import write_manifest
from corpus.modules import Module
from corpus.pack import ROWS_PER_LEDGER_PART, PackTask, plan_pack
from corpus.recipe import Recipe, differences, digest
from corpus.store import LocalStore
from corpus.swap import JOURNAL, finish_swap
from corpus.takedown import FILE as TAKEN_DOWN
from corpus.takedown import read_takedown
from corpus.unit import Unit
from corpus.urls import is_url, redact
from corpus.version import versions
from jobs.dedup import ALARM_RATE, Compared, Dedup, Stopped, alarm
from jobs.engine import Engine, Stop, run
from jobs.folder import only_run, open_folder
from jobs.inputs import Input, find_inputs, plan_all
from jobs.lines import Lines, LinesCompared, lines_alarm
from jobs.progress import Progress
from jobs.tasks import close_guards, commit_from_dict, pack_task, run_unit_task

UNIT_BYTES = 8 << 20
"""Some 250 pages of a Common Crawl WARC, a few seconds of work: what a crash costs at most."""

REMOTE_UNIT_BYTES = 32 << 20
"""Of inputs that are not local: each unit costs some requests to plan, and a MiB that its neighbour reads too."""

SMALL_UNIT_BYTES = 256 << 10
"""Small inputs get smaller units, so that all workers have some; below this a unit is mostly overhead."""

UNITS_PER_WORKER = 4

LOST_IN_A_ROW = 4
"""Units in a row that no server gave, or two per worker if that is more: then it is not one file, and the run stops."""


@dataclass(frozen=True)
class Job:
    """A build as the user asked for it. `factory` names the function that makes a recipe of its canonical form.
    Without `unit_bytes` a first run chooses, and what takes it up keeps to that."""

    recipe: Recipe
    inputs: list[str]
    out: Path
    unit_bytes: int | None = None
    workers: int = 1
    keep_work: bool = False
    guard: GuardSettings = field(default_factory=GuardSettings)
    factory: str = "filters:recipe_from_dict"
    modules: tuple[Module, ...] = ()
    """What the user allowed to be executed, and the recipe's own stages come from."""
    limit: int | None = None
    """How many of the inputs to read."""
    base: str | None = None
    """Where crawls are looked up."""
    against: tuple[str, ...] = ()
    """The folders of earlier runs whose documents these are compared with."""
    index: bool = True
    """Whether to leave what later runs need to compare theirs with these."""
    dedup_memory: int = MEMORY_BYTES
    """What the rows that one task of dedup holds may take."""
    alarm_rate: float = ALARM_RATE
    """The share of documents, of the run or of one archive, above which dedup stops the run before it is packed."""


@dataclass
class Result:
    """How a build ended: `exit_code` as the command line gives it, and what run.json says."""

    exit_code: int
    info: dict[str, Any] | None = None
    already_done: bool = False
    alarm: str = ""
    """Why the run stopped before it was packed."""


@dataclass
class Plan:
    """What is to be done: inputs, and the fingerprint of all that decides the result."""

    inputs: list[Input]
    identity: dict[str, Any]
    against: list[Earlier] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return digest(self.identity)


def make_plan(job: Job) -> Plan:
    """Find the inputs and what decides the result. Raises CorpusError for whatever is wrong before any work starts."""
    inputs = find_inputs(job.inputs, job.limit, job.base)
    if job.against and job.recipe.pipeline().lines:
        raise ConfigError(
            "Lines are compared within one run, so this recipe can't be built against an earlier one.",
            "Leave --against, or take that stage out of the recipe.",
        )
    against = [open_index(folder) for folder in job.against]
    bound = job.recipe.pipeline().dedup
    for one in against:
        if bound is None or not isinstance(bound.stage, Stage) or bound.limits["similarity"].below is None:
            raise ConfigError(
                "The recipe compares no documents, so it can't against an earlier run.", "Leave --against."
            )
        check_comparable(bound.stage, one)
    identity = {
        "recipe": job.recipe.canonical(),
        "resources": job.recipe.resources() | {f"module.{module.name}": module.digest for module in job.modules},
        "versions": versions(),
        "inputs": [{"name": item.name, "bytes": item.size, "identity": item.identity} for item in inputs],
        "against": [one.digest for one in against],
        "removed": read_takedown(job.out / TAKEN_DOWN).digest,
    }
    return Plan(inputs, identity, against)


def make_units(job: Job, plan: Plan, unit_bytes: int | None = None) -> list[Unit]:
    """The units of all inputs. Raises InputError for a file that is no archive."""
    size = unit_bytes or job.unit_bytes
    if size is None:
        share = sum(item.size for item in plan.inputs) // (UNITS_PER_WORKER * job.workers)
        most = REMOTE_UNIT_BYTES if any(is_url(item.path) for item in plan.inputs) else UNIT_BYTES
        size = min(max(share, SMALL_UNIT_BYTES), most)
    return plan_all(plan.inputs, size)


def _chosen_units(job: Job, plan: Plan, store: LocalStore) -> list[Unit]:
    """The units that the first run into this folder chose, so that its commits count."""
    if job.unit_bytes is None:
        chosen = store.get(".work/units.json")
        if chosen is not None:
            where = {item.name: {"path": item.path, "tag": item.tag} for item in plan.inputs}
            return [Unit(**{**unit, **where[unit["warc"]]}) for unit in json.loads(chosen)]
    units = make_units(job, plan)
    if job.unit_bytes is None:
        store.put_new(".work/units.json", json.dumps([unit.content() for unit in units]).encode())
    return units


def build(job: Job, make_engine: Callable[[], Engine], progress: Progress) -> Result:
    """Run a build to its end, or to the first stop signal. Raises CorpusError."""
    if (job.out / JOURNAL).exists():  # a takedown was cut off: what it says is part of the plan
        with only_run(LocalStore(job.out)):
            finish_swap(LocalStore(job.out))
    plan = make_plan(job)
    make_units(job, plan, 1 << 40)  # an input that is none is found before anything is written
    store = open_folder(job.out)
    with only_run(store), Stop() as stop:
        claim_folder(store, plan)
        finished = store.get("run.json")
        if finished is not None and json.loads(finished)["complete"]:
            if not job.keep_work:
                store.remove(".work")
            return Result(0, json.loads(finished), already_done=True)
        started = time.monotonic()
        units = _chosen_units(job, plan, store)
        engine = make_engine()
        try:
            commits, given_up = _pass(job, plan, units, store, engine, stop, progress)
            if stop.asked():
                return Result(128 + stop.signal)
            return complete(job, plan, store, engine, stop, progress, commits, given_up, started)
        except Stopped:
            return Result(128 + stop.signal)
        finally:
            engine.close()
            close_guards()


Fill = Callable[[list[Commit], Compared | None], list[Commit]]


def complete(
    job: Job,
    plan: Plan,
    store: LocalStore,
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
    if stop.asked():
        return Result(128 + stop.signal)
    info = _run_info(job, plan, commits, compared, lines, parts, given_up)
    info["index"] = index
    costs = (dedup.costs if dedup else {}) | (by_lines.costs if by_lines else {})
    _finish(job, plan, store, info, commits, parts, time.monotonic() - started, costs)
    return Result(3 if given_up else 0, info)


def _alarmed(store: LocalStore, reason: str, facts: dict[str, Any] | None) -> Result:
    """The end of a run that would remove too much, and what it found so far."""
    store.replace(".work/dedup.json", _json(facts))
    where = store.path(".work/dedup.json")
    return Result(4, alarm=f"{reason}. See {where}, then run again with another --alarm-rate.")


def claim_folder(store: LocalStore, plan: Plan) -> None:
    """Bind the folder to this recipe, code and input, or show what differs from what it is bound to."""
    foreign = {path.name for path in store.root.iterdir()} - {".work", TAKEN_DOWN}
    mine = json.dumps(plan.identity, sort_keys=True).encode()
    bound = store.get(".work/plan.json")
    finished = store.get("run.json")
    if bound is None and finished is not None:
        info = json.loads(finished)
        theirs = {key: info[key] for key in ("recipe", "resources", "versions", "against", "removed")}
        theirs["inputs"] = [{k: item[k] for k in ("name", "bytes", "identity")} for item in info["inputs"]]
        bound = json.dumps(theirs, sort_keys=True).encode()
    if bound is None:
        if foreign:
            raise OutputError(f"{store.root} holds other files, such as {sorted(foreign)[0]}.", "Give an empty folder.")
        store.put_new(".work/plan.json", mine)
        return
    if bound != mine:
        old = json.loads(bound)
        lines = [
            line for key in ("recipe", "resources", "versions") for line in differences(old[key], plan.identity[key])
        ]
        theirs, ours = ({item["name"]: item["identity"] for item in side["inputs"]} for side in (old, plan.identity))
        lines += [f"input {line}" for line in differences(theirs, ours)]
        for key in ("against", "removed"):
            lines += differences(old[key], plan.identity[key], key)
        shown = "".join(f"\n  {line}" for line in lines[:20]) + ("\n  …" if len(lines) > 20 else "")
        raise OutputError(
            f"{store.root} was made by another recipe, code or input (old → new):{shown}\n",
            "Give another -o, or the same recipe and inputs as before.",
        )


def _pass(
    job: Job, plan: Plan, units: list[Unit], store: LocalStore, engine: Engine, stop: Stop, progress: Progress
) -> tuple[list[Commit], list[dict[str, Any]]]:
    """The commits of all units in (WARC, offset) order, and the units that were given up."""
    depends = digest({key: plan.identity[key] for key in ("recipe", "resources", "versions", "removed")})
    common = {
        "store": str(store.root.resolve()),
        "recipe": job.recipe.canonical(),
        "factory": job.factory,
        "modules": [[module.name, module.source] for module in job.modules],
        "guard": asdict(job.guard),
        "depends": depends,
        "taken": str(store.path(TAKEN_DOWN).resolve()),
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
        false_starts = _untiled(units, done)
        if not false_starts:
            break
        units = _merge(units, false_starts)
        done = {unit: commit for unit, commit in done.items() if unit in set(units)}
    quarantine = [
        {"warc": unit.warc, "start": unit.start, "end": unit.end, "attempts": reasons}
        for unit, reasons in given_up.items()
    ]
    return [done[unit] for unit in units if unit in done], quarantine


def _untiled(units: list[Unit], done: dict[Unit, Commit]) -> set[Unit]:
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


def _merge(units: list[Unit], false_starts: set[Unit]) -> list[Unit]:
    """Each unit with a false start becomes the end of the unit before it."""
    merged: list[Unit] = []
    for unit in units:
        if unit in false_starts:
            before = merged.pop()
            merged.append(Unit(**{**before.as_dict(), "end": unit.end}))
        else:
            merged.append(unit)
    return merged


def _dedup(job: Job, plan: Plan, store: LocalStore, engine: Engine, stop: Stop, progress: Progress) -> Dedup | None:
    """The dedup of a run; None where the recipe compares no documents."""
    bound = job.recipe.pipeline().dedup
    if bound is None:
        return None
    common = _task_payload(job, plan, store)
    return Dedup(store, bound, common, engine, stop, progress, job.dedup_memory, plan.against)


def _lines(job: Job, plan: Plan, store: LocalStore, engine: Engine, stop: Stop, progress: Progress) -> Lines | None:
    """The dedup by lines of a run; None where the recipe compares none."""
    bound = job.recipe.pipeline().lines
    if bound is None:
        return None
    common = _task_payload(job, plan, store)
    return Lines(store, bound, common, engine, stop, progress, job.dedup_memory)


def _task_payload(job: Job, plan: Plan, store: LocalStore) -> dict[str, Any]:
    """What every task of dedup is given."""
    return {
        "store": str(store.root.resolve()),
        "recipe": job.recipe.canonical(),
        "factory": job.factory,
        "modules": [[module.name, module.source] for module in job.modules],
        "depends": digest({key: plan.identity[key] for key in ("recipe", "versions")}),
    }


def _pack(
    job: Job,
    store: LocalStore,
    engine: Engine,
    stop: Stop,
    progress: Progress,
    commits: list[Commit],
    compared: Compared | None,
    lines: LinesCompared | None,
) -> list[Commit]:
    """The commits of the output files."""
    found = [one.digest if one else "" for one in (compared, lines)]
    packed = digest([*(commit.sha256 for commit in commits), *found])
    if (store.get(".work/packed") or b"").decode() != packed:
        # what an earlier, shorter set of units left (a quarantined unit has come back) is no part of this one
        for file in ("run.json", "report.html"):
            (store.root / file).unlink(missing_ok=True)
        for folder in ("corpus", "ledger", "samples", "manifest", "index"):
            store.remove(folder)
        store.remove(".work/commits/pack")
        store.replace(".work/packed", packed.encode())
    columns = {name: kind.__name__ for name, kind in job.recipe.pipeline().columns.items()}
    verdicts = compared.verdicts if compared and compared.removed else None
    said = (verdicts, lines.cuts if lines else None)
    tasks = plan_pack("corpus", commits, job.recipe.rows_per_part, *said)
    tasks += plan_pack("ledger", commits, ROWS_PER_LEDGER_PART, *said)
    tasks += plan_pack("samples", commits, _ALL, *said)
    if job.index and job.recipe.pipeline().dedup and not job.recipe.pipeline().lines:
        tasks += [task for task in plan_pack("signatures", commits, ROWS_PER_LEDGER_PART) if task.slices]
    progress.start("pack", len(tasks), 0, done=0)
    made: dict[tuple[str, int], Commit] = {}
    for answer in run(engine, pack_task, (_pack_payload(task, store, columns) for task in tasks), stop):
        if answer.result is None:
            raise IntegrityError(
                f"An output file could not be written: {answer.failures[-1]}.", "Run the same command again."
            )
        made[answer.payload["kind"], answer.payload["index"]] = commit_from_dict(answer.result)
        progress.unit_done(0, {})
    progress.end()
    return [] if stop.asked() else [made[task.kind, task.index] for task in tasks]


_ALL = 1 << 60


def _pack_payload(task: PackTask, store: LocalStore, columns: dict[str, str]) -> dict[str, Any]:
    return {**asdict(task), "store": str(store.root.resolve()), "columns": columns}


def _run_info(
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


_COSTS = ("seconds", "stages", "read")
"""What a unit's commit may say of its own making: wall time, CPU time by stage, how it read what it judged again."""


def _finish(
    job: Job,
    plan: Plan,
    store: LocalStore,
    info: dict[str, Any],
    commits: list[Commit],
    parts: list[Commit],
    seconds: float,
    dedup: dict[str, Any],
) -> None:
    """Write manifest, timings and, last, run.json; then remove what was in between."""
    run_json = store.get("run.json") or _json(_sorted_counts(info))  # what a run left that is as short as this one
    write_manifest(store, [commit.parts[0] for commit in parts], run_json)
    timings = {
        "seconds": round(seconds, 1),
        "host": socket.gethostname(),
        "argv": [redact(argument) for argument in sys.argv],
        "cpus": os.cpu_count(),
        "dedup": dedup,
        "inputs": {item.name: redact(item.path) for item in plan.inputs},
        "units": [
            commit.about["unit"] | {key: commit.about[key] for key in _COSTS if key in commit.about}
            for commit in commits
        ],
    }
    store.replace("timings.json", _json(timings))
    store.put_new("run.json", run_json)
    if info["complete"] and not job.keep_work:
        store.remove(".work")


def _sorted_counts(info: dict[str, Any]) -> dict[str, Any]:
    """The same info with the rules in alphabetical order: the order of counting depends on the units."""
    return {**info, "records": json.loads(json.dumps(info["records"], sort_keys=True))}


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()
