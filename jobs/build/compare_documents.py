"""The part of a build that compares documents: the phases of `corpus.dedup`, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from corpus.dedup.contract import Dedup as Stage
from corpus.dedup.index import Earlier, index_entry, rows_per_part, write_index
from corpus.dedup.layout import MEMORY_BYTES, Layout, make_layout
from corpus.dedup.verdicts import MOST_SITES
from corpus.dedup.verify import LARGEST
from corpus.digests import digest
from corpus.stage import BoundStage
from corpus.storage.commits import Commit
from corpus.storage.store import Store
from corpus.storage.task_commits import as_list, put_value
from corpus.tables.pack import Verdicts
from jobs.build.dedup_phases import Phases
from jobs.runner.engine import Engine, Stop
from jobs.runner.progress import Progress
from jobs.runner.task_functions import dedup_task

ALARM_RATE = 0.9
ALARM_DOCUMENTS = 20
"""Documents from which on a rate says something. Domains raise none: many a site is one page under many addresses."""


@dataclass(frozen=True)
class Compared:
    """What dedup found: the verdicts for pack, a digest of them, and what run.json says about them."""

    verdicts: Verdicts
    digest: str
    info: dict[str, Any]
    archives: list[str]

    @property
    def removed(self) -> int:
        return sum(self.verdicts.removed)


@dataclass(frozen=True)
class Dedup:
    """The dedup of one run."""

    store: Store
    bound: BoundStage
    common: dict[str, Any]
    """What every task's payload holds: store, recipe, factory, modules, depends."""
    engine: Engine
    stop: Stop
    progress: Progress
    memory_bytes: int = MEMORY_BYTES
    against: Sequence[Earlier] = ()
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """What each phase took in this process's run: for timings.json, as it differs from run to run."""

    def compare(self, units: Sequence[Commit]) -> Compared | None:
        """The verdicts on the documents of all units, in (archive, offset) order; None where the limit is switched
        off. Raises Stopped, and IntegrityError."""
        threshold = self.bound.limits["similarity"].below
        if threshold is None:
            return None
        signatures = [unit.part("signatures") for unit in units]
        rows = [part.rows for part in signatures]
        earlier = [
            (number, place, part.end - part.first)
            for number, one in enumerate(self.against)
            for place, part in enumerate(one.parts)
        ]
        layout, starts = make_layout(rows, self._stage.bands, [size for _, _, size in earlier], self.memory_bytes)
        names = list(dict.fromkeys(unit.about["unit"]["warc"] for unit in units))
        number = {name: index for index, name in enumerate(names)}
        groups = [range(start, end) for start, end in pairwise(starts)]
        own = [
            {
                "units": [asdict(signatures[unit]) for unit in group],
                "archives": [number[units[unit].about["unit"]["warc"]] for unit in group],
            }
            for group in groups
        ]
        phases = self._phases
        phases.lists["layout"] = put_value(self.store, layout.as_dict())
        phases.lists["archives"] = put_value(self.store, names)
        phases.lists["against"] = put_value(self.store, [one.digest for one in self.against])

        past = ["archives", "against"]  # the numbers of earlier archives come after those of these
        bands = phases.run("bands", own, ["layout"])
        keys: list[dict[str, Any]] = [{}] * -(-layout.boxes // layout.boxes_at_once)
        candidates = phases.run("candidates", keys, ["layout", "bands", *past])
        twins = phases.run("twins", [{}] * (1 << layout.text_bits), ["layout", "bands", *past])
        phases.forget(bands, "keys", "texts")
        labels = self._components(layout, candidates, twins)
        checked = [{**group, "files": done.about["files"]} for group, done in zip(own, bands, strict=True)]
        checked += [{"earlier": number, "part": place} for number, place, _ in earlier]
        members = phases.run("members", checked, ["layout", "bands", "labels", "twins", *past])
        phases.forget(labels, "labels")
        phases.forget(twins)
        boxes: list[dict[str, Any]] = [{}] * (1 << layout.verifier_bits)
        verified = phases.run("verify", boxes, ["layout", "members"])
        phases.forget(members, "members")
        verdicts = phases.run("verdicts", own, ["layout", "verify", *past])
        phases.forget(verified, "found")
        sites = phases.run("sites", [{}] * (1 << layout.site_bits), ["layout", "bands", "verdicts"])

        removed = [count for done in verdicts for count in done.about["removed"]]
        told = [
            (done.part("verdicts"), box)
            for group, done in zip(groups, verdicts, strict=True)
            for box in range(len(group))
        ]
        compared = [count for done in bands for count in done.about["compared"]]
        info = {
            "compared": sum(compared),
            "removed": {"exact": sum(done.about["exact"] for done in verdicts), "all": sum(removed)},
            "unverified": sum(done.about["unverified"] for done in verified),
            "largest": _largest(verified, [*names, *(name for one in self.against for name in one.archives)]),
            "archives": _archives(units, compared, removed),
            "domains": _domains(sites),
        }
        found = Verdicts(removed, told, self.bound.name, threshold)
        return Compared(found, digest([done.sha256 for done in verdicts]), info, names)

    def index(self, units: Sequence[Commit], compared: Compared) -> str:
        """Write the index of this run; its digest. Raises Stopped."""
        stage = self._stage
        signatures = [unit.part("signatures") for unit in units]
        firsts = np.cumsum([0, *(part.rows for part in signatures)]).tolist()
        size = rows_per_part(stage)
        archives = {name: number for number, name in enumerate(compared.archives)}
        pieces: list[dict[str, Any]] = [{"stretches": []} for _ in range(0, firsts[-1], size)]
        for number, unit in enumerate(units):
            told, box = compared.verdicts.told[number]
            stretch = {
                "signatures": asdict(signatures[number]),
                "first": firsts[number],
                "archive": archives[unit.about["unit"]["warc"]],
                "told": asdict(told),
                "box": box,
            }
            for piece in range(firsts[number] // size, -(-firsts[number + 1] // size)):
                pieces[piece]["stretches"].append(stretch)
        layout, _ = make_layout([part.rows for part in signatures], stage.bands, memory_bytes=self.memory_bytes)
        self._phases.lists["layout"] = put_value(self.store, layout.as_dict())
        made = self._phases.run("index", pieces, ["layout"])
        entries = [index_entry(done.parts, done.about) for done in made]
        return write_index(self.store, stage, firsts[-1], compared.archives, entries)

    @property
    def _stage(self) -> Stage:
        assert isinstance(self.bound.stage, Stage)
        return self.bound.stage

    @cached_property
    def _phases(self) -> Phases:
        common = {**self.common, "against": [one.store.place for one in self.against]}
        common["threshold"] = self.bound.limits["similarity"].below
        where = (self.engine, self.stop, self.progress)
        return Phases(self.store, self.bound.name, dedup_task, common, *where, costs=self.costs)

    def _components(self, layout: Layout, candidates: list[Commit], twins: list[Commit]) -> list[Commit]:
        """The labels, by one task or by rounds of tasks."""
        phases = self._phases
        phases.lists["edges"] = as_list(self.store, [*candidates, *twins])
        if layout.spans == 1:
            found = phases.run("components", [{}], ["layout", "edges"], "labels")
            phases.forget(candidates)
            return found
        pieces: list[dict[str, Any]] = [{}] * layout.spans
        edges, number = candidates, 0
        while True:
            large = phases.run(f"large-{number}", pieces, ["layout", "edges"])
            if not sum(done.about["unfinished"] for done in large):
                found = phases.run("labels", pieces, ["layout", "edges"])
                phases.forget(edges)
                phases.forget(large)
                return found
            phases.lists["edges"] = phases.lists[f"large-{number}"]
            small = phases.run(f"small-{number}", pieces, ["layout", "edges"])
            phases.forget(edges)
            phases.forget(large)
            phases.lists["edges"] = phases.lists[f"small-{number}"]
            edges, number = small, number + 1


def _largest(verified: Sequence[Commit], names: Sequence[str]) -> list[dict[str, Any]]:
    """The largest clusters, and of those of one size the first."""
    found = sorted((entry for done in verified for entry in done.about["largest"]), reverse=True)[:LARGEST]
    return [
        {"id": f"{names[archive]}:{offset}" + (f"+{inner}" if inner else ""), "documents": size}
        for size, _, (archive, offset, inner) in found
    ]


def _archives(units: Sequence[Commit], compared: Sequence[int], removed: Sequence[int]) -> list[dict[str, Any]]:
    """What each archive lost."""
    found: dict[str, list[int]] = {}
    for unit, documents, gone in zip(units, compared, removed, strict=True):
        counts = found.setdefault(unit.about["unit"]["warc"], [0, 0])
        counts[0] += documents
        counts[1] += gone
    return [{"warc": name, **_rate(documents, gone)} for name, (documents, gone) in found.items()]


def _domains(sites: Sequence[Commit]) -> dict[str, Any]:
    """How many domains there are, and those that lost most."""
    found = sorted((tuple(entry) for done in sites for entry in done.about["sites"]), reverse=True)[:MOST_SITES]
    named = [{"domain": site, **_rate(documents, gone)} for gone, documents, site in found]
    return {"number": sum(done.about["count"] for done in sites), "most_removed": named}


def _rate(documents: int, removed: int) -> dict[str, Any]:
    return {"compared": documents, "removed": removed, "rate": round(removed / documents, 4) if documents else 0.0}


def alarm(info: dict[str, Any], rate: float) -> str:
    """One sentence where more was removed than `rate`, of the run or of one archive; else nothing."""
    whole = {"warc": "the run", **_rate(info["compared"], info["removed"]["all"])}
    for entry in (whole, *info["archives"]):
        if entry["compared"] >= ALARM_DOCUMENTS and entry["removed"] > rate * entry["compared"]:
            return (
                f"Dedup would remove {entry['removed']:,} of the {entry['compared']:,} documents of {entry['warc']}, "
                f"more than the {rate:.0%} that raise an alarm"
            )
    return ""
