"""The functions that run as Ray tasks, or in supervisor threads: plain data in, plain data out.

Each supervisor keeps its page worker from unit to unit, so that models and lists are loaded once.
"""

from __future__ import annotations

import json
import resource
import threading
import time
from dataclasses import asdict
from typing import Any

from corpus.attempt import attempt_unit
from corpus.commits import Commit, Part
from corpus.dedup import Dedup
from corpus.dedup.phases import Task, run_task
from corpus.guard import Guard, GuardSettings
from corpus.ledger import CORPUS_SCHEMA, ledger_schema
from corpus.pack import PackTask, Slice, pack_part
from corpus.page_worker import make_recipe
from corpus.samples import SAMPLES_SCHEMA
from corpus.store import LocalStore
from corpus.unit import Unit

_KINDS: dict[str, type] = {"int": int, "float": float, "str": str}


class _Kept(threading.local):
    guard: Guard | None = None
    key: str = ""


_kept = _Kept()  # per thread, for its life: a page worker takes seconds to start
_open: set[Guard] = set()


def run_unit_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Run and commit one unit."""
    done = attempt_unit(
        LocalStore(payload["store"]),
        _guard(payload["recipe"], payload["factory"], payload["guard"], payload["modules"]),
        Unit(**payload["unit"]),
        payload["depends"],
    )
    return commit_to_dict(done)


def pack_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Write and commit one output file."""
    slices = tuple(
        Slice(**{**piece, "part": Part(**piece["part"]), "told": Part(**piece["told"]) if piece["told"] else None})
        for piece in payload["slices"]
    )
    task = PackTask(payload["kind"], payload["index"], slices, payload["stage"], payload["limit"])
    columns = {name: _KINDS[kind] for name, kind in payload["columns"].items()}
    schemas = {"corpus": CORPUS_SCHEMA, "ledger": ledger_schema(columns), "samples": SAMPLES_SCHEMA}
    return commit_to_dict(pack_part(LocalStore(payload["store"]), task, schemas[task.kind]))


def dedup_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Run and commit one piece of a phase of dedup; with what it took: CPU seconds, and the process's most bytes."""
    bound = make_recipe(payload["factory"], payload["recipe"], payload["modules"]).pipeline().dedup
    assert bound is not None
    assert isinstance(bound.stage, Dedup)
    task = Task(
        store=LocalStore(payload["store"]),
        dedup=bound.stage,
        threshold=payload["threshold"],
        phase=payload["phase"],
        piece=payload["piece"],
        lists=payload["lists"],
        payload=payload["own"],
        depends=payload["depends"],
        against=tuple(payload["against"]),
    )
    started = time.thread_time()
    done = commit_to_dict(run_task(task))
    cost = {"cpu": time.thread_time() - started, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10}
    return {**done, "cost": cost}


def _guard(recipe: dict[str, Any], factory: str, settings: dict[str, Any], modules: list[list[str]]) -> Guard:
    key = json.dumps([recipe, factory, settings, modules], sort_keys=True)
    if _kept.key != key:
        if _kept.guard:
            _kept.guard.close()
            _open.discard(_kept.guard)
        _kept.guard, _kept.key = Guard(recipe, factory, GuardSettings(**settings), modules), key
        _open.add(_kept.guard)
    assert _kept.guard is not None
    return _kept.guard


def close_guards() -> None:
    """End the page workers of this process."""
    while _open:
        _open.pop().close()


def commit_to_dict(done: Commit) -> dict[str, Any]:
    return asdict(done)


def commit_from_dict(data: dict[str, Any]) -> Commit:
    return Commit(data["key"], tuple(Part(**part) for part in data["parts"]), data["about"])
