"""Many commits gathered in one, and the sequence of all commits of a pass.

A gathered commit holds whole commits of tasks as compressed lines. It is put if absent, once each of these tasks has
its commit. So one request reads hundreds of commits, and nobody lists them one by one. The commits of the tasks stay,
because a gathered commit that is lost or damaged is made from them again.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate, chain
from typing import Any, overload

import zstandard

from corpus.errors import IntegrityError
from corpus.json_data import check_shape, parse_json
from corpus.storage.ahead import ahead
from corpus.storage.commits import Commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store

FOLDER = ".work/commits/gathered"

_COMMIT = {"key": str, "parts": list, "facts": dict}
_FACTS, _NO_FACTS = ',"facts":', ',"facts":{}}'
_MOST_BYTES = 1 << 30


def as_line(commit: Mapping[str, Any]) -> bytes:
    """Return a commit, as plain data, as a line of JSON. Its facts come last."""
    ordered = {name: commit[name] for name in _COMMIT}
    return json.dumps(ordered, separators=(",", ":")).encode()


def gather(store: Store, key: str, lines: Sequence[bytes]) -> None:
    """Put the commits of several tasks under one key, if it is absent."""
    reached("gathering_begun")
    data = zstandard.ZstdCompressor(3, write_checksum=True).compress(b"\n".join(lines))
    reached("before_commit")
    store.put_new(key, data)
    reached("after_commit")


def gathered(store: Store, key: str, facts: bool = True) -> list[Commit]:
    """Return the commits under a key, with empty facts unless `facts`. Raises IntegrityError if they are missing or
    damaged."""
    try:
        lines = zstandard.decompress(store.get(key) or b"", _MOST_BYTES).decode("ascii").splitlines()
        return _parsed(lines if facts else [line.partition(_FACTS)[0] + _NO_FACTS for line in lines])
    except (ValueError, zstandard.ZstdError):
        what = f"The commits in {store.where(key)} are missing or damaged."
        raise IntegrityError(what, "Delete it, and run the same command again.") from None


def _parsed(lines: Sequence[str]) -> list[Commit]:
    found = [parse_json(line) for line in lines]
    for one in found:
        check_shape(one, _COMMIT)
    return [Commit.from_dict(one) for one in found]


class Commits(Sequence[Commit]):
    """The commits of a pass, in order. They are read from the store when they are needed, and few are held.

    Not thread-safe.
    """

    def __init__(self, store: Store, groups: Sequence[tuple[str, int, str]]) -> None:
        """Each group has the key of a gathered commit, the number of commits there, and their digest."""
        self._store = store
        self._keys = [key for key, _, _ in groups]
        self._starts = [0, *accumulate(size for _, size, _ in groups)]
        self.digest = sha256(" ".join(digest for _, _, digest in groups).encode()).hexdigest()
        """A digest of the keys and parts of all commits."""
        self._held: dict[int, list[Commit]] = {}

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, at: int) -> Commit: ...
    @overload
    def __getitem__(self, at: slice) -> list[Commit]: ...
    def __getitem__(self, at: int | slice) -> Commit | list[Commit]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        at %= len(self)
        number = bisect_right(self._starts, at) - 1
        if number not in self._held:
            self._held = {number: self._read(number)}
        return self._held[number][at - self._starts[number]]

    def __iter__(self) -> Iterator[Commit]:
        return self._all(facts=True)

    def without_facts(self) -> Iterator[Commit]:
        """Yield the commits with empty facts, which takes half the time."""
        return self._all(facts=False)

    def _all(self, facts: bool) -> Iterator[Commit]:
        return chain.from_iterable(ahead(lambda number: self._read(number, facts), range(len(self._keys))))

    def _read(self, number: int, facts: bool = True) -> list[Commit]:
        return gathered(self._store, self._keys[number], facts)


def without_facts(commits: Sequence[Commit]) -> Iterator[Commit]:
    """Yield commits for their parts alone. Those that are in the store are read without their facts."""
    return commits.without_facts() if isinstance(commits, Commits) else iter(commits)


def digest_of(commits: Sequence[Commit]) -> str:
    """Return a digest of the keys and parts of commits."""
    if isinstance(commits, Commits):
        return commits.digest
    return digest_of_marks(mark_of(one.key, [part.sha256 for part in one.parts]) for one in commits)


def mark_of(key: str, parts: Iterable[str]) -> str:
    """Return what `digest_of_marks` takes for a commit. `parts` are the digests of its parts."""
    return f"{key} {' '.join(parts)}"


def digest_of_marks(marks: Iterable[str]) -> str:
    return sha256("\n".join(marks).encode()).hexdigest()
