"""Every error that this project raises on purpose.

    CorpusError             one sentence what, one sentence what to do; exit code 1
    ├── ConfigError         a recipe, a limit, an option or a path that can't be right; exit code 2, as for usage
    ├── InputError          an input that can't be read at all (a folder without WARCs, a file that is none)
    │   ├── InputChanged        one that is no longer what it was when the run began
    │   └── InputUnreachable    one that a server does not give, or not any more
    ├── OutputError         an output that can't be written, or that belongs to another recipe
    │   └── NoRoom              one on a file system that takes no more
    └── IntegrityError      committed data that does not match its record: missing, changed, unbalanced, not tiling

Bad *pages* and bad *records* never raise: they are rows of the ledger.
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable


class CorpusError(Exception):
    """What went wrong, and what to do, each in one sentence."""

    def __init__(self, what: str, todo: str = "") -> None:
        super().__init__(f"{what} {todo}".strip())
        self.what = what
        self.todo = todo


class ConfigError(CorpusError):
    """A recipe, limit, option or path that can't be right."""


class InputError(CorpusError):
    """An input that can't be read at all."""


class InputChanged(InputError):
    """An input that is no longer what it was when the run began."""


class InputUnreachable(InputError):
    """An input that a server does not give, or not any more."""


class OutputError(CorpusError):
    """An output that can't be written, or that belongs to something else."""


class NoRoom(OutputError):
    """An output on a file system that takes no more."""


class IntegrityError(CorpusError):
    """Committed data that does not match its record."""


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""No space, a quota, the largest size of a file, read-only: nothing but writing fails with these."""


def no_room(error: OSError, folder: object) -> NoRoom | None:
    """What to raise where writing to a folder failed because it takes no more, None for any other failure."""
    if error.errno not in _NO_ROOM:
        return None
    return NoRoom(
        f"{folder} takes no more: {os.strerror(error.errno)}.",
        "Make room, and run the same command again: it goes on where this one ended.",
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known names, for the end of an error message."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Known: {', '.join(known)}."
