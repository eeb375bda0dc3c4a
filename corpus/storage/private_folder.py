"""A folder on this machine that a process has to itself, and that goes with it however it ends."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def private_folder(prefix: str, parent: str | None = None) -> Path:
    """This process's folder of the name `prefix`, in `parent` or where temporary files go; nobody else may look in.

    The folders of processes that were killed are removed, now and once more as this one ends, since what such a process
    had started may live on for a minute and write there. Whose process is alive is told by a lock on the folder, not by
    the number in its name, which says nothing to a container with numbers of its own.
    """
    parent = parent or tempfile.gettempdir()
    _sweep(parent, prefix)
    atexit.register(_sweep, parent, prefix)
    while True:
        made = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent))
        if _held_for_life(made):
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            return made


def _sweep(parent: str, prefix: str) -> None:
    for folder in Path(parent).glob(f"{prefix}*"):
        with suppress(OSError):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder of this user's that no process holds. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(opened).st_uid == os.getuid():
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(opened)


def _held_for_life(folder: Path) -> bool:
    """Lock a new folder until this process and its forks have ended; False where another one swept it before."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # never closed
    except FileNotFoundError:
        return False
    with suppress(OSError):  # no locks here: then nobody can sweep it either
        fcntl.flock(held, fcntl.LOCK_EX)
    if folder.exists():
        return True
    os.close(held)
    return False
