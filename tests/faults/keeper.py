"""Runs a command, and stays until every process that the command started has ended, however it was detached.

    python -m tests.faults.keeper REPORT PATIENCE_S COMMAND …

REPORT is a folder for three files: `pid` of the command; `exit`, its exit status (-9 for SIGKILL); `end`, once no
process is left or patience is at its end: {"seconds": since the command ended, "left": the command lines of those that
were still there and have been killed now}.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.processes import command_line, descendants

_PR_SET_CHILD_SUBREAPER = 36


def main(folder: Path, patience: float, command: list[str]) -> None:
    # a process that loses its parent becomes a child of this process, not of init
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no subreaper")
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    report(folder / "pid", child.pid)
    ended = 0.0
    left: list[str] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == child.pid:
            ended = time.monotonic()
            report(folder / "exit", os.waitstatus_to_exitcode(status))
        elif pid == 0:
            if ended and time.monotonic() - ended > patience:
                stray = descendants(os.getpid())[1:]
                left = left or [command_line(one) for one in stray]
                for one in stray:
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)
            time.sleep(0.01)
    report(folder / "end", {"seconds": round(time.monotonic() - ended, 2), "left": left})


def report(file: Path, value: object) -> None:
    scratch = file.with_suffix(".new")
    scratch.write_text(json.dumps(value))
    scratch.rename(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
