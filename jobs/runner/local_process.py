"""The process of a local worker (`jobs.runner.local_worker`).

This file imports little, so that the command line can start the first process before it loads anything else.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from contextlib import suppress

from corpus.sandbox.environment import IN_PROCESS, check_not_ours, python_path

_early: list[subprocess.Popen[bytes]] = []


def start_early(factory: str) -> None:
    """Start the process for the first task of this command, and its page worker with it.

    With two free cores, the first page is then read after .8 s instead of 1.15 s. If the command ends without a task,
    these processes end with it.
    """
    with suppress(OSError):  # whoever needs the process tries again, and reports the error
        _early.append(_start(factory))
    atexit.register(_end_early)


def _end_early() -> None:
    for process in _early:
        process.kill()
        process.wait()


def local_process() -> subprocess.Popen[bytes]:
    """Return the process that was started early, or a new one. Raises OSError if none can be started, and CorpusError
    in a process that is one itself."""
    check_not_ours()
    return _early.pop() if _early else _start()


def _start(*factory: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "jobs.runner.local_worker", str(os.getpid()), *factory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C must reach only the driver, which lets running tasks finish
        env={"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": python_path(), IN_PROCESS: "1"},
    )
