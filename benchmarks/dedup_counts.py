"""What the phases of dedup take on a bucket, counted task by task, and formulas for any number of documents.

The tasks run in this process over a folder that counts like a bucket: each read, write and removal is a request, and
what is read of an exchange file is read in the blocks of `corpus.storage.bucket`, none of which outlives its task. The
formulas know the division of the work from the real code (`make_layout`, `make_line_layout`, `Grid`). The bytes and the
CPU time are fitted: so much for a document, and so much for a block, because each writer has a block for each reader.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.optimize import nnls

import corpus.storage.exchange as exchange
import jobs.runner.task_functions as task_functions
from benchmarks.dedup_lines import line_recipe
from benchmarks.dedup_lines import write_units as write_lines
from benchmarks.dedup_runs import comparison, recipe, stage_of
from benchmarks.dedup_scale import write_units
from benchmarks.simulated import Simulated
from corpus.dedup.layout import make_layout, make_line_layout
from corpus.storage.bucket import BLOCK_BYTES, FETCH_BYTES, _Blocks
from corpus.storage.exchange import Grid
from corpus.storage.store import LocalStore
from jobs.build.compare_documents import compare_documents
from jobs.build.compare_lines import compare_lines
from jobs.runner.engine import Stop
from jobs.runner.retries import Answer, Function, Payload, answer_of

UNITS, ROWS = 3_000_000, 1000
"""The most units, and the documents of a unit as long as there are fewer."""

LINE_BYTES = 321
"""The bytes of a document's signed lines in `benchmarks.dedup_lines`."""


class Bucketlike(LocalStore):
    """A folder that counts requests and bytes."""

    def __init__(self, root: str | Path, count: Counter[str]) -> None:
        super().__init__(root)
        self._count, self._blocks = count, _Blocks()

    def adopt(self, scratch: Path, key: str) -> bool:
        size, kind = scratch.stat().st_size, key.removeprefix(".work/parts/").split("/")[0]
        self._count.update({"requests": 1, "files": 1, "written": size, f"kind {kind}": size})
        return super().adopt(scratch, key)

    def get(self, key: str) -> bytes | None:
        found = super().get(key)
        self._fetched(len(found or b""))
        return found

    def buffer(self, key: str) -> Any:
        found = super().buffer(key)
        self._fetched(found.size)
        return found

    def read(self, key: str, offset: int, length: int) -> bytes:
        return self._blocks.read(key, offset, length, lambda start, count: self._block(key, start, count))

    def _block(self, key: str, start: int, count: int) -> bytes:
        found = super().read(key, start, count)
        self._count.update(requests=1, read=len(found))
        return found

    def _fetched(self, size: int) -> None:
        """Count a whole file. The first request asks for 8 MiB, and a larger file takes two more at least."""
        self._count.update(requests=1 if size < FETCH_BYTES else 2 + size // FETCH_BYTES, read=size)


@dataclass
class InPlace:
    """Tasks that run here, one after the other, and are counted by phase."""

    phases: dict[str, Counter[str]] = field(default_factory=dict)

    def seconds(self, function: Function, payload: Payload, now: float) -> float:
        return 1.0

    def answer(self, function: Function, payload: Payload, now: float) -> Answer:
        phase = re.sub(r"(large|small)-\d+", r"\1", payload["phase"])
        count = self.phases.setdefault(phase, Counter())
        with patch.object(task_functions, "open_store", lambda location: Bucketlike(location, count)):
            answer: Answer = json.loads(json.dumps(answer_of(function, json.loads(json.dumps(payload)))))
        count.update(tasks=1, cpu_us=int(1e6 * answer["ok"]["cost"]["cpu"]))
        count["peak"] = max(count["peak"], answer["ok"]["cost"]["peak"])
        return answer


@dataclass(frozen=True)
class Exchange:
    """Files of a kind from so many writers to so many readers, who read them so many times."""

    kind: str
    writers: int
    readers: int
    times: int = 1

    @property
    def pairs(self) -> int:
        return self.writers * self.readers

    @property
    def grid(self) -> Grid:
        return Grid(self.writers, self.readers)

    @property
    def relays(self) -> int:
        return len(self.grid.tasks()) if self.grid.needed else 0

    @property
    def opened(self) -> int:
        """How often a file is opened for a reader or for a relay."""
        grid = self.grid
        if not grid.needed:
            return self.writers * self.readers * self.times
        batches, slices = -(-self.writers // grid.batch), -(-self.readers // grid.slice)
        return self.writers * slices + self.readers * batches * self.times


@dataclass(frozen=True)
class Division:
    """The division of a comparison: the tasks of each phase, the files of each task, and the exchanges."""

    documents: int
    units: int
    reads_of_units: int
    tasks: dict[str, int]
    files: dict[str, int]
    exchanges: list[Exchange]

    @property
    def all_tasks(self) -> int:
        return sum(self.tasks.values()) + sum(one.relays for one in self.exchanges)

    @property
    def all_files(self) -> int:
        """Files of tasks, with their commits, and those of the driver: a list for each phase and group."""
        own = sum((1 + self.files.get(phase, 1)) * tasks for phase, tasks in self.tasks.items())
        return own + 2 * sum(one.relays for one in self.exchanges)

    @property
    def pairs(self) -> int:
        """Writers × readers: the least number of blocks."""
        return sum(one.pairs for one in self.exchanges)

    @property
    def relayed(self) -> list[Exchange]:
        return [one for one in self.exchanges if one.grid.needed]

    @property
    def direct(self) -> int:
        """The openings without relays."""
        return sum(one.pairs * one.times for one in self.exchanges)

    @property
    def opened(self) -> int:
        return sum(one.opened for one in self.exchanges)


def units_of(documents: int) -> list[int]:
    """The documents of each unit."""
    rows = max(ROWS, -(-documents // UNITS))
    return [rows] * (documents // rows) + [documents % rows] * bool(documents % rows)


def of_documents(documents: int, memory: int, rounds: int = 4) -> Division:
    rows = units_of(documents)
    layout, starts = make_layout(rows, stage_of(recipe()).bands, memory_bytes=memory)
    groups, texts, spans = len(starts) - 1, 1 << layout.text_bits, layout.spans
    verifiers, sites = 1 << layout.verifier_bits, 1 << layout.site_bits
    some = -(-layout.boxes // layout.boxes_at_once)
    tasks = {
        "bands": groups, "candidates": some, "twins": texts, "members": groups, "verify": verifiers,
        "verdicts": groups, "sites": sites,
    }  # fmt: skip
    tasks |= (
        {"components": 1} if spans == 1 else {"large": rounds * spans, "small": (rounds - 1) * spans, "labels": spans}
    )
    exchanges = [
        Exchange("keys", groups, layout.boxes), Exchange("texts", groups, texts), Exchange("sites", groups, sites, 2),
        Exchange("edges", some + texts, spans, 2 if spans > 1 else 1), Exchange("twins", texts, groups),
        Exchange("labels", spans, groups), Exchange("members", groups, verifiers), Exchange("found", verifiers, groups),
    ]  # fmt: skip
    if spans > 1:
        exchanges.append(Exchange("rounds", spans, spans, 4 * rounds))
    return Division(documents, len(rows), 2, tasks, {"bands": 5, "twins": 2, "verdicts": 2, "sites": 0}, exchanges)


def of_lines(documents: int, memory: int) -> Division:
    rows = units_of(documents)
    layout, starts = make_line_layout(rows, [LINE_BYTES * count for count in rows], memory)
    groups, ranges = len(starts) - 1, 1 << layout.bits
    tasks = {"linekeys": groups, "repeats": ranges, "losers": groups, "keepers": ranges, "cuts": groups}
    exchanges = [
        Exchange("had", groups, ranges), Exchange("repeated", ranges, groups), Exchange("places", groups, ranges),
        Exchange("keepers", ranges, groups),
    ]  # fmt: skip
    return Division(documents, len(rows), 3, tasks, {"losers": 2}, exchanges)


@dataclass(frozen=True)
class Counted:
    """What a comparison was seen to take, in all and by phase."""

    division: Division
    all: Counter[str]
    relays: Counter[str]


def counted(documents: int, memory: int, lines: bool, folder: Path) -> Counted:
    """Run all phases of a comparison and count."""
    made, tasks = line_recipe() if lines else recipe(), InPlace()
    with tempfile.TemporaryDirectory(dir=folder) as name, Stop() as stop:
        here = Path(name)
        units = [*write_lines(here, documents)] if lines else [*write_units(here, stage_of(made), documents)]
        work = comparison(here, made, units, Simulated(1, tasks), stop, memory)
        (compare_lines if lines else compare_documents)(work)
    of_phases = tasks.phases.items()
    every = sum((one for _, one in of_phases), Counter[str]())
    every["peak"] = max(one["peak"] for _, one in of_phases)
    relays = sum((one for phase, one in of_phases if phase.startswith("relay")), Counter[str]())
    return Counted((of_lines if lines else of_documents)(documents, memory), every, relays)


class Formula:
    """Bytes and CPU time as so much for a document, a block and a task, from what was counted.

    Divisions without relays give both. A division with relays gives what they take besides.
    """

    def __init__(self, direct: Sequence[Counted], relayed: Counted) -> None:
        most = max(direct, key=lambda one: one.division.documents)
        self._kinds = {
            kind.removeprefix("kind "): size / most.division.documents
            for kind, size in most.all.items()
            if kind.startswith("kind ")
        }
        self._bytes, self._block, _ = self._fitted(direct, "written")
        self._cpu, self._block_cpu, self._task_cpu = self._fitted(direct, "cpu_us")
        relays = relayed.relays["cpu_us"] - self._task_cpu * relayed.relays["tasks"]
        self._relay_cpu = max(relays, 0.0) / relayed.division.pairs

    @staticmethod
    def _fitted(direct: Sequence[Counted], name: str) -> tuple[float, float, float]:
        """The amount for a document, a block and a task, none below zero. Small and large runs weigh the same."""
        rows = np.array([[one.division.documents, one.division.pairs, one.division.all_tasks] for one in direct], float)
        values = np.array([one.all[name] for one in direct], float)
        found, _ = nnls(rows / values[:, None], np.ones(len(values)))
        return float(found[0]), float(found[1]), float(found[2])

    def written(self, of: Division) -> float:
        again = sum(
            sum(size for kind, size in self._kinds.items() if kind == one.kind or kind.startswith(f"{one.kind}-"))
            * of.documents
            + self._block * one.pairs
            for one in of.relayed
        )
        return self._bytes * of.documents + self._block * of.pairs + again

    def cpu_s(self, of: Division) -> float:
        relays = self._relay_cpu * sum(one.pairs for one in of.relayed)
        tasks = self._task_cpu * of.all_tasks
        return (self._cpu * of.documents + self._block_cpu * of.pairs + tasks + relays) / 1e6

    def requests(self, of: Division, direct: bool = False) -> float:
        """The most requests: for each opening two for the index and three for the rows, and one for each block of
        what is read beside; for each unit one in each phase that reads it; for each task six, and one for each file.
        """
        opened = of.direct if direct else of.opened
        own = of.reads_of_units * of.units + 6 * of.all_tasks + of.all_files
        return 5 * opened + self.written(of) / BLOCK_BYTES + own

    def line(self, of: Division) -> str:
        return (
            f"{of.documents:14,} {of.all_tasks:8,} {of.all_files:9,} {of.opened / 1e6:9.4f} {of.direct / 1e6:11.4f} "
            f"{self.requests(of) / 1e6:10.4f} {self.written(of) / 1e9:10.2f} {self.cpu_s(of) / 3600:10.4f}"
        )

    def said(self) -> str:
        return (
            f"a document: {self._bytes:.0f} B written, {self._cpu:.2f} µs; a block: {self._block:.0f} B and "
            f"{self._block_cpu:.0f} µs, relayed {self._relay_cpu:.0f} µs more; a task: {self._task_cpu / 1000:.0f} ms"
        )


HEAD = "     documents    tasks     files  opened M unrelayed M requests M GB written core-hours"


def seen(one: Counted, of: Division) -> str:
    every = one.all
    return (
        f"{of.documents:14,} {every['tasks']:8,} {every['files']:9,} {'':9} {'':11} {every['requests'] / 1e6:10.4f} "
        f"{every['written'] / 1e9:10.2f} {every['cpu_us'] / 3.6e9:10.4f}  counted, peak {every['peak'] >> 20} MiB"
    )


def counts(millions: Sequence[float], memory: int, lines: bool, folder: Path, large: Sequence[int]) -> None:
    """Print what was counted for so many millions of documents, and the formulas for them and for more."""
    os.fsync = lambda fd: None  # no process is killed here, and a loaded disk would only cost time
    divided: Callable[[int, int], Division] = of_lines if lines else of_documents
    sizes = [int(number * 1e6) for number in millions]
    short = [8 << 20, (4 if lines else 1) << 20]
    """The memory of a task in runs with many more tasks and blocks for a document."""
    print(f"\n{'lines' if lines else 'documents'}, {memory >> 20} MiB for a task's rows\n{HEAD}", flush=True)
    runs = []
    for size, least in [*((size, memory) for size in sizes), *((min(sizes), least) for least in short)]:
        runs.append(counted(size, least, lines, folder))
        print(f"{seen(runs[-1], runs[-1].division)}, {least >> 20} MiB", flush=True)
    before, exchange.MOST_DIRECT = exchange.MOST_DIRECT, 0
    relayed = counted(min(sizes), short[-1], lines, folder)
    print(f"{seen(relayed, relayed.division)}, {short[-1] >> 20} MiB, all relayed", flush=True)
    exchange.MOST_DIRECT = before
    formula = Formula(runs, relayed)
    print(f"  {formula.said()}")
    for size in (*sizes, *large):
        print(f"{formula.line(divided(size, memory))}  by formula", flush=True)
