"""The tasks of a phase as committed work.

The key of a task's commit holds the phase, the task's number, and a digest of its inputs. At its end, a phase writes a
list of its commits, as a file whose name is its digest. The next phase takes that name. So a task needs only the store
and names, and a killed run continues where it ended. Files that happen to lie in a folder change nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.json_data import parse_json
from corpus.storage.commits import Commit, Part, commit, commit_key, is_there, make_anew, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store

FOLDER = "dedup"
"""The folder of these commits, below the folder of all commits."""

Made = tuple[list[Part], dict[str, Any]]
"""The parts and the facts of a task's result."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of a phase.

    Its result depends on `lists`, which names the results of earlier phases, on `payload`, and on `depends`, a digest
    of recipe, code and versions.
    """

    store: Store
    phase: str
    number: int
    lists: dict[str, str]
    payload: dict[str, Any]
    depends: str

    @property
    def kind(self) -> str:
        """The phase without its final number. Rounds of the same kind end in a number."""
        return self.phase.split("-")[0]

    def value(self, name: str) -> Any:
        return get_value(self.store, self.lists[name])

    def parts(self, phase: str, kind: str) -> list[Part]:
        """Return the files of one kind from an earlier phase, in the order of its tasks."""
        return [Part(**entry[kind]) for entry in self.value(phase)]


def committed(task: Task, make: Callable[[], Made]) -> Commit:
    """Return the commit of a task: the existing one, or a new one with what `make` returns."""
    depends = digest([task.depends, task.lists, task.payload])
    stays = task.kind == "index"  # the files of an index are not in .work/, and may have been removed
    folder = "pack" if stays else f"{FOLDER}/{task.kind}"
    key = commit_key(folder, {"phase": task.phase, "piece": task.number}, depends)
    done = read_commit(task.store, key)
    if done is None or (stays and not all(is_there(task.store, part) for part in done.parts)):
        reached("piece_begun")
        parts, facts = make()
        reached("piece_made")
        done = commit(task.store, key, parts, facts)
    return done


def begin(store: Store, work: str) -> None:
    """Remove the commits of phases that belong to work with another digest: other documents, or another division of
    documents.

    Parts that these commits name may have been removed after use, and the new work would miss them.
    """
    if (store.get(".work/compared") or b"").decode() != work:
        store.remove(f".work/commits/{FOLDER}")
        store.replace(".work/compared", work.encode())


def put_value(store: Store, value: Any) -> str:
    """Store plain data and return its name, which is its digest."""
    data = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    name = hashlib.sha256(data).hexdigest()
    store.put_new(f".work/parts/lists/{name}.json", data)
    return name


def get_value(store: Store, name: str) -> Any:
    """Return the data under a name. Raises IntegrityError if it is missing or damaged."""
    data = store.get(f".work/parts/lists/{name}.json") or b""
    if hashlib.sha256(data).hexdigest() != name:
        raise IntegrityError(f"The list {name} of {store.where()} is missing or damaged.", make_anew(store))
    return parse_json(data)


def as_list(store: Store, commits: Sequence[Commit]) -> str:
    """Store the list of a phase's commits and return its name."""
    return put_value(store, [{part.kind: asdict(part) for part in done.parts} for done in commits])
