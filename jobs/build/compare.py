"""The comparisons of a build: one frame for all collective stages, whether they compare documents or lines.

The stages compare one after the other, in the order of the recipe. Each stage sees the documents that the stages before
it kept. The phases of a comparison are in `compare_documents` and `compare_lines`. This module has the parts that both
share.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any

import numpy as np

from corpus.collective import Collective
from corpus.dedup.contract import LineComparison
from corpus.dedup.index import EarlierRun
from corpus.dedup.layout import MEMORY_BYTES, Group
from corpus.dedup.task import RELAYED, relay_name
from corpus.digests import digest
from corpus.stage import BoundStage
from corpus.storage.commits import Commit, Part
from corpus.storage.crash_points import reached
from corpus.storage.exchange import Files, Grid
from corpus.storage.gathered import without_facts
from corpus.storage.task_commits import as_list, put_value
from corpus.tables.verdicts import Compared, GroupBoxes, VerdictBox, Verdicts
from corpus.text.vocabulary import Ints
from jobs.build.passed import Units
from jobs.runner.execution import Execution
from jobs.runner.task_functions import compare_task

ALARM_RATE = 0.9
ALARM_DOCUMENTS = 20
"""The least number of documents for which a rate means something.

Domains raise no alarm, because many sites are one page under many addresses.
"""


_FORGOTTEN_AT_ONCE = 1000
"""The files that are removed at once. A bucket removes as many in one request."""


@dataclass(frozen=True)
class Comparison:
    """The comparison of one collective stage: its units, and the phases that have run.

    A file is removed as soon as no phase needs it, so that a document never takes much more space than its signature.
    """

    execution: Execution
    bound: BoundStage
    common: dict[str, Any]
    """The part that the payloads of all tasks share: store, recipe, factory, modules, depends."""
    units: Units
    before: Sequence[Verdicts] = ()
    """The verdicts of earlier comparisons."""
    memory_bytes: int = MEMORY_BYTES
    against: Sequence[EarlierRun] = ()
    lists: dict[str, str] = field(default_factory=dict)
    """The names of the phases' results, and of the values that their tasks read."""
    files: dict[str, list[Part]] = field(default_factory=dict)
    """The files of each phase and of its relays that are still there."""
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """The cost of each phase in this process, for timings.json."""

    @property
    def stage(self) -> Collective:
        assert isinstance(self.bound.stage, Collective)
        return self.bound.stage

    @property
    def _shown(self) -> str:
        """The name of all phases in the progress."""
        return f"comparing ({self.bound.name})"

    def removed(self, unit: int) -> tuple[VerdictBox, ...]:
        """Return the verdicts of earlier comparisons on a unit."""
        return tuple(verdicts.boxes[unit] for verdicts in self.before if verdicts.removed[unit])

    def groups(self, starts: Sequence[int]) -> list[dict[str, Any]]:
        """Store the units in groups, and return what a task needs to read its group. `starts` has the first unit of
        each group, followed by the number of units. Raises Stopped."""
        units, stored = without_facts(self.units.commits), []
        for start, end in self.execution.follow(self._shown, pairwise(starts), len(starts) - 1):
            parts = tuple(unit.part(self.stage.kind) for unit in islice(units, end - start))
            group = Group(parts, tuple(self.units.archive[start:end]), tuple(map(self.removed, range(start, end))))
            stored.append({"group": put_value(self.execution.store, group.as_dict())})
        return stored

    def put(self, name: str, value: Any) -> None:
        """Store plain data under a name, for tasks to read."""
        self.lists[name] = put_value(self.execution.store, value)

    def phase(
        self, phase: str, own: Sequence[dict[str, Any]], reads: Sequence[str], name: str = "",
        readers: Mapping[str, int] | None = None,
    ) -> list[Commit]:  # fmt: skip
        """Run the tasks of a phase, which may read the lists `reads`, and those of their relays. Add the list of its
        commits under `name`, by default the name of the phase. `readers` counts the readers of each kind of files that
        go to many tasks.

        Raises Stopped, and IntegrityError if a task was given up.
        """
        done = self._run(phase, own, reads)
        name = name or phase
        self.lists[name] = as_list(self.execution.store, done)
        self.files[name] = [part for one in done for part in one.parts]
        for kind, count in (readers or {}).items():
            grid = Grid(len(done), count)
            if grid.needed:
                self._relay(name, kind, grid)
        return done

    def _relay(self, phase: str, kind: str, grid: Grid) -> None:
        """Copy the files of a kind into others, of which each reader needs only a few. Remove the first ones."""
        name, about = relay_name(phase, kind), {"phase": phase, "kind": kind, "memory_bytes": self.memory_bytes}
        done = self._run(name, [{**about, **own} for own in grid.tasks()], [phase])
        parts = [one.parts[0] for one in done]
        self.lists[name] = put_value(self.execution.store, Files(tuple(parts), grid).as_dict())
        self.forget(phase, kind)
        self.files[phase] += parts

    def _run(self, phase: str, own: Sequence[dict[str, Any]], reads: Sequence[str]) -> list[Commit]:
        common = {**self.common, "stage": self.bound.name, "against": [one.store.location for one in self.against]}
        wanted = tuple(relay_name(read, "") for read in reads)
        lists = {name: found for name, found in self.lists.items() if name in reads or name.startswith(wanted)}
        common |= {"phase": phase, "lists": lists}
        payloads = ({**common, "number": number, "own": payload} for number, payload in enumerate(own))
        started = time.monotonic()
        results = self.execution.phase(f"{self.bound.name} {phase}", compare_task, payloads, self._shown, len(own))
        self.costs[phase] = {
            "tasks": len(results),
            "seconds": round(time.monotonic() - started, 3),
            "cpu": round(sum(result["cost"]["cpu"] for result in results), 3),
            "peak": max((result["cost"]["peak"] for result in results), default=0),
        }
        done = [Commit.from_dict(result) for result in results]
        reached("before_list")
        return done

    def forget(self, phase: str, *kinds: str) -> None:
        """Remove files of a phase that are no longer needed, because each task that reads them has its commit.

        Without `kinds`, all its files are removed.
        """
        there = {part: not kinds or part.kind.removeprefix(RELAYED) in kinds for part in self.files[phase]}
        going = [part.key for part, goes in there.items() if goes]
        for start in range(0, len(going), _FORGOTTEN_AT_ONCE):
            self.execution.store.discard(*going[start : start + _FORGOTTEN_AT_ONCE])
            reached("parts_forgotten")
        self.files[phase] = [part for part, goes in there.items() if not goes]

    def verdicts(
        self, kind: str, starts: Sequence[int], done: Sequence[Commit], removed: Sequence[int], rules: dict[str, int],
        facts: dict[str, Any],
    ) -> Verdicts:  # fmt: skip
        """Return the verdicts on all units, from the files of a kind that the last phase wrote. `starts` are those of
        the groups."""
        split = self.stage.split if isinstance(self.stage, LineComparison) else ""
        compared = Compared(self.bound.name, self.stage.compares, dict(self.stage.evidence), split)
        boxes = GroupBoxes(compared.compares, [commit.part(kind) for commit in done], starts)
        return Verdicts(compared, boxes, removed, rules, digest([commit.sha256 for commit in done]), facts)


def sums_of(units: Units, done: Sequence[Commit], fact: str) -> Ints:
    """Return a count of each archive, from the counts of archives in the facts of groups."""
    sums = np.zeros(len(units.archives), np.int64)
    for one in done:
        for archive, count in one.facts[fact]:
            sums[archive] += count
    return sums


def alarm(verdicts: Verdicts, rate: float) -> str:
    """Return a warning if a comparison removes more than `rate` of the run or of one archive, else an empty text.

    The rate counts documents where documents are compared, and characters where lines are compared.
    """
    compared, removed, archives = (verdicts.facts[key] for key in ("compared", "removed", "archives"))
    if verdicts.compared.compares == "documents":
        counted, entries = "documents", [("the run", compared, compared, removed["all"])]
        entries += [(one["warc"], one["compared"], one["compared"], one["removed"]) for one in archives]
    else:
        counted, entries = "characters", [("the run", compared["documents"], compared["chars"], removed["chars"])]
        entries += [(one["warc"], one["documents"], one["chars"], one["chars_removed"]) for one in archives]
    for where, documents, size, gone in entries:
        if documents >= ALARM_DOCUMENTS and gone > rate * size:
            return (
                f"Dedup would remove {gone:,} of the {size:,} {counted} of {where}, "
                f"more than the {rate:.0%} that raise an alarm"
            )
    return ""
