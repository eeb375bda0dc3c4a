"""The functions that run as tasks. These functions take and return plain data.

Each process that runs tasks keeps its page worker for the next unit, so that models and lists are loaded only once.
"""

from __future__ import annotations

import json
import resource
import time
from typing import Any

from corpus.dedup.phases import run_task
from corpus.dedup.task import ComparisonTask
from corpus.recipes import Recipe
from corpus.revise.ledger_replay import LedgerReplay
from corpus.revise.portion_replay import PageReader, add_missing_texts, replay_portion
from corpus.revise.portions import Portion
from corpus.run import open_run
from corpus.sandbox.attempt import attempt_unit
from corpus.sandbox.guard import Guard, GuardSettings
from corpus.sandbox.page_worker import make_recipe
from corpus.sandbox.unit import Unit, UnitOptions
from corpus.storage.commits import Commit
from corpus.storage.store import open_store
from corpus.tables.ledger import corpus_schema, ledger_schema
from corpus.tables.pack import PackTask, choose_samples, pack_part
from corpus.tables.samples import SAMPLES_SCHEMA
from corpus.tables.takedown import TAKEDOWN_FILE, takedown_of
from corpus.tables.verdicts import VerdictBox


class _Kept:
    """The page worker of this process. The worker is kept, because it takes seconds to start."""

    guard: Guard | None = None
    key: str = ""


_kept = _Kept()


def run_unit_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Run and commit one unit."""
    done = attempt_unit(
        open_store(payload["store"]),
        _guard(payload),
        Unit(**payload["unit"]),
        payload["depends"],
        UnitOptions(takedown=_takedown(payload), footprint=payload["footprint"], wall_s=payload["wall_s"]),
    )
    return done.as_dict()


def replay_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Replay and commit some portions of a finished run."""
    store, folder, recipe = open_store(payload["store"]), payload["folder"], _recipe(payload)
    takedown = takedown_of(store) if payload["new_takedown"] else None
    replay = LedgerReplay(open_run(folder).info, recipe, payload["signed"], takedown)
    stages = recipe.pipeline().collective
    made = []
    for own in payload["portions"]:
        portion, reader = Portion.from_dict(own["portion"]), _page_reader(payload, own["archive"])
        made.append(replay_portion(store, folder, portion, replay, stages, reader, payload["depends"]).as_dict())
    return {"commits": made}


def texts_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Read and commit the texts that some portions of a finished run lack."""
    store = open_store(payload["store"])
    made = []
    for own in payload["portions"]:
        verdicts = [VerdictBox.from_dict(box) for box in own["verdicts"]]
        done, reader = Commit.from_dict(own["commit"]), _page_reader(payload, own["archive"])
        made.append(add_missing_texts(store, done, verdicts, reader, payload["depends"]).as_dict())
    return {"commits": made}


def _page_reader(payload: dict[str, Any], archive: dict[str, Any] | None) -> PageReader:
    return PageReader(_guard(payload), Unit(**archive) if archive else None, _takedown(payload))


def pack_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Write and commit one output file."""
    store = open_store(payload["store"])
    task = PackTask.from_stored(store, payload)
    columns = {name: {"int": int, "float": float, "str": str}[kind] for name, kind in payload["columns"].items()}
    schemas = {
        "corpus": corpus_schema(payload["documents"]),
        "ledger": ledger_schema(columns),
        "samples": SAMPLES_SCHEMA,
    }
    return pack_part(store, task, schemas.get(task.kind)).as_dict()


def choose_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Choose and commit the units that give samples."""
    store = open_store(payload["store"])
    return choose_samples(store, PackTask.from_stored(store, payload)).as_dict()


def compare_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Run and commit one task of a comparison. The result also contains its cost."""
    bound = next(bound for bound in _recipe(payload).stages if bound.name == payload["stage"])
    task = ComparisonTask(
        store=open_store(payload["store"]), bound=bound, against=tuple(payload["against"]), payload=payload["own"],
        **{name: payload[name] for name in ("phase", "number", "lists", "depends")},
    )  # fmt: skip
    started = time.thread_time()
    done = run_task(task).as_dict()
    cost = {"cpu": time.thread_time() - started, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10}
    return {**done, "cost": cost}


def _takedown(payload: dict[str, Any]) -> str:
    """Return the takedown list of the run, if there is one."""
    return str(open_store(payload["store"]).local(TAKEDOWN_FILE)) if payload["takedown"] else ""


def _recipe(payload: dict[str, Any]) -> Recipe:
    return make_recipe(payload["factory"], payload["recipe"], payload["modules"])


def _guard(payload: dict[str, Any]) -> Guard:
    recipe, factory, settings, modules = (payload[name] for name in ("recipe", "factory", "guard", "modules"))
    key = json.dumps([recipe, factory, settings, modules], sort_keys=True)
    if _kept.key != key:
        if _kept.guard:
            _kept.guard.close()
        _kept.guard, _kept.key = Guard(recipe, factory, GuardSettings(**settings), modules), key
    assert _kept.guard is not None
    return _kept.guard
