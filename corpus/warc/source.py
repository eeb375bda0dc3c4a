"""The bytes of an archive: a source, and a small window of blocks over it.

The reader needs only three things from storage: a name, a size and positioned reads. `Source` declares them.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from corpus.errors import InputChanged

BLOCK_BYTES = 1 << 20
START_BYTES = _SAMPLED = 1 << 16
_MIDDLES = 8
"""The number of samples between the ends.

For a file behind a URL, each sample is a request; on a disk, each is a seek. More samples would slow down the planning
of a crawl of many files.
"""

_BLOCKS_KEPT = 6
"""The number of blocks that are kept. This is enough to look back 128 KiB from a position while reading ahead of it."""


class Source(Protocol):
    """Random access to one file. `name` is its logical name, as in record ids, and never a path. `size` is in bytes."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, or fewer at the end of the file."""


class LocalSource:
    """A file on a local or mounted disk. It is opened at its first read.

    `tag` identifies the file: its size and time of change. If a tag is given and does not match, InputChanged is
    raised.
    """

    _fd: int | None = None

    def __init__(self, path: str | os.PathLike[str], name: str | None = None, tag: str = "") -> None:
        self.path = Path(path)
        self.name = self.path.name if name is None else name
        self.tag = tag or _tag(self.path.stat())
        self.size = int(self.tag.split()[0])
        if tag:
            self.check()

    def check(self) -> None:
        """Raise InputChanged if the file has changed since the run began."""
        try:
            now = _tag(os.fstat(self._fd) if self._fd is not None else self.path.stat())
        except FileNotFoundError:
            now = "nothing"
        if now != self.tag:
            raise input_changed(str(self.path))

    @property
    def stamp(self) -> str:
        """The present tag of the file, and its time of change by the system, which no program can set."""
        stat = self.path.stat()
        return f"{_tag(stat)} {stat.st_ctime_ns}"

    def read(self, offset: int, length: int) -> bytes:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        parts = []
        # pread may return fewer bytes than asked for, and returns at most 2 GiB on Linux
        while length > 0 and (part := os.pread(self._fd, length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    __del__ = close


def _tag(stat: os.stat_result) -> str:
    return f"{stat.st_size} {stat.st_mtime_ns}"


def input_changed(location: str, when: str = "while the run was reading it") -> InputChanged:
    """Return the error for an input that has changed. `location` is a path, or a URL without secrets."""
    return InputChanged(
        f"{location} changed {when}.",
        "Restore the file and run the same command again, or build into another folder with -o.",
    )


def digest_of_samples(source: Source) -> str:
    """Return a SHA-256 of a file's size and of samples of its bytes. The digest does not depend on the file's location.

    A file of up to 640 KiB is its own sample. The samples of a larger file are its first and last 64 KiB, and 64 KiB in
    each eighth between them, at a place that follows from the size. A change of a few bytes in a file of 1 GB is missed
    999 times of 1,000. A change of a quarter of the file is never missed. `corpus.sandbox.seen` finds the changes that
    are missed here.
    """
    size = source.size
    found = hashlib.sha256(f"{size}".encode())
    if size <= (_MIDDLES + 2) * _SAMPLED:
        found.update(source.read(0, size))
        return found.hexdigest()
    part = (size - 2 * _SAMPLED) // _MIDDLES
    seeds = (hashlib.sha256(f"{size} {number}".encode()).digest() for number in range(_MIDDLES))
    inside = [int.from_bytes(seed[:8]) % (part - _SAMPLED + 1) for seed in seeds]
    for start in (0, *(_SAMPLED + number * part + at for number, at in enumerate(inside)), size - _SAMPLED):
        found.update(source.read(start, _SAMPLED))
    return found.hexdigest()


def digest_of_range(source: Source, start: int, end: int) -> str:
    """Return the SHA-256 of the bytes from `start` up to `end`."""
    found = hashlib.sha256()
    for at in range(start, end, BLOCK_BYTES):
        found.update(source.read(at, min(BLOCK_BYTES, end - at)))
    return found.hexdigest()


def digest_of_start(source: Source) -> str:
    """Return a SHA-256 of a file's size and of its first 64 KiB: of an archive, its own record is there, with its name,
    its date and a UUID.

    It takes one request, so it identifies an archive of which only some records are read.
    """
    return hashlib.sha256(f"{source.size}".encode() + source.read(0, _SAMPLED)).hexdigest()


def digest_of_ends(source: Source) -> str:
    """Return a SHA-256 of a file's size and of its first and last 64 KiB.

    The digest does not depend on the file's location.
    """
    ends = source.read(0, _SAMPLED) + source.read(max(0, source.size - _SAMPLED), _SAMPLED)
    return hashlib.sha256(ends + f"{source.size}".encode()).hexdigest()


class Window:
    """The last few blocks of a source. Small reads near each other, in any order, read each block only once.

    The first block begins at `start`. No byte before it can be read.
    """

    def __init__(self, source: Source, block_bytes: int = BLOCK_BYTES, start: int = 0) -> None:
        self.source = source
        self.block_bytes = block_bytes
        self.size = source.size
        self._start = start
        self.block = lru_cache(_BLOCKS_KEPT)(lambda index: source.read(start + index * block_bytes, block_bytes))

    def piece(self, offset: int, length: int) -> memoryview:
        """Return up to `length` bytes from `offset` without a copy.

        The piece ends at a block's end, and is empty at the file's end.
        """
        index, inside = divmod(offset - self._start, self.block_bytes)
        return memoryview(self.block(index))[inside : inside + length]

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, or fewer at the end of the file."""
        index, inside = divmod(offset - self._start, self.block_bytes)
        data = self.block(index)[inside : inside + length]
        while len(data) < length and self._start + (index + 1) * self.block_bytes < self.size:
            index += 1
            data += self.block(index)[: length - len(data)]
        return data

    def find(self, needle: bytes, offset: int, end: int | None = None) -> int:
        """Return the first position of `needle` from `offset` up to `end`, or -1."""
        end = self.size if end is None else min(end, self.size)
        while offset < end:
            index, inside = divmod(offset - self._start, self.block_bytes)
            base = self._start + index * self.block_bytes
            after = base + self.block_bytes
            found = self.block(index).find(needle, inside)
            if found < 0:  # the needle may extend over the block's end
                base = max(offset, after - len(needle) + 1)
                found = self.read(base, 2 * len(needle) - 2).find(needle)
            if found >= 0:
                return base + found if base + found < end else -1
            offset = after
        return -1
