"""Which record an attempt is at, in a small file that outlasts all its processes.

The guard's board tells as much while the supervisor lives. Where that is killed too (a lost Ray worker, a node out of
memory, a deadline) only this is left. It is a help and no promise: where it can't be written, a record goes unnamed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_BYTES = 48  # two numbers of 64 bits


class Footprint:
    """The file, held open by the process that touches records; an empty name means none."""

    def __init__(self, path: str) -> None:
        self._file = -1
        if path:
            with suppress(OSError):
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def leave(self, place: tuple[int, int]) -> None:
        if self._file >= 0:
            with suppress(OSError):  # a full disk is for those to report whose work it stops
                os.pwrite(self._file, f"{place[0]} {place[1]}".ljust(_BYTES).encode(), 0)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_footprint(path: str) -> tuple[int, int] | None:
    """The last place that was left in a file, None where there is none."""
    try:
        offset, inner = map(int, Path(path).read_bytes().split()) if path else (None, None)
    except (OSError, ValueError):
        return None
    return None if offset is None or inner is None else (offset, inner)
