"""The comparisons of a build: one frame for all collective stages, whether they compare documents or lines.

The stages compare one after the other, in the order of the recipe. Each stage sees the documents that the stages before
it kept. The phases of a comparison are in `compare_documents` and `compare_lines`. This module has the parts that both
share.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, pairwise
from typing import Any

from corpus.collective import Collective
from corpus.dedup.contract import LineComparison
from corpus.dedup.index import EarlierRun
from corpus.dedup.layout import MEMORY_BYTES, Group
from corpus.digests import digest
from corpus.stage import BoundStage
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.task_commits import as_list, put_value
from corpus.tables.verdicts import Compared, VerdictBox, Verdicts
from jobs.runner.execution import Execution
from jobs.runner.task_functions import compare_task

ALARM_RATE = 0.9
ALARM_DOCUMENTS = 20
"""The least number of documents for which a rate means something.

Domains raise no alarm, because many sites are one page under many addresses.
"""


@dataclass(frozen=True)
class Comparison:
    """The comparison of one collective stage: its units, and the phases that have run.

    A file is removed as soon as no phase needs it, so that a document never takes much more space than its signature.
    """

    execution: Execution
    bound: BoundStage
    common: dict[str, Any]
    """The part that the payloads of all tasks share: store, recipe, factory, modules, depends."""
    units: Sequence[Commit]
    before: Sequence[Verdicts] = ()
    """The verdicts of earlier comparisons."""
    memory_bytes: int = MEMORY_BYTES
    against: Sequence[EarlierRun] = ()
    lists: dict[str, str] = field(default_factory=dict)
    """The names of the phases' results, and of the values that their tasks read."""
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """The cost of each phase in this process, for timings.json."""

    @property
    def stage(self) -> Collective:
        assert isinstance(self.bound.stage, Collective)
        return self.bound.stage

    @cached_property
    def archives(self) -> list[str]:
        """The names of all archives, in order."""
        return list(dict.fromkeys(unit.facts["unit"]["warc"] for unit in self.units))

    def removed(self, unit: int) -> tuple[VerdictBox, ...]:
        """Return the verdicts of earlier comparisons on a unit."""
        return tuple(verdicts.boxes[unit] for verdicts in self.before if verdicts.removed[unit])

    def groups(self, starts: Sequence[int]) -> list[dict[str, Any]]:
        """Store the units in groups, and return what a task needs to read its group. `starts` has the first unit of
        each group, followed by the number of units."""
        numbers = {name: number for number, name in enumerate(self.archives)}
        units, stored = iter(self.units), []
        for start, end in pairwise(starts):
            own = list(islice(units, end - start))
            parts = tuple(unit.part(self.stage.kind) for unit in own)
            archives = tuple(numbers[unit.facts["unit"]["warc"]] for unit in own)
            group = Group(parts, archives, tuple(map(self.removed, range(start, end))))
            stored.append({"group": put_value(self.execution.store, group.as_dict())})
        return stored

    def put(self, name: str, value: Any) -> None:
        """Store plain data under a name, for tasks to read."""
        self.lists[name] = put_value(self.execution.store, value)

    def phase(self, phase: str, own: Iterable[dict[str, Any]], reads: Sequence[str], name: str = "") -> list[Commit]:
        """Run the tasks of a phase, which may read the lists `reads`. Add the list of its commits under `name`, by
        default the name of the phase.

        Raises Stopped, and IntegrityError if a task was given up.
        """
        common = {**self.common, "stage": self.bound.name, "against": [one.store.location for one in self.against]}
        common |= {"phase": phase, "lists": {read: self.lists[read] for read in reads}}
        payloads = [{**common, "number": number, "own": payload} for number, payload in enumerate(own)]
        started = time.monotonic()
        results = self.execution.phase(
            f"{self.bound.name} {phase}", compare_task, payloads, f"comparing ({self.bound.name})"
        )
        self.costs[phase] = {
            "tasks": len(results),
            "seconds": round(time.monotonic() - started, 3),
            "cpu": round(sum(result["cost"]["cpu"] for result in results), 3),
            "peak": max((result["cost"]["peak"] for result in results), default=0),
        }
        done = [Commit.from_dict(result) for result in results]
        reached("before_list")
        self.lists[name or phase] = as_list(self.execution.store, done)
        return done

    def forget(self, commits: Sequence[Commit], *kinds: str) -> None:
        """Remove files that are no longer needed, because each task that reads them has its commit."""
        for done in commits:
            for part in done.parts:
                if part.kind in kinds or not kinds:
                    self.execution.store.discard(part.key)
                    reached("part_forgotten")

    def verdicts(
        self, kind: str, starts: Sequence[int], done: Sequence[Commit], removed: list[int], rules: dict[str, int],
        facts: dict[str, Any],
    ) -> Verdicts:  # fmt: skip
        """Return the verdicts on all units, from the files of a kind that the last phase wrote. `starts` are those of
        the groups."""
        split = self.stage.split if isinstance(self.stage, LineComparison) else ""
        compared = Compared(self.bound.name, self.stage.compares, dict(self.stage.evidence), split)
        boxes: list[VerdictBox] = []
        for (start, end), commit in zip(pairwise(starts), done, strict=True):
            part = commit.part(kind)
            boxes += (VerdictBox(compared.compares, part, box) for box in range(end - start))
        return Verdicts(compared, boxes, removed, rules, digest([commit.sha256 for commit in done]), facts)


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
