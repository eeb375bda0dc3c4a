"""A folder on this machine for one process alone. The folder is removed when the process ends, however that happens."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path


@cache
def private_folder(prefix: str, parent: str | None = None) -> Path:
    """Return this process's folder, whose name starts with `prefix`.

    It is in `parent`, or in the folder for temporary files. No other user can read it. The folders of killed processes
    are removed now, and again when this process ends, because the children of a killed process may live on for a minute
    and write there. A lock on the folder shows that its process is alive.
    """
    parent = parent or tempfile.gettempdir()
    _sweep(parent, prefix)
    atexit.register(_sweep, parent, prefix)
    while True:
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        if _held_for_life(made):
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            return made


def _sweep(parent: str, prefix: str) -> None:
    """Remove the folders of this user whose lock no process holds."""
    for folder in Path(parent).glob(f"{prefix}*"):
        with suppress(OSError), ExitStack() as stack:
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, opened)
            if os.fstat(opened).st_uid == os.getuid():
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


def _held_for_life(folder: Path) -> bool:
    """Lock a new folder until this process and its forks have ended.

    Return False if another process removed the folder.
    """
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # this descriptor is never closed
    except FileNotFoundError:
        return False
    with suppress(OSError):  # without locks, no other process can remove the folder either
        fcntl.flock(held, fcntl.LOCK_EX)
    if folder.exists():
        return True
    os.close(held)
    return False
