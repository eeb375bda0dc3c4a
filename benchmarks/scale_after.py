"""The driver alone through everything after the pass, with made commits of any number of units and simulated tasks.

The commits lie in gathered ones, as a pass leaves them. The tasks of all phases answer with facts and files of the size
that real ones give, but nothing is compared. The driver's code is the real one.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import jobs.build.build as driver
from benchmarks.simulated import Simulated
from corpus.dedup.layout import Group
from corpus.recipes import Recipe
from corpus.storage.gathered import Commits, as_line, digest_of_marks, gather, mark_of
from corpus.storage.store import LocalStore, open_store
from corpus.storage.task_commits import get_value, put_value
from filters import STAGES, load_recipe
from jobs.build.plan import Job
from jobs.runner.progress import Progress
from jobs.runner.retries import Answer, Function, Payload

KEPT, ROWS = 694, 830
"""The corpus rows and the ledger rows of a unit."""

REMOVED = 180
"""The documents of a unit that a comparison removes."""

ROUNDS = 4
"""The rounds of a search for components."""

_PARTS = {
    "bands": ("keys", "texts", "followers", "sites"), "candidates": ("edges",), "twins": ("twins", "edges-twins"),
    "components": ("labels",), "labels": ("labels",), "members": ("members",), "verify": ("found",),
    "verdicts": ("verdicts", "sites"), "sites": (), "index": ("keys", "texts", "docs"), "linekeys": ("had",),
    "repeats": ("repeated",), "losers": ("losers", "places"), "keepers": ("keepers",), "cuts": ("cuts",),
}  # fmt: skip


def recipe(lines: bool) -> Recipe:
    """The default recipe, with the comparison of lines if asked for."""
    made = load_recipe("default").canonical()
    return Recipe.from_dict({**made, "stages": [*made["stages"], *([{"stage": "lines"}] if lines else [])]}, STAGES)


def made_commits(folder: Path, units: int, in_archive: int, commit: Callable[[str, int], dict[str, Any]]) -> None:
    """Write gathered commits of `units` units, and the list of them."""
    folder.mkdir()
    store, archives = LocalStore(folder), -(-units // in_archive)
    in_volume, groups = -(-archives // 10_000), []
    for first in range(0, archives, in_volume):
        made = [
            commit(f"{archive:06d}.warc.gz", unit)
            for archive in range(first, min(first + in_volume, archives))
            for unit in range(min(in_archive, units - archive * in_archive))
        ]
        key = f".work/commits/gathered/{first:06d}.json.zst"
        gather(store, key, [as_line(one) for one in made])
        marks = (mark_of(one["key"], [part["sha256"] for part in one["parts"]]) for one in made)
        groups.append([key, len(made), digest_of_marks(marks)])
    (folder / "groups.json").write_text(json.dumps(groups))


class MadeTasks:
    """Tasks of the phases after the pass."""

    def __init__(self) -> None:
        self._number = itertools.count()
        self._groups: dict[str, tuple[int, list[int]]] = {}
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"id": ["one"]}), sink)
        self._file = sink.getvalue().to_pybytes()
        self.tasks = 0

    def seconds(self, function: Function, payload: Payload, now: float) -> float:
        return 10.0

    def answer(self, function: Function, payload: Payload, now: float) -> Answer:
        self.tasks += 1
        return {"ok": getattr(self, function.__name__)(payload)}

    def _commit(self, parts: list[dict[str, Any]], facts: dict[str, Any]) -> dict[str, Any]:
        return {"key": f".work/commits/dedup/{next(self._number):032x}.json", "parts": parts, "facts": facts}

    def _part(self, kind: str, key: str = "", rows: int = 10**6, size: int = 10**8) -> dict[str, Any]:
        name = f"{next(self._number):064x}"
        return {"kind": kind, "key": key or f".work/parts/{kind}/{name[:32]}.boxes", "rows": rows, "bytes": size,
                "sha256": name}  # fmt: skip

    def pack_task(self, payload: Payload) -> dict[str, Any]:
        store = open_store(payload["store"])
        rows = sum(stop - start for *_, start, stop, _ in get_value(store, payload["slices"])["slices"])
        kind, index = payload["kind"], payload["index"]
        key = f"{kind}/part-{index:05d}.parquet"
        store.put_new(key, self._file)
        return self._commit([self._part(kind, key, rows, len(self._file))], {"kind": kind, "index": index})

    def choose_task(self, payload: Payload) -> dict[str, Any]:
        units = len(get_value(open_store(payload["store"]), payload["slices"])["slices"])
        return self._commit([], {"slices": sorted({0, units // 2, units - 1})})

    def compare_task(self, payload: Payload) -> dict[str, Any]:
        phase, own = payload["phase"], payload["own"]
        kind = phase.split("-")[0]
        kinds: Iterable[str] = _PARTS.get(kind, (phase,))
        if kind == "relay":
            kinds = [f"relay-{own['kind']}"]
        facts = self._facts(kind, phase, payload)
        made = self._commit([self._part(one) for one in kinds], facts)
        return {**made, "cost": {"cpu": 1.0, "peak": 1 << 30}}

    def _facts(self, kind: str, phase: str, payload: Payload) -> dict[str, Any]:
        match kind:
            case "bands":
                units, archives = self._group(payload)
                files = put_value(open_store(payload["store"]), [(n * 2654435761) << 32 for n in range(units)])
                return {"compared": [[n, units * KEPT // len(archives)] for n in archives], "files": files}
            case "large":
                return {"unfinished": int(int(phase.split("-")[1]) < ROUNDS)}
            case "verify":
                largest = [[n, -n, [0, n, 0]] for n in range(20)]
                return {"unverified": 9, "largest": largest}
            case "verdicts":
                units, _ = self._group(payload)
                return {"removed": [REMOVED + n % 9 for n in range(units)], "exact": 99}
            case "sites":
                return {"sites": [[n, 2 * n, f"{n}.example"] for n in range(20)], "count": 9}
            case "index":
                return {"first": payload["number"] << 20, "end": (payload["number"] + 1) << 20, "kept": 1 << 19}
            case "linekeys":
                units, archives = self._group(payload)
                counts = [[n, units * KEPT // len(archives)] for n in archives]
                return {"documents": counts, "chars": counts, "lines": 25 * KEPT * units}
            case "cuts":
                units, archives = self._group(payload)
                counts = [[n, units] for n in archives]
                lost = {"dropped": counts, "lines": counts, "chars": counts}
                return {"rules": {"chars_left": 2 * units}, "removed": [2] * units, "changed": units, **lost}
        return {}

    def _group(self, payload: Payload) -> tuple[int, list[int]]:
        """The number of units of a group, and its archives."""
        name = payload["own"]["group"]
        if name not in self._groups:
            group = Group.from_dict(get_value(open_store(payload["store"]), name))
            self._groups[name] = len(group.parts), list(dict.fromkeys(group.archives))
        return self._groups[name]


def after(folder: Path, job: Job, peak: Callable[[], int]) -> None:
    """Run the driver after the pass, and print what each step took: CPU seconds without the simulation, and the peak
    of memory so far."""
    groups = [tuple(one) for one in json.loads((folder / "groups.json").read_text())]
    commits = Commits(LocalStore(folder), groups)
    tasks = MadeTasks()
    engine, steps = Simulated(job.workers, tasks), dict[str, dict[str, Any]]()

    def timed(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            cpu, simulated = time.process_time(), engine.cpu
            try:
                return step(*given)
            finally:
                used = time.process_time() - cpu - (engine.cpu - simulated)
                steps[name] = {"cpu": used, "peak": peak()}

        return run

    names = ("read_pass", "compare_documents", "compare_lines", "pack", "make_index", "run_info", "finish")
    for name in names:
        setattr(driver, name, timed(name, getattr(driver, name)))
    setattr(driver, "run_units", lambda *_: (commits, []))  # noqa: B010
    done = driver.build(job, lambda: engine, Progress(quiet=True))
    assert done.info is not None and done.exit_code == 0, done
    print(json.dumps({"units": len(commits), "steps": steps, "tasks": tasks.tasks}), flush=True)
