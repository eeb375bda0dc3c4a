"""Commits: one record, put if absent, makes all parts of a piece of work visible at once.

Its key holds the phase, the piece, and a digest of everything that the result depends on, so stale work is never
taken for current. A second attempt that comes late compares its parts with the winner's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.storage.crash_points import reached
from corpus.storage.store import Store


@dataclass(frozen=True)
class Part:
    """A committed file: its kind, key, rows, size and sha256."""

    kind: str
    key: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Commit:
    """The result of one task: its parts, and facts such as ranges and counts. A unit's facts are `UnitFacts`."""

    key: str
    parts: tuple[Part, ...]
    facts: dict[str, Any]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Commit:
        return cls(data["key"], tuple(Part(**part) for part in data["parts"]), data["facts"])

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def part(self, kind: str) -> Part:
        """The part of a kind; raises KeyError."""
        return {part.kind: part for part in self.parts}[kind]

    @property
    def sha256(self) -> str:
        """The digest of the commit, for what is made from it."""
        return digest([asdict(part) for part in self.parts])


def commit_key(phase: str, piece: Mapping[str, Any], depends: str) -> str:
    """The key of a piece of work: `phase` and a digest of the piece and of what its result depends on."""
    return f".work/commits/{phase}/{digest({'piece': piece, 'depends': depends})[:32]}.json"


def add_part(store: Store, kind: str, file: Path, rows: int, key: str = "", suffix: str = ".arrow") -> Part:
    """Put a finished scratch file into the store, by default under a name made of its content."""
    size, sha256 = file.stat().st_size, sha256_of(file)
    key = key or f".work/parts/{kind}/{sha256[:32]}{suffix}"
    part = Part(kind, key, rows, size, sha256)
    if not store.adopt(file, key):
        check_part(store, part)  # what was there before must be the same
    reached("part_stored")
    return part


def commit(store: Store, key: str, parts: list[Part], facts: Mapping[str, Any]) -> Commit:
    """Make the parts visible. Where another attempt was first, its commit is returned, if it says the same."""
    data = json.dumps({"parts": [asdict(part) for part in parts], "about": facts}, sort_keys=True).encode()
    mine = Commit(key, tuple(parts), json.loads(data)["about"])  # as everybody else will read it
    reached("before_commit")
    first = store.put_new(key, data)
    reached("after_commit")
    if first:
        return mine
    winner = read_commit(store, key)
    assert winner is not None
    if winner.sha256 != mine.sha256 and not (facts.get("exceptions") or winner.facts.get("exceptions")):
        raise IntegrityError(
            f"Two attempts at one piece of work gave different results ({key}).",
            "A stage is not deterministic: `corpus` promises the same bytes only for stages that are.",
        )
    return winner


def read_commit(store: Store, key: str) -> Commit | None:
    """The commit under a key, None where there is none."""
    data = store.get(key)
    if data is None:
        return None
    try:
        content = json.loads(data)
        return Commit(key, tuple(Part(**part) for part in content["parts"]), content["about"])
    except (ValueError, KeyError, TypeError):
        raise IntegrityError(
            f"The commit {store.where(key)} is damaged.", "Delete it; its work is done again."
        ) from None


def sha256_of(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_part(store: Store, part: Part) -> pa.Buffer:
    """The content of a part, once its size and sha256 are what the commit says. Raises IntegrityError."""
    content = part_content(store, part)
    if hashlib.sha256(content).hexdigest() != part.sha256:
        raise damaged(store, part)
    return content


def part_content(store: Store, part: Part) -> pa.Buffer:
    """The content of a part of the right size, which is still to be checked. Raises IntegrityError."""
    try:
        content = store.buffer(part.key)
    except FileNotFoundError:
        raise missing(store, part) from None
    if content.size != part.bytes:
        raise damaged(store, part)
    return content


def is_there(store: Store, part: Part) -> bool:
    """Whether a part that is not under .work/ is still where its commit says."""
    return store.size(part.key) is not None


def missing(store: Store, part: Part) -> IntegrityError:
    return IntegrityError(f"{store.where(part.key)} is missing.", _mend(store, part))


def damaged(store: Store, part: Part) -> IntegrityError:
    return IntegrityError(f"{store.where(part.key)} is damaged: it is not what was committed.", _mend(store, part))


def _mend(store: Store, part: Part) -> str:
    return make_anew(store) if part.key.startswith(".work/") else "Restore it, or build again."


def make_anew(store: Store) -> str:
    """What helps where intermediate files are not what they were: as long as commits name them they are not made
    again, and as long as they lie there nothing takes their names."""
    parts, commits = store.where(".work/parts"), store.where(".work/commits")
    return f"Remove {parts} and {commits}, and run the same command again: it does that work anew."
