"""A lease: the right to write to a prefix of a bucket. Only one run at a time holds it.

The lease is an object that its holder rewrites every few seconds. A run that finds a lease watches it. If the lease is
rewritten, another run is alive. The run takes the lease over in two cases: it is not rewritten for `EXPIRES_S`, or its
holder was a process of this machine that has ended. A run takes over by a PUT that only one run can win. No commit
depends on the lease. The lease only keeps two runs from removing each other's intermediate files.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from corpus.errors import OutputError
from corpus.json_data import parse_json
from corpus.net.client import Client
from corpus.net.transport import BucketTransport
from corpus.net.urls import object_key, redact

KEY = ".lease"
RENEWED_S = 10.0
EXPIRES_S = 60.0
_LOOK_S = 1.0


class Lease:
    """A lease on the prefix `url`.

    The run holds the lease inside the `with` block. Raises OutputError if another run holds it.
    """

    def __init__(self, client: Client, url: str, *, renewed_s: float = RENEWED_S, expires_s: float = EXPIRES_S) -> None:
        self._client = client
        self._url = url
        self._name = f"{object_key(url)}/{KEY}"
        self._renewed_s, self._expires_s = renewed_s, expires_s
        self._content = {"run": uuid.uuid4().hex, **_process(os.getpid())}
        self._written = 0
        self._mark = ""
        self._heard = 0.0
        """The time at which this run was last seen to hold the lease."""
        self._lost = threading.Event()
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True, name="lease")

    def __enter__(self) -> Lease:
        while not self._write(""):
            self._take_over()
            if self._mark:
                break
        self._heard = time.monotonic()
        self._renewer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._renewer.join()
        if not self._lost.is_set():
            self._client.ask(self._url, lambda objects: objects.delete([self._name]))

    def check(self) -> None:
        """Raise OutputError if another run has taken over the lease.

        Another run may do so if this run could not rewrite the lease for too long. Then the lease is read.
        """
        if not self._lost.is_set() and time.monotonic() - self._heard > self._expires_s:
            found = self._read()
            if found is None or found[0].get("run") != self._content["run"]:
                self._lost.set()
        if self._lost.is_set():
            raise self._taken()

    def _take_over(self) -> None:
        """Watch an existing lease until it is clear whether its holder lives.

        On return, the lease is taken over, or `_mark` is empty because the lease is gone.
        """
        seen, since = "", time.monotonic()
        while True:
            found = self._read()
            if found is None:
                return
            content, mark = found
            # the lease is this run's own, and only the answer to the request was lost
            if content.get("run") == self._content["run"]:
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
        while not self._ended.wait(self._renewed_s):
            try:
                written = self._write(self._mark)
                found = None if written else self._read()
            except OutputError:  # the store does not answer; `check` reads the lease until it does
                continue
            if written:
                self._heard = time.monotonic()
            elif found is not None and found[0].get("run") == self._content["run"]:
                self._mark, self._heard = found[1], time.monotonic()  # it was stored, but the answer was lost
            elif found is not None or time.monotonic() - self._heard > self._expires_s:
                self._lost.set()
                return

    def _write(self, over: str) -> bool:
        """Write the lease.

        The lease must not exist yet, or must have the ETag `over`. Return False if another run was faster.
        """
        self._written += 1
        data = json.dumps({**self._content, "written": self._written}).encode()
        if not self._client.ask(self._url, lambda objects: objects.put(self._name, data, over)):
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
                content: dict[str, Any] = parse_json(objects.fetch(self._name, 0, 1 << 16))
                return content, stat.validator
            except FileNotFoundError:
                return None
            except ValueError:
                return {}, stat.validator

        return self._client.ask(self._url, read)

    def _taken(self) -> OutputError:
        return OutputError(f"Another run is writing to {redact(self._url)}.", "Wait for it, or give another -o.")


def _process(pid: int) -> dict[str, Any]:
    """Identify a process uniquely. Process ids and host names are reused, so neither is enough."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        space = os.readlink(f"/proc/{pid}/ns/pid")
    except (OSError, IndexError):
        return {}
    return {"host": socket.gethostname(), "pid": pid, "boot": boot, "space": space, "started": fields[19]}


def _is_gone(content: dict[str, Any]) -> bool:
    """Return True if a lease was written by a process of this machine that has ended."""
    mine = _process(os.getpid())
    same = mine and all(content.get(name) == mine[name] for name in ("host", "boot", "space"))
    if not same or not isinstance(content.get("pid"), int):
        return False
    return _process(content["pid"]).get("started") != content.get("started")
