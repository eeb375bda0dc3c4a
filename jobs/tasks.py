"""The functions that run as Ray tasks, or in supervisor threads: plain data in, plain data out.

Each supervisor keeps its page worker from unit to unit, so that models and lists are loaded once.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from typing import Any

from corpus.attempt import attempt_unit
from corpus.commits import Commit, Part
from corpus.guard import Guard, GuardSettings
from corpus.ledger import CORPUS_SCHEMA, ledger_schema
from corpus.pack import PackTask, Slice, pack_part
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
    commit = attempt_unit(
        LocalStore(payload["store"]),
        _guard(payload["recipe"], payload["factory"], payload["guard"]),
        Unit(**payload["unit"]),
        payload["depends"],
    )
    return commit_to_dict(commit)


def pack_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Write and commit one output file."""
    slices = tuple(Slice(Part(**piece["part"]), piece["start"], piece["stop"]) for piece in payload["slices"])
    task = PackTask(payload["kind"], payload["index"], slices)
    columns = {name: _KINDS[kind] for name, kind in payload["columns"].items()}
    schema = CORPUS_SCHEMA if task.kind == "corpus" else ledger_schema(columns)
    return commit_to_dict(pack_part(LocalStore(payload["store"]), task, schema))


def _guard(recipe: dict[str, Any], factory: str, settings: dict[str, Any]) -> Guard:
    key = json.dumps([recipe, factory, settings], sort_keys=True)
    if _kept.key != key:
        if _kept.guard:
            _kept.guard.close()
            _open.discard(_kept.guard)
        _kept.guard, _kept.key = Guard(recipe, factory, GuardSettings(**settings)), key
        _open.add(_kept.guard)
    assert _kept.guard is not None
    return _kept.guard


def close_guards() -> None:
    """End the page workers of this process."""
    while _open:
        _open.pop().close()


def commit_to_dict(commit: Commit) -> dict[str, Any]:
    return asdict(commit)


def commit_from_dict(data: dict[str, Any]) -> Commit:
    return Commit(data["key"], tuple(Part(**part) for part in data["parts"]), data["about"])
