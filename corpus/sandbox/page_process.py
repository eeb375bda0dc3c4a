"""The process of a page worker, and the pipes and the memory that it shares with its supervisor.

This file imports little, so that a supervisor can start the process before it loads its own modules.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from typing import IO

from corpus.sandbox.environment import worker_environment


class PageProcess:
    """A page worker that runs: `popen` is the process, `jobs` and `batches` are our ends of its pipes.

    `board` is a file in memory. `stderr` has what the process prints.
    """

    def __init__(self, factory: str, environment: dict[str, str]) -> None:
        self.factory, self.environment = factory, environment
        with ExitStack() as here, ExitStack() as kept:  # if the process can't be started, all files are closed
            self.stderr = kept.enter_context(tempfile.TemporaryFile())
            job_read, self.jobs = os.pipe()
            # a job may be larger than a pipe, and the worker may hang instead of reading it
            os.set_blocking(self.jobs, False)
            here.callback(os.close, job_read)
            kept.callback(os.close, self.jobs)
            self.batches, batch_write = os.pipe()
            here.callback(os.close, batch_write)
            kept.callback(os.close, self.batches)
            self.board = kept.enter_context(_memory_file())
            fds = (job_read, batch_write, self.board.fileno())
            # Start by exec, never by fork: a forked copy of a threaded Ray worker can hold locks for ever.
            self.popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "corpus.sandbox.page_worker", *map(str, fds), factory, str(os.getpid())],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.stderr,  # shown only before the first page, since libraries quote pages
                start_new_session=True,  # Ctrl-C must reach only the driver, which lets running units finish
                env=environment,
            )
            self._kept = kept.pop_all()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.popen.kill()
        self.popen.wait()
        self._kept.close()


_early: list[PageProcess] = []


def start_early(factory: str) -> None:
    """Start a page worker for the first unit of this process, which is probably on this machine."""
    with suppress(OSError):  # whoever needs the process tries again, and reports the error
        _early.append(PageProcess(factory, worker_environment("")))


def page_process(factory: str, environment: dict[str, str]) -> PageProcess:
    """Return the process that was started early, or a new one if there is none with this factory and environment."""
    while _early:
        early = _early.pop()
        if (early.factory, early.environment) == (factory, environment):
            return early
        early.close()
    return PageProcess(factory, environment)


def _memory_file() -> IO[bytes]:
    """Open a file for the board, in memory if possible.

    On a full disk, writing to a mapped file would kill the page worker, and its page would be blamed.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("corpus-board"), "w+b")
    return tempfile.TemporaryFile()
