"""A footprint: a small file that names the current record of an attempt. The file outlasts all processes of the
attempt.

While the supervisor lives, the guard's board also shows the current record. If the supervisor is killed too (a lost Ray
worker, a node out of memory, a deadline), only the footprint is left. The footprint may be missing: if the file can't
be written, no record is named.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_BYTES = 48  # two numbers of 64 bits


class Footprint:
    """The file of a footprint.

    The process that touches records holds it open. No file is written if `path` is empty.
    """

    def __init__(self, path: str) -> None:
        self._file = -1
        if path:
            with suppress(OSError):
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def leave(self, place: tuple[int, int]) -> None:
        if self._file >= 0:
            with suppress(OSError):  # a full disk is reported by the process whose work it stops
                os.pwrite(self._file, f"{place[0]} {place[1]}".ljust(_BYTES).encode(), 0)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_footprint(path: str) -> tuple[int, int] | None:
    """Return the last place in a footprint, or None if there is none."""
    try:
        offset, inner = map(int, Path(path).read_bytes().split())
    except (OSError, ValueError):  # an empty path gives a folder, which can't be read
        return None
    return offset, inner
