"""Stores: committed bytes by key, in a folder or under a prefix of a bucket. The basic operation of a store is
put-if-absent.

A file or object appears whole or not at all. Each object is first made as a file on this machine, under `scratch()`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar

import pyarrow as pa

from corpus.errors import ConfigError, OutputError, no_room
from corpus.net.urls import OBJECT_STORES, is_url, redact
from corpus.storage.crash_points import reached
from corpus.storage.put_if_absent import locked, make_folders, publish, sync_folder
from corpus.storage.safe_join import safe_join, safe_name

_T = TypeVar("_T")

LOCK = ".work/lock"
PRIVATE = ("samples", "index")
"""The private folders of a run: excerpts of pages before any cleaning, and the data that later runs compare with.

Like `.work`, only their owner can read them (0700, their files 0600), unless the run is shared.
"""
_PROBE = ".probe-"

Location = str | Path
"""A path, or the URL of a prefix of a bucket."""


class Store(Protocol):
    """Bytes by key. Keys are relative paths with forward slashes. Keys are made by us, never from page data."""

    @property
    def location(self) -> str:
        """The absolute path or the URL. `open_store` opens the same store from it in any process that can reach it."""

    def where(self, key: str = "") -> str:
        """Return the location of a key, or of the whole store, in the form that messages show."""

    def put_new(self, key: str, data: bytes) -> bool:
        """Store `data` under `key` and return True, or return False if the key exists."""

    def adopt(self, scratch: Path, key: str) -> bool:
        """Move a finished file of `scratch()` to `key` and return True, or return False if the key exists."""

    def replace(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, even if the key exists. Only for files that no commit protects, such as timings."""

    def get(self, key: str) -> bytes | None:
        """Return the bytes of a key, or None if it does not exist."""

    def size(self, key: str) -> int | None:
        """Return the number of bytes of a key, or None if it does not exist."""

    def read(self, key: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of a key, or fewer at its end. Raises FileNotFoundError."""

    def buffer(self, key: str) -> pa.Buffer:
        """Return all bytes of a key, mapped into memory if possible. Raises FileNotFoundError."""

    def local(self, key: str) -> Path:
        """Return a file on this machine with the bytes of a key. Raises FileNotFoundError."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a folder, sorted.

        The keys are only a hint, because only commits decide which files count.
        """

    def names(self) -> set[str]:
        """Return the first part of every key: the names at the top level."""

    def scratch(self) -> Path:
        """Return a new path for a scratch file."""

    def discard(self, *keys: str) -> None:
        """Remove keys, if they exist."""

    def remove(self, prefix: str) -> None:
        """Remove everything below a folder."""

    def only_run(self, share: bool = False) -> AbstractContextManager[None]:
        """Keep all other runs from writing here. With `share`, the umask alone decides who may read the private
        folders.

        Raises OutputError if another run is writing here, or if the disk is full.
        """

    def prepare(self) -> None:
        """Check that the store can be written to and supports put-if-absent. Raises OutputError."""


class LocalStore:
    """A store in a folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def location(self) -> str:
        return str(self.root.resolve())

    def where(self, key: str = "") -> str:
        return str(self.root / key)

    def path(self, key: str) -> Path:
        """Return the file of a key. Raises IntegrityError if the key leads out of the folder or through a link."""
        return safe_join(self.root, key)

    def put_new(self, key: str, data: bytes) -> bool:
        with scratch_file(self) as scratch:
            scratch.write_bytes(data)
            reached("scratch_written")
            return self.adopt(scratch, key)

    def adopt(self, scratch: Path, key: str) -> bool:
        try:
            final = self.path(key)
            if key.partition("/")[0] in PRIVATE:
                self._keep_private(scratch, key)
            make_folders(final.parent)
            _sync(scratch)
            reached("before_link")
            made = publish(scratch, final, self.path(".work/publish.lock"))
            if made:
                reached("after_link")
            # needed even if another process made the file, because that process may die before it does this
            sync_folder(final.parent)
            return made
        finally:
            scratch.unlink(missing_ok=True)

    def _keep_private(self, scratch: Path, key: str) -> None:
        """Make the private folder of a key with the mode of `.work`, so that all processes of a run agree.

        Give the file the same readers as the folder.
        """
        folder = self.path(key.partition("/")[0])
        with suppress(FileExistsError):
            folder.mkdir(mode=self.path(".work").stat().st_mode & 0o777)
        _chmod(scratch, scratch.stat().st_mode & folder.stat().st_mode & 0o777)

    @property
    def shared(self) -> bool:
        """True if the finished run in this folder was made with `share`."""
        return any(self.path(name).exists() and self.path(name).stat().st_mode & 0o077 for name in PRIVATE)

    def replace(self, key: str, data: bytes) -> None:
        final = self.path(key)
        with scratch_file(self) as scratch:
            scratch.write_bytes(data)
            _sync(scratch)
            reached("before_replace")
            os.replace(scratch, final)
        sync_folder(final.parent)

    def get(self, key: str) -> bytes | None:
        return self._if_there(key, Path.read_bytes)

    def size(self, key: str) -> int | None:
        return self._if_there(key, os.path.getsize)

    def _if_there(self, key: str, ask: Callable[[Path], _T]) -> _T | None:
        """Return the result of `ask`, or None for a missing file. Raises OutputError if the file can't be examined."""
        try:
            return ask(self.path(key))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise OutputError(
                f"{self.root / key} can't be read: {error.strerror}.", "Repair that, or give another folder."
            ) from None

    def read(self, key: str, offset: int, length: int) -> bytes:
        file = os.open(safe_name(self.root, key), os.O_RDONLY)
        try:
            return os.pread(file, length, offset)
        finally:
            os.close(file)

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
        if not folder.exists():
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(exist_ok=True)
        return folder / f"{os.getpid()}-{uuid.uuid4().hex}"

    def discard(self, *keys: str) -> None:
        for key in keys:
            self.path(key).unlink(missing_ok=True)

    def remove(self, prefix: str) -> None:
        folder, lock = self.path(prefix), self.path(LOCK)
        if folder != lock.parent:
            shutil.rmtree(folder, ignore_errors=True)
            return
        with suppress(OSError), os.scandir(folder) as entries:  # it may be missing
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.name != lock.name:
                    with suppress(OSError):
                        os.unlink(entry.path)
            lock.unlink(missing_ok=True)  # last, because another run may begin here as soon as the lock is gone
            folder.rmdir()

    @contextmanager
    def only_run(self, share: bool = False) -> Iterator[None]:
        """Hold a lock that the system releases when this process ends, however that happens."""
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
                raise OutputError(f"{self.root} can't be written: {error.strerror}.", "Repair that first.") from None
            try:
                _chmod(lock.parent, 0o777 & ~_umask() if share else 0o700)
                self.remove(".work/tmp")
                yield
            except OSError as error:
                if full := no_room(error, self.root):
                    raise full from None
                raise
            finally:
                self.remove(".work/tmp")  # files of failed tasks

    def _tidy(self) -> None:
        """Remove our empty folders from a folder in which no work began."""
        with suppress(OSError):  # not empty, or missing
            self.path(LOCK).parent.rmdir()

    def prepare(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # not in .work, which belongs to the run that holds the folder
            with tempfile.TemporaryFile(prefix=_PROBE, dir=self.root):
                pass
        except FileExistsError:
            raise OutputError(f"{self.root} is a file, not a folder.", "Give another folder with -o.") from None
        except OSError as error:
            raise OutputError(
                f"{self.root} can't be written: {error.strerror}.", "Give another folder with -o."
            ) from None


@contextmanager
def scratch_file(store: Store) -> Iterator[Path]:
    """Yield the path of a new scratch file, and remove the file at the end if it still exists."""
    path = store.scratch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def as_json(data: Any, indent: int | None = 2) -> bytes:
    """Return plain data as a JSON file for people and programs."""
    return (json.dumps(data, indent=indent, ensure_ascii=False) + "\n").encode()


def open_store(location: Location) -> Store:
    """Return the store at a path or URL. Raises ConfigError for a URL that does not belong to an object store."""
    if not _is_remote(location):
        return LocalStore(location)
    if location.split("://")[0] not in OBJECT_STORES:
        raise ConfigError(
            f"{redact(location)} is no object store.", f"Give a folder, or a URL of {', '.join(OBJECT_STORES)}."
        )
    return _object_store(location.rstrip("/"))


def local_file(location: Location) -> Path:
    """Return a file on this machine with the content of a path or URL. Raises FileNotFoundError and ConfigError."""
    if not _is_remote(location):
        return Path(location)
    prefix, _, name = location.rpartition("/")
    return open_store(prefix).local(name)


def _is_remote(location: Location) -> TypeGuard[str]:
    return isinstance(location, str) and is_url(location)


@cache  # cached, because it holds connections and blocks
def _object_store(url: str) -> Store:
    from corpus.storage.bucket import ObjectStore

    return ObjectStore(url)


def _chmod(path: Path, mode: int) -> None:
    with suppress(OSError):  # some file systems have no modes, and a shared folder may belong to somebody else
        path.chmod(mode)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync(file: Path) -> None:
    with open(file, "rb") as stream:
        os.fsync(stream.fileno())
