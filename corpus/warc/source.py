"""Where the bytes of an archive come from, and a small window of blocks over them.

A `Source` is all that the reader asks of storage: a name, a size, and positioned reads.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

from corpus.errors import InputChanged

BLOCK_BYTES = 1 << 20
_BLOCKS_KEPT = 6
"""Enough for looking back 128 KiB from a place while reading ahead from it."""


class Source(Protocol):
    """Random access to one file under its logical name."""

    @property
    def name(self) -> str:
        """The logical file name, as it appears in record ids: never a path."""

    @property
    def size(self) -> int:
        """The number of bytes in the file."""

    def read(self, offset: int, length: int) -> bytes:
        """Return the `length` bytes from `offset`, fewer only at the end of the file."""


class LocalSource:
    """A file on a local or mounted disk; pickled by its path and opened again where it is needed.

    `tag` is what it is to be, as `tag` of an earlier source of it said: a file that is another one raises InputChanged.
    """

    def __init__(self, path: str | os.PathLike[str], name: str | None = None, tag: str = "") -> None:
        self.path = Path(path)
        self.name = self.path.name if name is None else name
        self._fd: int | None = None
        self.tag = tag
        if tag:
            self.check()
            self.size = int(tag.split()[0])
        else:
            stat = self.path.stat()
            self.size, self.tag = stat.st_size, _tag(stat)

    def check(self) -> None:
        """Raise InputChanged where the file is no longer what it was."""
        try:
            now = _tag(os.fstat(self._fd) if self._fd is not None else self.path.stat())
        except FileNotFoundError:
            now = "nothing"
        if now != self.tag:
            raise changed(str(self.path))

    def read(self, offset: int, length: int) -> bytes:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        parts = []
        while length > 0:  # pread may return less than asked for, and at most 2 GiB on Linux
            part = os.pread(self._fd, length, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fd": None}

    def __del__(self) -> None:
        if getattr(self, "_fd", None) is not None:
            self.close()


def _tag(stat: os.stat_result) -> str:
    return f"{stat.st_size} {stat.st_mtime_ns}"


def changed(place: str) -> InputChanged:
    """The error for an input at a path, or a URL without secrets."""
    return InputChanged(
        f"{place} changed while the run was reading it.",
        "Put back what it was and run the same command, or build anew with another -o.",
    )


_SAMPLED = 1 << 16


def digest_of_ends(source: Source) -> str:
    """A sha256 of a file's size and both ends: the same wherever it lies, and known without reading all of it."""
    ends = source.read(0, _SAMPLED) + source.read(max(0, source.size - _SAMPLED), _SAMPLED)
    return hashlib.sha256(ends + f"{source.size}".encode()).hexdigest()


class Window:
    """The last few blocks of a source, so that small reads in any order near one place cost one read each block."""

    def __init__(self, source: Source, block_bytes: int = BLOCK_BYTES) -> None:
        self.source = source
        self.block_bytes = block_bytes
        self.size = source.size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def block(self, index: int) -> bytes:
        data = self._blocks.get(index)
        if data is None:
            data = self.source.read(index * self.block_bytes, self.block_bytes)
            self._blocks[index] = data
            if len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(index)
        return data

    def piece(self, offset: int, length: int) -> memoryview:
        """Return up to `length` bytes from `offset` without a copy: fewer at the end of a block, none at the end."""
        index, inside = divmod(offset, self.block_bytes)
        return memoryview(self.block(index))[inside : inside + length]

    def read(self, offset: int, length: int) -> bytes:
        """Return the `length` bytes from `offset`, fewer at the end of the file."""
        index, inside = divmod(offset, self.block_bytes)
        data = self.block(index)[inside : inside + length]
        while len(data) < length and (index + 1) * self.block_bytes < self.size:
            index += 1
            data += self.block(index)[: length - len(data)]
        return data

    def find(self, needle: bytes, offset: int, end: int | None = None) -> int:
        """Return where `needle` next starts at or after `offset` and before `end`, or -1."""
        end = self.size if end is None else min(end, self.size)
        while offset < end:
            index, inside = divmod(offset, self.block_bytes)
            found = self.block(index).find(needle, inside)
            if found < 0:  # it may straddle the block's end
                edge = max(offset, (index + 1) * self.block_bytes - len(needle) + 1)
                found = self.read(edge, 2 * len(needle) - 2).find(needle)
                base = edge
            else:
                base = index * self.block_bytes
            if found >= 0:
                return base + found if base + found < end else -1
            offset = (index + 1) * self.block_bytes
        return -1
