"""The phases of dedup as committed work: each task's key holds the phase, the piece, and a digest of its inputs.

What a phase leaves is a list of commits, itself a file whose name is its digest; the next phase takes that name. So a
task needs only the store and names, a killed run goes on where it ended, and nothing is decided by what happens to lie
in a folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from corpus.commits import Commit, Part, commit, commit_key, read_commit
from corpus.dedup import Dedup
from corpus.dedup.bands import bands
from corpus.dedup.candidates import candidates, twins
from corpus.dedup.components import components, large_star, small_star, star_labels
from corpus.dedup.index import Earlier, Stretch, index_part, open_index, shifted
from corpus.dedup.layout import Layout
from corpus.dedup.members import earlier_members, members
from corpus.dedup.verdicts import sites, verdicts
from corpus.dedup.verify import verify_box
from corpus.errors import InputChanged, IntegrityError
from corpus.recipe import digest
from corpus.store import LocalStore

Made = tuple[list[Part], dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """One piece of a phase. `lists` names what earlier phases left; it, `payload` and `depends`, a digest of recipe,
    code and versions, are all that the result depends on."""

    store: LocalStore
    dedup: Dedup
    threshold: float
    phase: str
    piece: int
    lists: dict[str, str]
    payload: dict[str, Any]
    depends: str
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

    def value(self, name: str) -> Any:
        return get_value(self.store, self.lists[name])

    def parts(self, phase: str, kind: str) -> list[Part]:
        """The files of one kind that a phase left, in the order of its tasks."""
        return [Part(**entry[kind]) for entry in self.value(phase)]

    def edges(self) -> list[Part]:
        """The edges of the last round; each round has a kind of its own, for what one uses up the next may make."""
        return [Part(**part) for entry in self.value("edges") for kind, part in entry.items() if kind != "twins"]

    def units(self) -> list[Part]:
        return [Part(**part) for part in self.payload["units"]]


def put_value(store: LocalStore, value: Any) -> str:
    """Keep plain data under a name made of its digest."""
    data = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    name = hashlib.sha256(data).hexdigest()
    store.put_new(f".work/parts/lists/{name}.json", data)
    return name


def get_value(store: LocalStore, name: str) -> Any:
    """The data of a name. Raises IntegrityError."""
    data = store.get(f".work/parts/lists/{name}.json") or b""
    if hashlib.sha256(data).hexdigest() != name:
        raise IntegrityError(f"The list {name} of {store.root} is missing or damaged.", "Run the same command again.")
    return json.loads(data)


def as_list(store: LocalStore, commits: Sequence[Commit]) -> str:
    """The name of the list of what a phase left."""
    return put_value(store, [{part.kind: asdict(part) for part in done.parts} for done in commits])


def run_task(task: Task) -> Commit:
    """The commit of one task: the one that exists, or a new one."""
    kind = task.phase.split("-")[0]  # rounds of one kind have a number behind it
    depends = digest([task.depends, task.lists, task.payload])
    phase = "pack" if kind == "index" else f"dedup-{kind}"
    key = commit_key(phase, {"phase": task.phase, "piece": task.piece}, depends)
    done = read_commit(task.store, key)
    if done is None or (kind == "index" and not all(task.store.path(part.key).exists() for part in done.parts)):
        parts, about = _PHASES[kind](task)
        done = commit(task.store, key, parts, about)
    return done


def _candidates(task: Task) -> Made:
    step = task.layout.boxes_at_once
    boxes = range(step * task.piece, min(step * (task.piece + 1), task.layout.boxes))
    return candidates(task.store, task.layout, task.parts("bands", "keys"), boxes, task.earlier), {}


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
    "twins": lambda t: (twins(t.store, t.layout, t.parts("bands", "texts"), t.piece, t.earlier), {}),
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
