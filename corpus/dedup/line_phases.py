"""The phases of dedup by lines: what each piece does with what earlier ones left (`corpus.storage.task_commits`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from corpus.dedup.cuts import cuts
from corpus.dedup.lines import Lines
from corpus.dedup.repeats import LineLayout, Own, keepers, line_keys, losers, repeats
from corpus.stage import Limit
from corpus.storage.commits import Commit, Part
from corpus.storage.task_commits import Made, Piece, committed


@dataclass(frozen=True, kw_only=True)
class LineTask(Piece):
    """One piece of a phase of a dedup by lines."""

    lines: Lines
    limits: dict[str, Limit]

    @cached_property
    def layout(self) -> LineLayout:
        return LineLayout.from_dict(self.value("layout"))

    @property
    def own(self) -> Own:
        told = [(Part(**part), box) for part, box in self.payload["told"]]
        return Own(self.units(), self.payload["archives"], told)


def run_line_task(task: LineTask) -> Commit:
    """The commit of one task: the one that exists, or a new one."""
    return committed(task, lambda: _PHASES[task.kind](task))


def _losers(task: LineTask) -> Made:
    repeated = task.parts("repeats", "repeated")
    return losers(task.store, task.layout, task.lines, task.limits, task.piece, task.own, repeated)


def _cuts(task: LineTask) -> Made:
    kept = task.parts("keepers", "keepers") if task.lines.keep == "first" else None
    lost = task.parts("losers", "losers")[task.piece]
    repeated = task.parts("repeats", "repeated")
    return cuts(task.store, task.layout, task.piece, task.own, lost, repeated, kept, task.value("archives"))


_PHASES: dict[str, Callable[[LineTask], Made]] = {
    "linekeys": lambda t: line_keys(t.store, t.layout, t.piece, t.own),
    "repeats": lambda t: (repeats(t.store, t.layout, t.lines, t.parts("linekeys", "had"), t.piece), {}),
    "losers": _losers,
    "keepers": lambda t: (keepers(t.store, t.layout, t.parts("losers", "places"), t.piece), {}),
    "cuts": _cuts,
}
