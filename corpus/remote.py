"""Archives on web servers and in object stores: patience with servers, and a `Source` over ranges of a file.

    for record in read_warc(RemoteSource("https://data.commoncrawl.org/crawl-data/…warc.gz")):
        print(record.id)

A URL's user name, password and query may be secrets: no name, message or output has more of it than `redact` leaves.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from corpus.errors import ConfigError, InputUnreachable
from corpus.transport import CONNECTIONS, OBJECT_STORES, Refusal, Stat, Transport, Trouble, open_transport
from corpus.warc.source import BLOCK_BYTES, LocalSource, changed

FETCH_BYTES = 8 << 20
"""Bytes of one request where a file is read from one end to the other. Two such blocks are held: one to read from,
and the next, asked for ahead."""

_FIRST_BYTES = 1 << 16
"""Asked for to learn a file's size."""

_REQUESTS_PER_S = 50
_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Patience:
    """How often a request is made again: after `first_s` seconds, then after twice as long each time, up to `most_s`,
    or as long as the server asks for; until nothing came for `total_s`, or for `contact_s` from a server that never
    answered."""

    first_s: float = 0.5
    most_s: float = 30.0
    total_s: float = 300.0
    contact_s: float = 8.0


def is_url(path: str) -> bool:
    return "://" in path


def redact(path: str) -> str:
    """A URL without what may be secret: user name, password, query and fragment. Anything else as it is."""
    if not is_url(path):
        return path
    scheme, _, rest = path.partition("://")
    host, slash, way = rest.split("?")[0].split("#")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{way}"


def url_name(url: str) -> str:
    """The logical name of a file: the last part of its URL's path. Raises ConfigError where that says nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"{redact(url)} is no URL.", "Check its spelling.") from None
    # a key may hold what ends a path elsewhere; %20 is a space on web servers only
    path = url.partition("://")[2].partition("/")[2] if parts.scheme in OBJECT_STORES else unquote(parts.path)
    name = path.rpartition("/")[2]
    if not name or not name.isprintable():
        raise ConfigError(f"{redact(url)} names no file.", "Give the URL of an archive.")
    return name


class Client:
    """What one process asks of servers: at most 8 requests at a time and 50 a second. Where one says that it has too
    many, all wait. Threads may share a client."""

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
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

    def _patiently(self, url: str, ask: Callable[[Transport], None], progress: Callable[[], int]) -> None:
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
                    total = patience.total_s if server in self._reached else patience.contact_s
                    delay = min(patience.most_s, patience.first_s * 2**tries) * random.uniform(0.5, 1)
                    # never sooner than that: some servers ask for 0 seconds and mean it not
                    delay = max(delay, min(trouble.after, _LONGEST_WAIT_S))
                    if time.monotonic() + delay - since > total:
                        raise InputUnreachable(
                            f"{redact(url)} can't be read: {trouble.reason}, in {tries + 1} tries.",
                            "Run the same command again when the server is well.",
                        ) from None
                    tries += 1
                    if trouble.throttled:
                        self._pause(delay)
                    else:
                        self._sleep(delay)
        except Refusal as refusal:
            raise InputUnreachable(f"{redact(url)} can't be read: {refusal.reason}.", refusal.todo) from None

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
            self._next = mine + 1 / _REQUESTS_PER_S
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


class RemoteSource:
    """A file behind a URL; pickled by the URL and connected where it is first read.

    `tag` is what it is to be, as `tag` of an earlier source of it said: a file that is another one raises InputChanged.
    What is read in order comes in ever larger blocks, the next one in the background. `span` says which bytes will be
    read so from the start, and that none after them will. `waiting` is called every half second while a read waits.
    """

    def __init__(
        self,
        url: str,
        name: str | None = None,
        *,
        tag: str = "",
        span: tuple[int, int] | None = None,
        client: Client | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.url = url
        self.name = url_name(url) if name is None else name
        self._stat = _stat_of(tag) if tag else None
        self._span = span
        self._start(client, waiting)

    def _start(self, client: Client | None = None, waiting: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._own_client: Client | None = None
        self._waiting = waiting
        self._fetcher: _Fetcher | None = None
        self._block, self._block_start = bytearray(), 0
        self._ahead: tuple[int, int, Future[bytearray]] | None = None
        self._run, self._reached = 0, -1

    @property
    def stat(self) -> Stat:
        if self._stat is None:
            self._block, self._stat = self._clients().read(self.url, 0, _FIRST_BYTES)
        return self._stat

    @property
    def size(self) -> int:
        return self.stat.size

    @property
    def tag(self) -> str:
        """What a later source of the same file must be told, to raise where it is another."""
        return tag_of(self.stat)

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        parts = []
        while offset < end:
            inside = offset - self._block_start
            if not 0 <= inside < len(self._block):
                self._take(offset, end)
                continue
            parts.append(bytes(memoryview(self._block)[inside : inside + end - offset]))
            offset += len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take(self, offset: int, end: int) -> None:
        """Make the block at `offset` the one to read from, and ask for the one after it."""
        ahead, self._ahead = self._ahead, None
        self._block = bytearray()
        if ahead is not None and ahead[0] <= offset < ahead[1]:
            try:
                self._block, self._block_start = self._wait(ahead[2]), ahead[0]
            except (InputUnreachable, MemoryError):
                ahead = None  # what nobody had asked for yet is no reason to fail
        else:
            ahead = None
        if ahead is None:
            self._block, self._block_start = self._wait(self._ask(offset, self._length(offset, end))), offset
        self._reached = self._block_start + len(self._block)
        following = self._length(self._reached, self._reached)
        if following == FETCH_BYTES or self._in_span(self._reached):
            self._ahead = (self._reached, self._reached + following, self._ask(self._reached, following))

    def _length(self, offset: int, end: int) -> int:
        """How much to ask for at `offset`, where the bytes up to `end` are needed."""
        if self._in_span(offset):
            assert self._span is not None
            return max(end - offset, min(FETCH_BYTES, self._span[1] - offset))
        if self._span is None and offset == self._reached:
            self._run = min(max(2 * self._run, end - offset), FETCH_BYTES)
        else:
            self._run = end - offset
        return min(max(self._run, end - offset), self.size - offset)

    def _in_span(self, offset: int) -> bool:
        return self._span is not None and self._span[0] <= offset < min(self._span[1], self.size)

    def _ask(self, offset: int, length: int) -> Future[bytearray]:
        if self._fetcher is None:
            self._fetcher = _Fetcher(self._clients(), self.url, self.stat)
        return self._fetcher.ask(offset, length)

    def _wait(self, future: Future[bytearray]) -> bytearray:
        while not wait([future], timeout=_WAIT_S).done:
            self._waiting()
        return future.result()

    def _clients(self) -> Client:
        if self._client is None:
            self._client = self._own_client = Client()
        return self._client

    def check(self) -> None:
        """Nothing: every answer was checked."""

    def close(self) -> None:
        if self._fetcher is not None:
            self._fetcher.close()
        if self._own_client is not None:
            self._own_client.close()
        self._start()

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "name": self.name, "_stat": self._stat, "_span": self._span}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start()
        self.__dict__.update(state)


class _Fetcher:
    """A thread that asks for one range after the other. It is there before a page can leave no memory for one."""

    def __init__(self, client: Client, url: str, stat: Stat) -> None:
        self._wanted: queue.SimpleQueue[tuple[int, int, Future[bytearray]] | None] = queue.SimpleQueue()
        # daemon: a process that ends does not wait for a server
        threading.Thread(target=self._serve, args=(client, url, stat), daemon=True, name="fetch").start()

    def ask(self, offset: int, length: int) -> Future[bytearray]:
        future: Future[bytearray] = Future()
        self._wanted.put((offset, length, future))
        return future

    def _serve(self, client: Client, url: str, stat: Stat) -> None:
        while (wanted := self._wanted.get()) is not None:
            offset, length, future = wanted
            try:
                future.set_result(client.read(url, offset, length, stat)[0])
            except BaseException as error:
                future.set_exception(error)

    def close(self) -> None:
        self._wanted.put(None)


def tag_of(stat: Stat) -> str:
    return f"{stat.size} {stat.mark}"


def _stat_of(tag: str) -> Stat:
    size, _, mark = tag.partition(" ")
    return Stat(int(size), mark)


def open_source(
    path: str,
    name: str,
    *,
    tag: str = "",
    span: tuple[int, int] | None = None,
    client: Client | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> LocalSource | RemoteSource:
    """The source of a path or URL, of which the bytes of `span` will be read in order. Raises InputChanged where it is
    no longer what `tag` says."""
    if not is_url(path):
        return LocalSource(path, name, tag)
    if span is not None:  # readers take whole blocks
        span = (span[0] // BLOCK_BYTES * BLOCK_BYTES, -(-span[1] // BLOCK_BYTES) * BLOCK_BYTES)
    return RemoteSource(path, name, tag=tag, span=span, client=client, waiting=waiting)
