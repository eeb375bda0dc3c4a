"""Patience with servers: what to ask again, after how long, and how much to ask of them at a time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from corpus.errors import CorpusError, InputUnreachable, OutputError
from corpus.net.transport import CONNECTIONS, Objects, Refusal, Stat, Transport, Trouble, open_transport
from corpus.net.urls import redact
from corpus.warc.source import changed

_T = TypeVar("_T")

_REQUESTS_PER_S = 50
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Patience:
    """How often a request is made again: after `first_s` seconds, then after twice as long each time, up to `most_s`,
    or as long as the server asks for; until nothing came for `total_s`, or for `contact_s` from a server that never
    answered. One that did is asked at least twice, however long the first request took."""

    first_s: float = 0.5
    most_s: float = 30.0
    total_s: float = 300.0
    contact_s: float = 8.0


class Client:
    """What one process asks of servers: at most 8 requests at a time and `rate` a second. Where one says that it has
    too many, all wait. Threads may share a client."""

    def __init__(self, patience: Patience | None = None, rate: float = _REQUESTS_PER_S) -> None:
        self._patience = patience or Patience()
        self._rate = rate
        self._transports: dict[str, Transport] = {}
        self._reached: set[str] = set()
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._next = 0.0
        self._closed = threading.Event()

    def read(self, url: str, offset: int, length: int, expect: Stat | None = None) -> tuple[bytearray, Stat]:
        """The bytes of a file from `offset`, fewer than `length` only at its end, and what file they are of.

        Raises InputChanged where that is not `expect`, InputUnreachable where patience ends.
        """
        got = bytearray()

        def check(stat: Stat) -> None:
            nonlocal expect
            if expect is not None and stat != expect:
                raise changed(redact(url))
            expect = stat

        def ask(transport: Transport) -> None:
            while True:
                before = len(got)
                transport.get(url, offset + before, length - before, check, got.extend)
                assert expect is not None
                if len(got) >= min(length, expect.size - offset):
                    return
                if len(got) == before:
                    raise Trouble("it sends nothing")

        self._patiently(url, ask, lambda: len(got))
        assert expect is not None
        return got, expect

    def list(self, url: str) -> list[str]:
        """The URLs of all objects below a prefix that ends with a slash, sorted."""
        scheme, _, rest = url.partition("://")
        bucket, _, prefix = rest.partition("/")
        keys: list[str] = []

        def ask(transport: Transport) -> None:
            keys[:] = transport.list(prefix.rstrip("/"))

        self._patiently(url, ask, lambda: 0)
        return [f"{scheme}://{bucket}/{key}" for key in sorted(keys)]

    def ask(self, url: str, question: Callable[[Objects], _T]) -> _T:
        """What a bucket answers to a question that may be asked again. Raises OutputError where patience ends."""
        answers: list[_T] = []

        def ask(transport: Transport) -> None:
            assert isinstance(transport, Objects)
            answers.append(question(transport))

        self._patiently(url, ask, lambda: 0, OutputError, "used")
        return answers[0]

    def _patiently(
        self,
        url: str,
        ask: Callable[[Transport], None],
        progress: Callable[[], int],
        failed: type[CorpusError] = InputUnreachable,
        what: str = "read",
    ) -> None:
        patience, server = self._patience, url.split("://")[0] + "://" + urlsplit(url).netloc
        before, since, tries = progress(), time.monotonic(), 0
        try:
            while True:
                try:
                    with self._places:
                        self._turn()
                        ask(self._transport(server, url))
                    self._reached.add(server)
                    return
                except Trouble as trouble:
                    if trouble.answered:
                        self._reached.add(server)
                    if progress() > before:
                        before, since, tries = progress(), time.monotonic(), 0
                    reached = server in self._reached
                    total = patience.total_s if reached else patience.contact_s
                    delay = min(patience.most_s, patience.first_s * 2**tries) * random.uniform(0.5, 1)
                    # never sooner than that: some servers ask for 0 seconds and mean it not
                    delay = max(delay, min(trouble.after, _LONGEST_WAIT_S))
                    if time.monotonic() + delay - since > total and (tries or not reached):
                        raise failed(
                            f"{redact(url)} can't be {what}: {trouble.reason}, in {tries + 1} tries.",
                            "Run the same command again when the server is well.",
                        ) from None
                    tries += 1
                    if trouble.throttled:
                        self._pause(delay)
                    else:
                        self._sleep(delay)
        except Refusal as refusal:
            raise failed(f"{redact(url)} can't be {what}: {refusal.reason}.", refusal.todo) from None

    def _transport(self, server: str, url: str) -> Transport:
        with self._lock:
            if server not in self._transports:
                self._transports[server] = open_transport(url)
            return self._transports[server]

    def _turn(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + 1 / self._rate
        self._sleep(mine - now)

    def _pause(self, seconds: float) -> None:
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def _sleep(self, seconds: float) -> None:
        if seconds > 0 and self._closed.wait(seconds):
            raise Refusal("this program has stopped asking")

    def close(self) -> None:
        """End all connections; who still waits for a server stops waiting."""
        self._closed.set()
        with self._lock:
            for transport in self._transports.values():
                transport.close()
            self._transports.clear()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
