"""Sources for files on web servers and in object stores.

for item in read_warc(RemoteSource("https://data.commoncrawl.org/crawl-data/…warc.gz")):
    print(item.id)
"""

from __future__ import annotations

import queue
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from operator import itemgetter

from corpus.errors import InputUnreachable
from corpus.net.client import Client
from corpus.net.transport import FileVersion
from corpus.net.urls import is_url, url_name
from corpus.warc.source import BLOCK_BYTES, LocalSource

FETCH_BYTES = 8 << 20
"""The size of a request when a file is read in order.

Two such blocks are held: the block that is being read, and the next block, which is requested ahead.
"""

_FIRST_BYTES = 1 << 16
"""The size of the first request, which also learns the size of the file."""

_WAIT_S = 0.5


class RemoteSource:
    """A file behind a URL. The source connects at its first read.

    `tag` identifies the file. If it is given and does not match, InputChanged is raised. Reads in order fetch larger
    and larger blocks, and fetch the next block in the background. `spans` declares the bytes that will be read in
    order. Then each span is fetched ahead, and no other bytes are. `waiting` is called every half second while a read
    waits.
    """

    _fetcher: _Fetcher | None = None
    _own_client: Client | None = None

    def __init__(
        self,
        url: str,
        name: str | None = None,
        *,
        tag: str = "",
        spans: Sequence[tuple[int, int]] | None = None,
        client: Client | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.url = url
        self.name = url_name(url) if name is None else name
        size, _, validator = tag.partition(" ")
        self._known = FileVersion(int(size), validator) if tag else None
        self._spans = spans
        if client is None:
            client = self._own_client = Client()
        self._client = client
        self._waiting = waiting
        self._block, self._block_start = bytearray(), 0
        self._ahead: tuple[range, Future[bytearray]] | None = None
        self._run, self._reached = 0, -1

    @property
    def _version(self) -> FileVersion:
        if self._known is None:
            self._block, self._known = self._client.read(self.url, 0, _FIRST_BYTES)
        return self._known

    @property
    def size(self) -> int:
        return self._version.size

    @property
    def tag(self) -> str:
        return f"{self.size} {self._version.validator}"

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        parts = []
        while offset < end:
            inside = offset - self._block_start
            if not 0 <= inside < len(self._block):
                self._load(offset, end)
                continue
            parts.append(bytes(memoryview(self._block)[inside : inside + end - offset]))
            offset += len(parts[-1])
        return b"".join(parts)

    def _load(self, offset: int, end: int) -> None:
        """Load the block at `offset`, and request the block after it."""
        ahead, self._ahead = self._ahead, None
        self._block = bytearray()
        loaded = None
        if ahead is not None and offset in ahead[0]:
            # If a block fails before anybody has read it, it is requested again.
            with suppress(InputUnreachable, MemoryError):
                loaded, self._block_start = self._wait(ahead[1]), ahead[0].start
        if loaded is None:
            loaded, self._block_start = self._wait(self._request(offset, self._length(offset, end))), offset
        self._block = loaded
        self._reached = self._block_start + len(self._block)
        following = self._following()
        if following:
            self._ahead = following, self._request(following.start, len(following))

    def _length(self, offset: int, end: int) -> int:
        """Return how many bytes to request at `offset` if the bytes up to `end` are needed."""
        if self._spans is not None:
            span = self._span(offset)
            return max(end - offset, min(FETCH_BYTES, span.stop - offset) if offset in span else 0)
        in_order = offset == self._reached
        self._run = min(max(2 * self._run, end - offset), FETCH_BYTES) if in_order else end - offset
        return min(max(self._run, end - offset), self.size - offset)

    def _following(self) -> range:
        """Return the bytes to request ahead, after a block was read."""
        at = self._reached
        if self._spans is None:
            length = self._length(at, at)
            return range(at, at + length) if length == FETCH_BYTES else range(0)
        span = self._span(at)
        start = max(at, span.start)
        return range(start, min(start + FETCH_BYTES, span.stop))

    def _span(self, offset: int) -> range:
        """Return the first span that ends after `offset`, as far as it lies in the file, or an empty range."""
        spans = self._spans or ()
        number = bisect_right(spans, offset, key=itemgetter(1))
        if number == len(spans):
            return range(0)
        start, end = spans[number]
        return range(start, min(end, self.size))

    def _request(self, offset: int, length: int) -> Future[bytearray]:
        if self._fetcher is None:
            self._fetcher = _Fetcher(self._client, self.url, self._version)
        return self._fetcher.request(offset, length)

    def _wait(self, future: Future[bytearray]) -> bytearray:
        while not wait([future], timeout=_WAIT_S).done:
            self._waiting()
        return future.result()

    def check(self) -> None:
        """Do nothing, because every answer was checked when it came."""

    def close(self) -> None:
        if self._fetcher is not None:
            self._fetcher.close()
        if self._own_client is not None:
            self._own_client.close()
        self._fetcher = self._ahead = None
        self._block = bytearray()

    __del__ = close


class _Fetcher:
    """A thread that requests one range after the other.

    It starts early, because a page may later leave no memory for a thread.
    """

    def __init__(self, client: Client, url: str, version: FileVersion) -> None:
        self._wanted: queue.SimpleQueue[tuple[int, int, Future[bytearray]] | None] = queue.SimpleQueue()
        # A daemon thread, because a process that ends must not wait for a server.
        threading.Thread(target=self._serve, args=(client, url, version), daemon=True, name="fetch").start()

    def request(self, offset: int, length: int) -> Future[bytearray]:
        future: Future[bytearray] = Future()
        self._wanted.put((offset, length, future))
        return future

    def _serve(self, client: Client, url: str, version: FileVersion) -> None:
        while (wanted := self._wanted.get()) is not None:
            offset, length, future = wanted
            try:
                future.set_result(client.read(url, offset, length, version)[0])
            except BaseException as error:
                future.set_exception(error)

    def close(self) -> None:
        self._wanted.put(None)


def open_source(
    path: str,
    name: str,
    *,
    tag: str = "",
    spans: Sequence[tuple[int, int]] | None = None,
    client: Client | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> LocalSource | RemoteSource:
    """Return the source of a path or URL. The bytes of `spans` will be read in order (see `RemoteSource`).

    Raises InputChanged if the file does not match `tag`.
    """
    if not is_url(path):
        return LocalSource(path, name, tag)
    return RemoteSource(path, name, tag=tag, spans=spans, client=client, waiting=waiting)


def whole_blocks(start: int, end: int) -> tuple[int, int]:
    """Return the bytes that a reader of a range requests, since it requests whole blocks."""
    return start // BLOCK_BYTES * BLOCK_BYTES, -(-end // BLOCK_BYTES) * BLOCK_BYTES
