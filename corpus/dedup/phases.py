"""The phases of a comparison, in order, and the work that a task of each does.

Of documents:

    bands       signatures → band keys and text hashes, each sent to the task of its range
    candidates  equal keys → edges
    twins       equal texts → twins
    components  edges → the component of each document that has any (or in rounds: large, small, labels)
    members     the signatures of those documents, sent to the task of their component
    verify      components → verdicts with evidence, sent back to where the documents are
    verdicts    the verdicts of each unit, for the pack phase
    sites       removed documents by domain
    index       signatures of kept documents, for later runs

Of lines:

    linekeys    the different lines of a group's documents, sent to the task of their range of hashes
    repeats     lines that enough documents have, sent back to the groups that have them
    losers      documents that would lose too much; for the others, where each repeated line first is
    keepers     the first document over all groups that keeps each line, sent back to the groups (keep = "first")
    cuts        the verdicts of each unit, for the pack phase

Everything between phases lies in committed files. The number of tasks follows from the number of documents and the
memory that a task may take, and changes nothing in the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from corpus.dedup.bands import bands
from corpus.dedup.candidates import candidates, twins
from corpus.dedup.components import components, large_star, small_star, star_labels
from corpus.dedup.contract import DocumentComparison, LineComparison
from corpus.dedup.cuts import cuts
from corpus.dedup.index import EarlierRun, UnitRows, index_part, open_index, shifted
from corpus.dedup.layout import Group, Layout
from corpus.dedup.members import earlier_members, members
from corpus.dedup.repeats import LineLayout, keepers, line_keys, losers, repeats
from corpus.dedup.unit_verdicts import sites, verdicts
from corpus.dedup.verify import verify_box
from corpus.errors import InputChanged
from corpus.stage import BoundStage
from corpus.storage.commits import Commit, Part
from corpus.storage.task_commits import Made, Task, committed


@dataclass(frozen=True, kw_only=True)
class ComparisonTask(Task):
    """One task of a phase of the comparison of `bound`, a collective stage under its limits."""

    bound: BoundStage
    against: tuple[str, ...] = ()
    """The locations of the indexes whose digests are in `lists`."""

    @property
    def documents(self) -> DocumentComparison:
        assert isinstance(self.bound.stage, DocumentComparison)
        return self.bound.stage

    @property
    def lines(self) -> LineComparison:
        assert isinstance(self.bound.stage, LineComparison)
        return self.bound.stage

    @property
    def threshold(self) -> float:
        """The similarity from which a document is removed."""
        below = self.bound.limits[self.documents.rule].below
        assert below is not None, "without a limit nothing is compared"
        return below

    @cached_property
    def earlier(self) -> list[EarlierRun]:
        """The earlier runs to compare with, with their numbers in this one."""
        found = [open_index(folder) for folder in self.against]
        if [one.digest for one in found] != self.value("against"):
            raise InputChanged("The index of an earlier run is not what it was when this run began.")
        return shifted(found, self.layout.documents, len(self.value("archives")))

    @cached_property
    def layout(self) -> Layout:
        return Layout.from_dict(self.value("layout"))

    @cached_property
    def line_layout(self) -> LineLayout:
        return LineLayout.from_dict(self.value("layout"))

    @cached_property
    def group(self) -> Group:
        return Group.from_dict(self.payload["group"])

    def edges(self) -> list[Part]:
        """Return the edges of the last round. Each round has a kind of its own, since one may make what the next uses
        up."""
        return [Part(**part) for entry in self.value("edges") for kind, part in entry.items() if kind != "twins"]


def run_task(task: ComparisonTask) -> Commit:
    """Return the commit of a task: the existing one, or a new one."""
    return committed(task, lambda: _PHASES[task.kind](task))


def _candidates(task: ComparisonTask) -> Made:
    step = task.layout.boxes_at_once
    boxes = range(step * task.number, min(step * (task.number + 1), task.layout.boxes))
    return candidates(task.store, task.layout, task.parts("bands", "keys"), boxes, task.earlier), {}


def _twins(task: ComparisonTask) -> Made:
    least = 0.0 if task.documents.transitive else task.threshold
    return twins(task.store, task.layout, task.parts("bands", "texts"), task.number, task.earlier, least), {}


def _members(task: ComparisonTask) -> Made:
    inputs = {
        "labels": task.parts("labels", "labels"),
        "twins": task.parts("twins", "twins"),
        "followers": task.parts("bands", "followers")[task.number : task.number + 1],
    }
    own = task.payload
    if "earlier" in own:
        one = task.earlier[own["earlier"]]
        part = one.parts[own["part"]]
        return earlier_members(task.store, task.documents, task.layout, task.number, one, part, inputs), {}
    return members(task.store, task.documents, task.layout, task.number, task.group, own["files"], inputs), {}


def _verify(task: ComparisonTask) -> Made:
    files = task.parts("members", "members")
    return verify_box(task.store, task.documents, task.layout, task.threshold, files, task.number)


def _verdicts(task: ComparisonTask) -> Made:
    names = task.value("archives") + [name for one in task.earlier for name in one.archives]
    found = task.parts("verify", "found")
    limit = (task.documents.rule, task.threshold)
    return verdicts(task.store, task.layout, task.number, task.group, names, found, limit)


def _index(task: ComparisonTask) -> Made:
    units = [UnitRows.from_dict(one) for one in task.payload["units"]]
    return index_part(task.store, task.documents, task.number, task.layout.documents, units)


def _losers(task: ComparisonTask) -> Made:
    repeated = task.parts("repeats", "repeated")
    return losers(task.store, task.line_layout, task.bound, task.number, task.group, repeated)


def _cuts(task: ComparisonTask) -> Made:
    kept = task.parts("keepers", "keepers") if task.lines.keep == "first" else None
    lost = task.parts("losers", "losers")[task.number]
    repeated = task.parts("repeats", "repeated")
    return cuts(task.store, task.line_layout, task.number, task.group, lost, repeated, kept, task.value("archives"))


_PHASES: dict[str, Callable[[ComparisonTask], Made]] = {
    "bands": lambda t: bands(t.store, t.documents, t.layout, t.group),
    "candidates": _candidates,
    "twins": _twins,
    "components": lambda t: (components(t.store, t.layout, t.edges()), {}),
    "large": lambda t: large_star(t.store, t.layout, t.edges(), t.number, t.phase),
    "small": lambda t: (small_star(t.store, t.layout, t.edges(), t.number, t.phase), {}),
    "labels": lambda t: (star_labels(t.store, t.layout, t.edges(), t.number), {}),
    "members": _members,
    "verify": _verify,
    "verdicts": _verdicts,
    "index": _index,
    "sites": lambda t: ([], sites(t.store, t.parts("bands", "sites"), t.parts("verdicts", "sites"), t.number)),
    "linekeys": lambda t: line_keys(t.store, t.line_layout, t.number, t.group),
    "repeats": lambda t: (repeats(t.store, t.line_layout, t.lines, t.parts("linekeys", "had"), t.number), {}),
    "losers": _losers,
    "keepers": lambda t: (keepers(t.store, t.line_layout, t.parts("losers", "places"), t.number), {}),
    "cuts": _cuts,
}
