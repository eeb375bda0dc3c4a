"""Commands that are started from the page, such as `tune --write`, and their progress."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from corpus.sandbox.environment import python_path
from jobs.runner.terminal import plain
from jobs.web.requests import BadRequest

_UNITS = re.compile(r"(.+?) (\d+)/(\d+)")
_LINES = 30
_EVERY_S = "0.5"


def shown(words: Sequence[str]) -> str:
    """Return a command as a person types it."""
    return shlex.join(["corpus", *words])


class Started:
    """The newest command that was started. It is a process of its own, so it goes on if the server is killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._out = self._phase = ""
        self._done = self._units = 0

    def start(self, words: Sequence[str], out: str) -> None:
        """Start a command, given by its words after `corpus`, which makes `out`.

        Raises BadRequest while another one runs.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                raise BadRequest(f"{self._out} is still being made.", status=409)
            self._lines.clear()
            self._out, self._phase, self._done, self._units = out, "", 0, 0
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jobs.cli", *words],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                errors="replace", env={**os.environ, "CORPUS_PROGRESS_S": _EVERY_S, "PYTHONPATH": python_path()},
            )  # fmt: skip
            threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self._lines.append(plain(line.rstrip("\n")))
                if found := _UNITS.match(line):
                    self._phase, self._done, self._units = found[1], int(found[2]), int(found[3])
        process.wait()

    def state(self) -> dict[str, Any]:
        """Return how far the command is. `code` is None while it runs. Without a command, `out` is empty."""
        code = self._process.poll() if self._process is not None else None
        units = {"phase": self._phase, "done": self._done, "units": self._units}
        return {"out": self._out, "code": code, **units, "lines": [*self._lines]}
