"""Commits: one record, put if absent, makes all parts of a task visible at once.

The key of a commit holds the phase, the task, and a digest of everything that the result depends on, so old work is
never used by mistake. If two attempts do the same task, the second compares its parts with the first one's parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.json_data import check_shape, parse_json
from corpus.storage.crash_points import reached
from corpus.storage.store import Store


@dataclass(frozen=True)
class Part:
    """A committed file."""

    kind: str
    key: str
    rows: int
    bytes: int
    sha256: str


_PART = {"kind": str, "key": str, "rows": int, "bytes": int, "sha256": str}
_FIELDS = itemgetter(*_PART)
_MOST = 1 << 63


def part_of(entry: Any) -> Part:
    """Return the part that an entry of a file describes. Raises ValueError."""
    try:
        kind, key, rows, size, sha256 = _FIELDS(entry)
    except (KeyError, TypeError):
        kind = key = rows = size = sha256 = None
    if not (
        type(kind) is type(key) is type(sha256) is str
        and type(rows) is type(size) is int
        and 0 <= rows < _MOST
        and 0 <= size < _MOST
    ):
        check_shape(entry, _PART)  # says what is wrong; a crawl has millions of parts, and this check takes 15 µs
    return Part(kind, key, rows, size, sha256)


@dataclass(frozen=True)
class Commit:
    """The result of one task: its parts, and facts such as ranges and counts. A unit's facts are `UnitFacts`."""

    key: str
    parts: tuple[Part, ...]
    facts: dict[str, Any]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Commit:
        return cls(data["key"], tuple(map(part_of, data["parts"])), data["facts"])

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.key, "parts": [vars(part) for part in self.parts], "facts": self.facts}

    def part(self, kind: str) -> Part:
        """Return the part of a kind. Raises KeyError."""
        for part in self.parts:
            if part.kind == kind:
                return part
        raise KeyError(kind)

    @property
    def sha256(self) -> str:
        """The digest of the parts."""
        return digest([vars(part) for part in self.parts])


def commit_key(phase: str, task: Mapping[str, Any], depends: str) -> str:
    """Return the key of a task's commit. `depends` is a digest of everything else that the result depends on."""
    return f".work/commits/{phase}/{digest({'piece': task, 'depends': depends})[:32]}.json"


def add_part(store: Store, kind: str, file: Path, rows: int, key: str = "", suffix: str = ".arrow") -> Part:
    """Move a finished scratch file into the store, by default under a name made of its content."""
    size, sha256 = file.stat().st_size, sha256_of(file)
    key = key or f".work/parts/{kind}/{sha256[:32]}{suffix}"
    part = Part(kind, key, rows, size, sha256)
    if not store.adopt(file, key):
        check_part(store, part)  # the existing file must have the same content
    reached("part_stored")
    return part


def commit(store: Store, key: str, parts: list[Part], facts: Mapping[str, Any]) -> Commit:
    """Make parts visible. If another attempt was first, return its commit.

    Raises IntegrityError if that commit has other parts.
    """
    data = json.dumps({"parts": [vars(part) for part in parts], "about": facts}, sort_keys=True).encode()
    # parsed again, to have exactly what later readers will have
    mine = Commit(key, tuple(parts), parse_json(data)["about"])
    reached("before_commit")
    first = store.put_new(key, data)
    reached("after_commit")
    if first:
        return mine
    winner = read_commit(store, key)
    assert winner is not None
    if winner.sha256 != mine.sha256 and not (facts.get("exceptions") or winner.facts.get("exceptions")):
        raise IntegrityError(
            f"Two attempts at one task gave different results ({key}).",
            "A stage is not deterministic: `corpus` promises the same bytes only for stages that are.",
        )
    return winner


def read_commit(store: Store, key: str) -> Commit | None:
    """Return the commit under a key, or None if there is none."""
    data = store.get(key)
    if data is None:
        return None
    try:
        content = parse_json(data)
        check_shape(content, {"parts": [_PART], "about": {str: object}})
        return Commit(key, tuple(map(part_of, content["parts"])), content["about"])
    except ValueError:
        raise IntegrityError(
            f"The commit {store.where(key)} is damaged.", "Delete it, and its work is done again."
        ) from None


def sha256_of(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_part(store: Store, part: Part) -> pa.Buffer:
    """Return the content of a part. Raises IntegrityError if its size or sha256 is wrong."""
    content = part_content(store, part)
    if hashlib.sha256(content).hexdigest() != part.sha256:
        raise damaged(store, part.key)
    return content


def part_content(store: Store, part: Part) -> pa.Buffer:
    """Return the content of a part. Only its size is checked. Raises IntegrityError."""
    try:
        content = store.buffer(part.key)
    except FileNotFoundError:
        raise missing(store, part.key) from None
    if content.size != part.bytes:
        raise damaged(store, part.key)
    return content


def is_there(store: Store, part: Part) -> bool:
    """Return True if the file of a part exists. The user may have removed files outside of .work/."""
    return store.size(part.key) is not None


def missing(store: Store, key: str) -> IntegrityError:
    return IntegrityError(f"{store.where(key)} is missing.", _remedy(store, key))


def damaged(store: Store, key: str) -> IntegrityError:
    return IntegrityError(f"{store.where(key)} is damaged: it is not what the run wrote.", _remedy(store, key))


def _remedy(store: Store, key: str) -> str:
    return make_anew(store) if key.startswith(".work/") else "Restore it, or build again."


def make_anew(store: Store) -> str:
    """Return the remedy for damaged intermediate files.

    Both folders must be deleted, because files that a commit names are not made again, and a file keeps its name while
    it exists.
    """
    parts, commits = store.where(".work/parts"), store.where(".work/commits")
    return f"Remove {parts} and {commits}, and run the same command again: it does that work anew."
