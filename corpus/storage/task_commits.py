"""Pieces of a phase as committed work: each one's key holds the phase, its number, and a digest of its inputs.

What a phase leaves is a list of commits, itself a file whose name is its digest; the next phase takes that name. So a
task needs only the store and names, a killed run goes on where it ended, and nothing is decided by what happens to lie
in a folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.storage.commits import Commit, Part, commit, commit_key, is_there, make_anew, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store

FOLDER = "dedup"
"""Of the commits of pieces, in that of all commits."""

Made = tuple[list[Part], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One piece of a phase. `lists` names what earlier phases left; it, `payload` and `depends`, a digest of recipe,
    code and versions, are all that the result depends on."""

    store: Store
    phase: str
    piece: int
    lists: dict[str, str]
    payload: dict[str, Any]
    depends: str

    @property
    def kind(self) -> str:
        """The phase; rounds of one kind have a number behind it."""
        return self.phase.split("-")[0]

    def value(self, name: str) -> Any:
        return get_value(self.store, self.lists[name])

    def parts(self, phase: str, kind: str) -> list[Part]:
        """The files of one kind that a phase left, in the order of its tasks."""
        return [Part(**entry[kind]) for entry in self.value(phase)]

    def units(self) -> list[Part]:
        return [Part(**part) for part in self.payload["units"]]


def committed(piece: Piece, make: Callable[[], Made]) -> Commit:
    """The commit of a piece: the one that exists, or a new one of what `make` gives."""
    depends = digest([piece.depends, piece.lists, piece.payload])
    stays = piece.kind == "index"  # its files are not in .work/, and may have been removed
    folder = "pack" if stays else f"{FOLDER}/{piece.kind}"
    key = commit_key(folder, {"phase": piece.phase, "piece": piece.piece}, depends)
    done = read_commit(piece.store, key)
    if done is None or (stays and not all(is_there(piece.store, part) for part in done.parts)):
        reached("piece_begun")
        parts, about = make()
        reached("piece_made")
        done = commit(piece.store, key, parts, about)
    return done


def begin(store: Store, work: str) -> None:
    """Forget what phases left that compared other documents, or divided them otherwise, than the work of this digest:
    some of it may have been removed as used up, though other work needs it."""
    if (store.get(".work/compared") or b"").decode() != work:
        store.remove(f".work/commits/{FOLDER}")
        store.replace(".work/compared", work.encode())


def put_value(store: Store, value: Any) -> str:
    """Keep plain data under a name made of its digest."""
    data = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    name = hashlib.sha256(data).hexdigest()
    store.put_new(f".work/parts/lists/{name}.json", data)
    return name


def get_value(store: Store, name: str) -> Any:
    """The data of a name. Raises IntegrityError."""
    data = store.get(f".work/parts/lists/{name}.json") or b""
    if hashlib.sha256(data).hexdigest() != name:
        raise IntegrityError(f"The list {name} of {store.where()} is missing or damaged.", make_anew(store))
    return json.loads(data)


def as_list(store: Store, commits: Sequence[Commit]) -> str:
    """The name of the list of what a phase left."""
    return put_value(store, [{part.kind: asdict(part) for part in done.parts} for done in commits])
