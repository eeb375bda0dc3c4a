"""Crash points: named points on the way to a commit, at which a test may end or halt the process.

    CORPUS_CRASH_AT=part_stored     the process kills itself with SIGKILL when it reaches that point
    CORPUS_CRASH_AT=part_stored:3   … when it reaches the point for the third time
    CORPUS_CRASH_ONCE=FILE          … only in the one process that creates FILE, which then holds its process id
    CORPUS_CRASH_SIGNAL=SIGSTOP     another signal
    CORPUS_CRASH_TRACE=FILE         FILE gets a line for every point reached: its name and the process id

The variables are read at import. Without them a point does nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from itertools import count


class Crash:
    """The crash that the environment variables request."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._point, _, times = environ.get("CORPUS_CRASH_AT", "").partition(":")
        self._times = int(times or 1)
        self._count = count(1)
        self._once = environ.get("CORPUS_CRASH_ONCE", "")
        self._signal = signal.Signals[environ.get("CORPUS_CRASH_SIGNAL", "SIGKILL")]
        self._trace = environ.get("CORPUS_CRASH_TRACE", "")

    def reached(self, point: str) -> None:
        if self._trace:
            # one write, so that lines of several processes don't mix
            with open(self._trace, "ab", buffering=0) as trace:
                trace.write(f"{point} {os.getpid()}\n".encode())
        if point == self._point and next(self._count) == self._times and (not self._once or self._create_once()):
            signal.pthread_kill(threading.get_ident(), self._signal)  # this thread never gets past this line

    def _create_once(self) -> bool:
        try:
            with open(self._once, "x") as own:
                own.write(str(os.getpid()))
        except FileExistsError:
            return False
        return True


_crash = Crash(os.environ) if any(name.startswith("CORPUS_CRASH_") for name in os.environ) else None


def reached(point: str) -> None:
    """Declare that the process has reached a crash point."""
    if _crash is not None:
        _crash.reached(point)
