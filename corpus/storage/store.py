"""Where committed bytes live: a folder, or a prefix in an object store. All rests on one operation, put-if-absent.

A file or object appears whole or not at all. What is made is first a file on this machine, under `scratch()`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import pyarrow as pa

from corpus.errors import ConfigError, OutputError, no_room
from corpus.net.urls import OBJECT_STORES, is_url, redact
from corpus.storage.crash_points import reached
from corpus.storage.inside import inside
from corpus.storage.put_if_absent import locked, make_folders, publish, sync_folder

LOCK = ".work/lock"
_PROBE = ".probe-"

Location = str | Path
"""A path, or the URL of a prefix of a bucket."""


class Store(Protocol):
    """Bytes by key. Keys are relative paths with forward slashes, made by us and never from page data."""

    @property
    def place(self) -> str:
        """The absolute path, or the URL: `open_store(place)` is the same store in any process that can reach it."""

    def where(self, key: str = "") -> str:
        """What to call a key, or the whole, before a person."""

    def put_new(self, key: str, data: bytes) -> bool:
        """Store `data` under `key` unless there is something already; whether it was stored."""

    def adopt(self, scratch: Path, key: str) -> bool:
        """Move a finished file of `scratch()` to `key` unless there is something already; whether it was moved."""

    def replace(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, whatever was there: only for what is no promise, such as timings."""

    def get(self, key: str) -> bytes | None:
        """The bytes of a key, None where there is nothing."""

    def size(self, key: str) -> int | None:
        """How many bytes a key has, None where there is nothing."""

    def read(self, key: str, offset: int, length: int) -> bytes:
        """Some bytes of a key, fewer than `length` only at its end. Raises FileNotFoundError."""

    def buffer(self, key: str) -> pa.Buffer:
        """All bytes of a key, in memory only as far as they are read where that can be. Raises FileNotFoundError."""

    def local(self, key: str) -> Path:
        """A file of this machine with the bytes of a key, for libraries that want one. Raises FileNotFoundError."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys below a folder, sorted. A hint only: what counts is the content of commits."""

    def names(self) -> set[str]:
        """What lies at the top: the first parts of all keys."""

    def scratch(self) -> Path:
        """A new name for a file in the making."""

    def discard(self, key: str) -> None:
        """Remove a key if it is there."""

    def remove(self, prefix: str) -> None:
        """Remove everything below a folder."""

    def only_run(self) -> AbstractContextManager[None]:
        """Be the only run that writes here. Raises OutputError where there is another."""

    def prepare(self) -> None:
        """Make sure that this place can be written to and keeps what is promised above. Raises OutputError."""


class LocalStore:
    """A folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def place(self) -> str:
        return str(self.root.resolve())

    def where(self, key: str = "") -> str:
        return str(self.root / key)

    def path(self, key: str) -> Path:
        """Return the local file of a key. Raises IntegrityError if it leads out of the folder or through a link."""
        return inside(self.root, key)

    def put_new(self, key: str, data: bytes) -> bool:
        scratch = self.scratch()
        try:
            with open(scratch, "xb") as file:
                file.write(data)
            reached("scratch_written")
            return self._publish(scratch, key)
        finally:
            scratch.unlink(missing_ok=True)

    def adopt(self, scratch: Path, key: str) -> bool:
        try:
            return self._publish(scratch, key)
        finally:
            scratch.unlink(missing_ok=True)

    def _publish(self, scratch: Path, key: str) -> bool:
        final = self.path(key)
        make_folders(final.parent)
        _sync(scratch)
        reached("before_link")
        made = publish(scratch, final, self.path(".work/publish.lock"))
        if made:
            reached("after_link")
        sync_folder(final.parent)  # also where another one made it, who may not have come to this
        return made

    def replace(self, key: str, data: bytes) -> None:
        scratch, final = self.scratch(), self.path(key)
        try:
            scratch.write_bytes(data)
            _sync(scratch)
            reached("before_replace")
            os.replace(scratch, final)
        finally:
            scratch.unlink(missing_ok=True)
        sync_folder(final.parent)

    def get(self, key: str) -> bytes | None:
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(self.root / key, error) from None

    def size(self, key: str) -> int | None:
        try:
            return self.path(key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(self.root / key, error) from None

    def read(self, key: str, offset: int, length: int) -> bytes:
        with self.path(key).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), length, offset)

    def buffer(self, key: str) -> pa.Buffer:
        with pa.memory_map(str(self.path(key))) as source:
            return source.read_buffer()

    def local(self, key: str) -> Path:
        path = self.path(key)
        if not path.exists():
            raise FileNotFoundError(path)
        return path

    def keys(self, prefix: str) -> Iterator[str]:
        folder = self.path(prefix) if prefix else self.root
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self.root).as_posix()

    def names(self) -> set[str]:
        found = {path.name for path in self.root.iterdir()} if self.root.is_dir() else set()
        return {name for name in found if not name.startswith(_PROBE)}

    def scratch(self) -> Path:
        folder = self.path(".work/tmp")  # on the same file system
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{os.getpid()}-{uuid.uuid4().hex}"

    def discard(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def remove(self, prefix: str) -> None:
        shutil.rmtree(self.path(prefix), ignore_errors=True)

    @contextmanager
    def only_run(self) -> Iterator[None]:
        """By a lock that the system releases when this process ends, however it ends. Raises OutputError also for
        whatever is done meanwhile in a folder that takes no more."""
        lock = self.path(LOCK)
        with ExitStack() as held:
            held.callback(self._tidy)
            try:
                held.enter_context(locked(lock, wait=False, leave=False))
            except BlockingIOError:
                raise OutputError(
                    f"Another run is writing to {self.root}.", "Wait for it, or give another -o."
                ) from None
            except OSError as error:
                raise OutputError(f"{self.root} can't be written: {error.strerror}.", "Mend that first.") from None
            try:
                self.remove(".work/tmp")
                yield
            except OSError as error:
                if full := no_room(error, self.root):
                    raise full from None
                raise
            finally:
                self.remove(".work/tmp")  # what tasks that failed left

    def _tidy(self) -> None:
        """Leave no trace in a folder where no work was begun."""
        with suppress(OSError):  # not empty, or not there
            self.path(LOCK).parent.rmdir()

    def prepare(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(prefix=_PROBE, dir=self.root):  # .work is the run's that holds the folder
                pass
        except OSError as error:
            raise OutputError(
                f"{self.root} can't be written: {error.strerror}.", "Give another folder with -o."
            ) from None


def as_json(data: Any, indent: int | None = 2) -> bytes:
    """Plain data as a file for people and programs."""
    return (json.dumps(data, indent=indent, ensure_ascii=False) + "\n").encode()


def open_store(place: Location) -> Store:
    """The store at a path or URL. Raises ConfigError for a URL of no object store."""
    if not _is_remote(place):
        return LocalStore(place)
    if place.split("://")[0] not in OBJECT_STORES:
        raise ConfigError(
            f"{redact(place)} is no place to write to.", f"Give a folder, or a URL of {', '.join(OBJECT_STORES)}."
        )
    return _object_store(place.rstrip("/"))


def local_file(place: Location) -> Path:
    """A file of this machine with what is at a path or URL. Raises FileNotFoundError, and ConfigError."""
    if not _is_remote(place):
        return Path(place)
    prefix, _, name = place.rpartition("/")
    return open_store(prefix).local(name)


def _is_remote(place: Location) -> TypeGuard[str]:
    return isinstance(place, str) and is_url(place)


@cache  # it holds connections, and blocks that were read
def _object_store(url: str) -> Store:
    from corpus.storage.bucket import ObjectStore

    return ObjectStore(url)


def _unreadable(path: Path, error: OSError) -> OutputError:
    """What to raise where it can't be told whether there is anything at a path."""
    return OutputError(f"{path} can't be read: {error.strerror}.", "Give another folder, or mend that first.")


def _sync(file: Path) -> None:
    with open(file, "rb") as stream:
        os.fsync(stream.fileno())
