"""A folder on this machine that a process has to itself, and that goes with it however it ends."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def private_folder(prefix: str, parent: str | None = None) -> Path:
    """This process's folder of the name `prefix`, in `parent` or where temporary files go; nobody else may look in.

    The folders of processes that were killed are removed first.
    """
    parent = parent or tempfile.gettempdir()
    for folder in Path(parent).glob(f"{prefix}*"):
        with suppress(OSError, ValueError):
            pid = int(folder.name.removeprefix(prefix).split("-")[0])
            if folder.stat().st_uid == os.getuid() and not Path(f"/proc/{pid}").exists():
                shutil.rmtree(folder, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
