"""Named points on the way to a commit, at which a test may end or halt the process: `reached("part_stored")`.

CORPUS_CRASH_AT=part_stored     SIGKILL by the process itself, as soon as it reaches that point
CORPUS_CRASH_AT=part_stored:3   … the third time
CORPUS_CRASH_ONCE=FILE          … by the one process that makes FILE, and leaves its number there
CORPUS_CRASH_SIGNAL=SIGSTOP     another signal
CORPUS_CRASH_TRACE=FILE         a line in FILE for every point that is reached: its name and the process

Without these variables, which are read when this is imported, a point does nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from itertools import count


class Crash:
    """What the variables ask for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._point, _, times = environ.get("CORPUS_CRASH_AT", "").partition(":")
        self._times = int(times or 1)
        self._count = count(1)
        self._once = environ.get("CORPUS_CRASH_ONCE", "")
        self._signal = signal.Signals[environ.get("CORPUS_CRASH_SIGNAL", "SIGKILL")]
        self._trace = environ.get("CORPUS_CRASH_TRACE", "")

    def reached(self, point: str) -> None:
        if self._trace:
            _append(self._trace, f"{point} {os.getpid()}\n")
        if point == self._point and next(self._count) == self._times and (not self._once or _first(self._once)):
            signal.pthread_kill(threading.get_ident(), self._signal)  # this thread does not get beyond this line


def _append(file: str, line: str) -> None:
    """One write, so that lines of several processes don't mix."""
    trace = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(trace, line.encode())
    finally:
        os.close(trace)


def _first(file: str) -> bool:
    try:
        with open(file, "x") as own:
            own.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


_crash = Crash(os.environ) if any(name.startswith("CORPUS_CRASH_") for name in os.environ) else None


def reached(point: str) -> None:
    """Say that this point is reached."""
    if _crash is not None:
        _crash.reached(point)
