"""The right to write to a prefix of a bucket, held by one run at a time.

It is an object that its holder writes anew every few seconds. Who finds one watches it: written anew, there is another
run; not written for `EXPIRES_S`, or by a process of this machine that is gone, it is taken over, by a PUT that only one
can win. Nothing that is committed rests on it: it keeps two runs from removing each other's intermediate files.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from corpus.errors import OutputError
from corpus.net.client import Client
from corpus.net.transport import BucketTransport
from corpus.net.urls import object_key, redact

_T = TypeVar("_T")

KEY = ".lease"
RENEWED_S = 10.0
EXPIRES_S = 60.0
_LOOK_S = 1.0


class Lease:
    """A lease on the prefix `url`, while entered. Raises OutputError where another run holds it."""

    def __init__(self, client: Client, url: str, *, renewed_s: float = RENEWED_S, expires_s: float = EXPIRES_S) -> None:
        self._client = client
        self._url = url
        self._name = f"{object_key(url)}/{KEY}"
        self._renewed_s, self._expires_s = renewed_s, expires_s
        self._content = {"run": uuid.uuid4().hex, **_process(os.getpid())}
        self._written = 0
        self._mark = ""
        self._lost = threading.Event()
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True, name="lease")

    def __enter__(self) -> Lease:
        while not self._write(""):
            self._take_over()
            if self._mark:
                break
        self._renewer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._renewer.join()
        if not self._lost.is_set():
            self._ask(lambda objects: objects.delete([self._name]))

    def check(self) -> None:
        """Raise OutputError where another run has taken over, because this one was not heard of for too long."""
        if self._lost.is_set():
            raise self._taken()

    def _take_over(self) -> None:
        """Watch the lease that is there until it is known whether its holder lives; then return with it taken, or gone
        and to be asked for again."""
        seen, since = "", time.monotonic()
        while True:
            found = self._read()
            if found is None:
                return
            content, mark = found
            if content.get("run") == self._content["run"]:  # ours: the answer was lost
                self._mark = mark
                return
            if seen and mark != seen:
                raise self._taken()
            seen = mark
            if _is_gone(content) or time.monotonic() - since > self._expires_s:
                if self._write(mark):
                    return
                raise self._taken()
            self._ended.wait(min(_LOOK_S, self._renewed_s))

    def _renew(self) -> None:
        heard = time.monotonic()
        while not self._ended.wait(self._renewed_s):
            try:
                if self._write(self._mark):
                    heard = time.monotonic()
                    continue
                found = self._read()
            except OutputError:
                found = None
            if found is not None and found[0].get("run") == self._content["run"]:
                self._mark, heard = found[1], time.monotonic()  # stored, but the answer was lost
            elif found is not None or time.monotonic() - heard > self._expires_s:
                self._lost.set()
                return

    def _write(self, over: str) -> bool:
        """Write the lease where there is none, or over the one that `over` is the ETag of."""
        self._written += 1
        data = json.dumps({**self._content, "written": self._written}).encode()
        if not self._ask(lambda objects: objects.put(self._name, data, over)):
            return False
        found = self._read()
        if found is None or found[0].get("run") != self._content["run"]:
            return False
        self._mark = found[1]
        return True

    def _read(self) -> tuple[dict[str, Any], str] | None:
        def read(objects: BucketTransport) -> tuple[dict[str, Any], str] | None:
            stat = objects.head(self._name)
            if stat is None:
                return None
            try:
                content: dict[str, Any] = json.loads(objects.fetch(self._name, 0, 1 << 16))
                return content, stat.validator
            except FileNotFoundError:
                return None
            except ValueError:
                return {}, stat.validator

        return self._ask(read)

    def _ask(self, question: Callable[[BucketTransport], _T]) -> _T:
        return self._client.ask(self._url, question)

    def _taken(self) -> OutputError:
        return OutputError(f"Another run is writing to {redact(self._url)}.", "Wait for it, or give another -o.")


def _process(pid: int) -> dict[str, Any]:
    """What tells a process of this machine from every other: ids come again, and so do host names."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        space = os.readlink(f"/proc/{pid}/ns/pid")
    except (OSError, IndexError):
        return {}
    return {"host": socket.gethostname(), "pid": pid, "boot": boot, "space": space, "started": fields[19]}


def _is_gone(content: dict[str, Any]) -> bool:
    """Whether a lease was written by a process of this machine that has ended."""
    mine = _process(os.getpid())
    same = mine and all(content.get(name) == mine[name] for name in ("host", "boot", "space"))
    if not same or not isinstance(content.get("pid"), int):
        return False
    return _process(content["pid"]).get("started") != content.get("started")
