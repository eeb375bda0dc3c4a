"""Archives on web servers and in object stores: a `Source` over ranges of a file.

for record in read_warc(RemoteSource("https://data.commoncrawl.org/crawl-data/…warc.gz")):
    print(record.id)
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

from corpus.errors import InputUnreachable
from corpus.net.client import Client
from corpus.net.transport import Stat
from corpus.net.urls import is_url, url_name
from corpus.warc.source import BLOCK_BYTES, LocalSource

FETCH_BYTES = 8 << 20
"""Bytes of one request where a file is read from one end to the other. Two such blocks are held: one to read from,
and the next, asked for ahead."""

_FIRST_BYTES = 1 << 16
"""Asked for to learn a file's size."""

_WAIT_S = 0.5


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

    def __del__(self) -> None:
        if getattr(self, "_fetcher", None) is not None or getattr(self, "_own_client", None) is not None:
            self.close()

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
