"""A client that retries requests, and limits how many it sends at a time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar, cast
from urllib.parse import urlsplit

from corpus.errors import CorpusError, InputUnreachable, OutputError, ServerDown
from corpus.net.transport import (
    CONNECTIONS,
    BucketTransport,
    FileVersion,
    PermanentError,
    TransientError,
    Transport,
)
from corpus.net.urls import OBJECT_STORES, redact
from corpus.net.web import WebTransport
from corpus.warc.source import input_changed

_T = TypeVar("_T")


def open_transport(url: str) -> Transport:
    """Return the transport for the server or bucket of a URL."""
    parts = urlsplit(url)
    if parts.scheme in OBJECT_STORES:
        return BucketTransport(f"{parts.scheme}://{parts.netloc}")
    return WebTransport(parts.scheme, parts.hostname or "")


_REQUESTS_PER_S = 50
_LONGEST_WAIT_S = 60.0
_MOST_BYTES = 1 << 50
"""The largest size that a server may claim for a file, one pebibyte. No archive is larger."""


@dataclass(frozen=True)
class RetryTimes:
    """The waits between the tries of a request, and the time after which the client gives up.

    The first wait takes `first_wait_s`. Each later wait takes twice as long, up to `longest_wait_s`. If the server asks
    for a longer wait, the client waits that long. The client gives up after `total_s` without any data, or after
    `unreached_s` if the server never answered. If the server has answered once, the client asks at least twice, however
    long the first request took.
    """

    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    total_s: float = 300.0
    unreached_s: float = 8.0


class Client(AbstractContextManager["Client"]):
    """The client through which one process sends all its requests. The client sends at most 8 requests at a time, and
    `rate` a second.

    If a server has too many requests, all threads wait. Threads may share a client.
    """

    def __init__(self, times: RetryTimes | None = None, rate: float = _REQUESTS_PER_S) -> None:
        self._times = times or RetryTimes()
        self._rate = rate
        self._transports: dict[str, Transport] = {}
        self._reached: set[str] = set()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._next = 0.0
        self._closed = threading.Event()

    def read(
        self, url: str, offset: int, length: int, expected: FileVersion | None = None
    ) -> tuple[bytearray, FileVersion]:
        """Return up to `length` bytes from `offset` (fewer only at the end of the file), and the version of the file.

        Raises InputChanged if the version is not `expected`, InputUnreachable if all retries failed.
        """
        got = bytearray()
        version = expected

        def check(found: FileVersion) -> None:
            nonlocal version
            if found.size > _MOST_BYTES:
                raise PermanentError(
                    f"it claims a size of {found.size:,} bytes", "Download the file and give its path."
                )
            if version is not None and found != version:
                raise input_changed(redact(url))
            version = found

        def attempt(transport: Transport) -> FileVersion:
            while True:
                before = len(got)
                transport.get(url, offset + before, length - before, check, got.extend)
                assert version is not None
                if len(got) >= min(length, version.size - offset):
                    return version
                if len(got) == before:
                    raise TransientError("it sends nothing")

        return got, self._retry(url, attempt, lambda: len(got))

    def list(self, url: str) -> list[str]:
        """Return the URLs of all objects below a prefix that ends with a slash, sorted."""
        scheme, _, rest = url.partition("://")
        bucket, _, prefix = rest.partition("/")
        keys = self._retry(url, lambda transport: transport.list(prefix.rstrip("/")))
        return [f"{scheme}://{bucket}/{key}" for key in sorted(keys)]

    def ask(self, url: str, request: Callable[[BucketTransport], _T]) -> _T:
        """Send a repeatable request to a bucket. Raises OutputError if all retries failed."""
        return self._retry(url, cast(Callable[[Transport], _T], request), failed=OutputError, verb="used")

    def _retry(
        self,
        url: str,
        attempt: Callable[[Transport], _T],
        progress: Callable[[], int] = lambda: 0,
        failed: type[CorpusError] = InputUnreachable,
        verb: str = "read",
    ) -> _T:
        times, server = self._times, url.split("://")[0] + "://" + urlsplit(url).netloc
        before, since, tries = progress(), time.monotonic(), 0
        try:
            while True:
                try:
                    with self._slots:
                        self._wait_turn()
                        result = attempt(self._transport(server, url))
                    self._reached.add(server)
                    return result
                except TransientError as error:
                    if error.answered:
                        self._reached.add(server)
                    if progress() > before:
                        before, since, tries = progress(), time.monotonic(), 0
                    reached = server in self._reached
                    total = times.total_s if reached else times.unreached_s
                    delay = min(times.longest_wait_s, times.first_wait_s * 2**tries) * random.uniform(0.5, 1)
                    # Wait at least our own delay, because some servers ask for 0 seconds and do not mean it.
                    delay = max(delay, min(error.wait_s, _LONGEST_WAIT_S))
                    if time.monotonic() + delay - since > total and (tries or not reached):
                        what = f"{redact(url)} can't be {verb}: {error.reason}, in {tries + 1} tries."
                        lasting = ServerDown if reached and failed is InputUnreachable else failed
                        raise lasting(what, "Run the same command again when the server works.") from None
                    tries += 1
                    if not error.throttled:
                        self._sleep(delay)
                        continue
                    with self._lock:
                        self._next = max(self._next, time.monotonic() + delay)
        except PermanentError as error:
            raise failed(f"{redact(url)} can't be {verb}: {error.reason}.", error.todo) from None

    def _transport(self, server: str, url: str) -> Transport:
        with self._lock:
            if server not in self._transports:
                self._transports[server] = open_transport(url)
            return self._transports[server]

    def _wait_turn(self) -> None:
        with self._lock:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + 1 / self._rate
        self._sleep(mine - now)

    def _sleep(self, seconds: float) -> None:
        if seconds > 0 and self._closed.wait(seconds):
            raise PermanentError("this program has stopped asking")

    def close(self) -> None:
        """Close all connections. Requests that wait for a server stop waiting."""
        self._closed.set()
        with self._lock:
            for transport in self._transports.values():
                transport.close()
            self._transports.clear()

    def __exit__(self, *exc: object) -> None:
        self.close()
