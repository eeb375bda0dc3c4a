"""A store in a bucket.

Such a store commits by conditional PUT. If many writers write the same key, one of them wins, and an object appears
whole or not at all. The store needs no rename, and no upload in pieces that could be left behind. Scratch files are on
this machine, in a private folder that is removed with the process.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from corpus.errors import OutputError, no_room
from corpus.net.client import Client
from corpus.net.transport import BucketTransport, FileVersion
from corpus.net.urls import object_key, redact
from corpus.storage.crash_points import reached
from corpus.storage.lease import Lease
from corpus.storage.private_folder import private_folder

_T = TypeVar("_T")

REQUESTS_PER_S = 500
"""The number of requests of one process to its bucket per second. S3 accepts 3,500 writes a second under one prefix."""

FETCH_BYTES = 8 << 20
"""The number of bytes in the first request for an object of unknown size."""

BLOCK_BYTES = 1 << 20
HELD_BYTES = 64 << 20
"""The number of bytes of blocks that are held in memory.

Parts are read in blocks, because many tasks read small pieces of them.
"""

DELETE_KEYS = 1000
"""The number of keys in one request to delete. S3 accepts no more."""

MOST_BYTES = 5 << 30
"""The largest object that one request may store."""

_LASTING = ".work/parts/"
"""The folder of objects that never change, because their keys are digests of their content."""


class ObjectStore:
    """A prefix of a bucket, such as `s3://bucket/runs/1`. Credentials and endpoint come from the environment."""

    def __init__(self, url: str, client: Client | None = None) -> None:
        self._url = url
        self._prefix = object_key(url)
        self._client = client or Client(rate=REQUESTS_PER_S)
        self._blocks = _Blocks()
        self._lease: Lease | None = None

    @property
    def location(self) -> str:
        return self._url

    def where(self, key: str = "") -> str:
        return redact(f"{self._url}/{key}" if key else self._url)

    def put_new(self, key: str, data: bytes | mmap.mmap) -> bool:
        reached("before_link")
        made = self._ask(key, lambda objects, name: objects.put(name, data))
        reached("after_link")
        return made

    def adopt(self, scratch: Path, key: str) -> bool:
        try:
            if scratch.stat().st_size > MOST_BYTES:
                raise OutputError(f"{self.where(key)} would be larger than 5 GiB.", "Set a smaller `rows_per_part`.")
            with scratch.open("rb") as file:
                if not os.fstat(file.fileno()).st_size:
                    return self.put_new(key, b"")
                # the file is read while it is sent
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    return self.put_new(key, content)
        finally:
            scratch.unlink(missing_ok=True)

    def replace(self, key: str, data: bytes) -> None:
        self._check_lease()
        self._ask(key, lambda objects, name: objects.put(name, data, over=None))

    def get(self, key: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return self._whole(key)
        return None

    def size(self, key: str) -> int | None:
        found = self._head(key)
        return found.size if found else None

    def _head(self, key: str) -> FileVersion | None:
        return self._ask(key, BucketTransport.head)

    def _whole(self, key: str) -> bytes:
        """Return all bytes of an object.

        A small object takes one request. If the transfer of a larger one breaks, it continues from there.
        """
        first = self._fetch(key, 0, FETCH_BYTES)
        if len(first) < FETCH_BYTES:
            return first
        found = self._head(key)
        more = found.size - FETCH_BYTES if found else 0
        return first + self._client.read(f"{self._url}/{key}", FETCH_BYTES, more, found)[0] if more else first

    def read(self, key: str, offset: int, length: int) -> bytes:
        if key.startswith(_LASTING):
            return self._blocks.read(key, offset, length, lambda start, count: self._fetch(key, start, count))
        return self._fetch(key, offset, length)

    def _fetch(self, key: str, offset: int, length: int) -> bytes:
        return self._ask(key, lambda objects, name: objects.fetch(name, offset, length))

    def buffer(self, key: str) -> pa.Buffer:
        return pa.py_buffer(self._whole(key))

    def local(self, key: str) -> Path:
        found = self._head(key)
        if found is None:
            raise FileNotFoundError(self.where(key))
        suffix = Path(key).suffix
        scratch = self.scratch()
        path = scratch.with_name(f"{sha256(f'{self._url}/{key} {found.validator}'.encode()).hexdigest()}{suffix}")
        if not path.exists():
            scratch.write_bytes(self._whole(key))
            os.replace(scratch, path)
        return path

    def keys(self, prefix: str) -> Iterator[str]:
        folder = f"{self._prefix}/{prefix}" if prefix else self._prefix
        names = self._ask(prefix, lambda objects, name: objects.list(folder))
        found = (name.removeprefix(f"{self._prefix}/") for name in names)
        return iter(sorted(key for key in found if not key.rpartition("/")[2].startswith(".")))

    def names(self) -> set[str]:
        return {key.split("/")[0] for key in self.keys("")}

    def scratch(self) -> Path:
        return private_folder("corpus-files-") / uuid.uuid4().hex

    def discard(self, *keys: str) -> None:
        self._delete(keys)

    def remove(self, prefix: str) -> None:
        self._delete(list(self.keys(prefix)))

    def _delete(self, keys: Sequence[str]) -> None:
        self._check_lease()
        for start in range(0, len(keys), DELETE_KEYS):
            names = [f"{self._prefix}/{key}" for key in keys[start : start + DELETE_KEYS]]
            self._client.ask(self._url, partial(BucketTransport.delete, keys=names))

    @contextmanager
    def only_run(self, share: bool = False) -> Iterator[None]:
        """Hold a lease on the prefix. `share` changes nothing, because a bucket has its own rules for who may read."""
        with Lease(self._client, self._url) as self._lease:
            try:
                yield
                self._check_lease()
            except OSError as error:
                if full := no_room(error, tempfile.gettempdir()):
                    raise full from None
                raise
            finally:
                self._lease = None

    def _check_lease(self) -> None:
        if self._lease is not None:
            self._lease.check()

    def prepare(self) -> None:
        key = f".work/probe-{uuid.uuid4().hex}"
        self.put_new(key, b"1")  # False if the object was stored but the answer was lost
        if self.put_new(key, b"2"):
            raise OutputError(
                f"The object store of {redact(self._url)} overwrites existing objects even when a request forbids it.",
                "Use an object store that supports `If-None-Match: *`.",
            )
        self.discard(key)

    def _ask(self, key: str, question: Callable[[BucketTransport, str], _T]) -> _T:
        name = f"{self._prefix}/{key}"
        return self._client.ask(f"{self._url}/{key}", lambda objects: question(objects, name))


class _Blocks:
    """The blocks of unchanging objects that were read last. Threads may share them."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, key: str, offset: int, length: int, fetch: Callable[[int, int], bytes]) -> bytes:
        wanted = range(offset // BLOCK_BYTES, (offset + max(length, 1) - 1) // BLOCK_BYTES + 1)
        with self._lock:
            found = {number: self._held[key, number] for number in wanted if (key, number) in self._held}
        lacking = [number for number in wanted if number not in found]
        if lacking:
            first, last = lacking[0], lacking[-1]
            content = fetch(first * BLOCK_BYTES, (last - first + 1) * BLOCK_BYTES)
            for number in range(first, last + 1):
                found[number] = content[(number - first) * BLOCK_BYTES : (number - first + 1) * BLOCK_BYTES]
        with self._lock:
            for number in wanted:
                self._held[key, number] = found[number]
                self._held.move_to_end((key, number))
            while len(self._held) > HELD_BYTES // BLOCK_BYTES:
                self._held.popitem(last=False)
        inside = offset - wanted[0] * BLOCK_BYTES
        return b"".join(found[number] for number in wanted)[inside : inside + length]
