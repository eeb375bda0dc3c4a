"""The phases of dedup by documents: what each piece does with what earlier ones left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from corpus.dedup.bands import bands
from corpus.dedup.candidates import candidates, twins
from corpus.dedup.components import components, large_star, small_star, star_labels
from corpus.dedup.contract import Dedup
from corpus.dedup.index import Earlier, Stretch, index_part, open_index, shifted
from corpus.dedup.layout import Layout
from corpus.dedup.members import earlier_members, members
from corpus.dedup.verdicts import sites, verdicts
from corpus.dedup.verify import verify_box
from corpus.errors import InputChanged
from corpus.storage.commits import Commit, Part
from corpus.storage.task_commits import Made, Piece, committed


@dataclass(frozen=True, kw_only=True)
class Task(Piece):
    """One piece of a phase of a dedup."""

    dedup: Dedup
    threshold: float
    against: tuple[str, ...] = ()
    """Where the indexes lie whose digests `lists` has."""

    @cached_property
    def earlier(self) -> list[Earlier]:
        """The earlier runs to compare with, with their numbers in this one."""
        found = [open_index(folder) for folder in self.against]
        if [one.digest for one in found] != self.value("against"):
            raise InputChanged("The index of an earlier run is not what it was when this run began.")
        return shifted(found, self.layout.documents, len(self.value("archives")))

    @cached_property
    def layout(self) -> Layout:
        return Layout.from_dict(self.value("layout"))

    def edges(self) -> list[Part]:
        """The edges of the last round; each round has a kind of its own, for what one uses up the next may make."""
        return [Part(**part) for entry in self.value("edges") for kind, part in entry.items() if kind != "twins"]


def run_task(task: Task) -> Commit:
    """The commit of one task: the one that exists, or a new one."""
    return committed(task, lambda: _PHASES[task.kind](task))


def _candidates(task: Task) -> Made:
    step = task.layout.boxes_at_once
    boxes = range(step * task.piece, min(step * (task.piece + 1), task.layout.boxes))
    return candidates(task.store, task.layout, task.parts("bands", "keys"), boxes, task.earlier), {}


def _twins(task: Task) -> Made:
    least = 0.0 if task.dedup.transitive else task.threshold
    return twins(task.store, task.layout, task.parts("bands", "texts"), task.piece, task.earlier, least), {}


def _members(task: Task) -> Made:
    inputs = {
        "labels": task.parts("labels", "labels"),
        "twins": task.parts("twins", "twins"),
        "followers": task.parts("bands", "followers")[task.piece : task.piece + 1],
    }
    own = task.payload
    if "earlier" in own:
        one = task.earlier[own["earlier"]]
        part = one.parts[own["part"]]
        return earlier_members(task.store, task.dedup, task.layout, task.piece, one, part, inputs), {}
    units = task.units()
    return members(task.store, task.dedup, task.layout, task.piece, units, own["archives"], own["files"], inputs), {}


def _verdicts(task: Task) -> Made:
    rows = [part.rows for part in task.units()]
    found = task.parts("verify", "found")
    names = task.value("archives") + [name for one in task.earlier for name in one.archives]
    return verdicts(task.store, task.layout, task.piece, rows, names, found)


def _index(task: Task) -> Made:
    stretches = [
        Stretch(Part(**own["signatures"]), own["first"], own["archive"], Part(**own["told"]), own["box"])
        for own in task.payload["stretches"]
    ]
    return index_part(task.store, task.dedup, task.piece, task.layout.documents, stretches)


_PHASES: dict[str, Callable[[Task], Made]] = {
    "bands": lambda t: bands(t.store, t.dedup, t.layout, t.units()),
    "candidates": _candidates,
    "twins": _twins,
    "components": lambda t: (components(t.store, t.layout, t.edges()), {}),
    "large": lambda t: large_star(t.store, t.layout, t.edges(), t.piece, t.phase),
    "small": lambda t: (small_star(t.store, t.layout, t.edges(), t.piece, t.phase), {}),
    "labels": lambda t: (star_labels(t.store, t.layout, t.edges(), t.piece), {}),
    "members": _members,
    "verify": lambda t: verify_box(t.store, t.dedup, t.layout, t.threshold, t.parts("members", "members"), t.piece),
    "verdicts": _verdicts,
    "index": _index,
    "sites": lambda t: ([], sites(t.store, t.parts("bands", "sites"), t.parts("verdicts", "sites"), t.piece)),
}
