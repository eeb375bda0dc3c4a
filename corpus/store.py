"""Where committed bytes live. The one operation that everything rests on is put-if-absent.

A file or object appears whole or not at all, and never changes after that.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from corpus.crash import reached
from corpus.errors import OutputError


class LocalStore:
    """A folder. Keys are relative paths with forward slashes, made by us and never from page data."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def path(self, key: str) -> Path:
        """The local file of a key; raises OutputError for a key that would leave the folder."""
        path = self.root / key
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise OutputError(f"The key {key!r} leads out of {self.root}.", "This is a bug: please report it.")
        return path

    def put_new(self, key: str, data: bytes) -> bool:
        """Store `data` under `key` unless there is something already; whether it was stored."""
        scratch = self.scratch()
        try:
            with open(scratch, "xb") as file:
                file.write(data)
            reached("scratch_written")
            return self._publish(scratch, key)
        finally:
            scratch.unlink(missing_ok=True)

    def adopt(self, scratch: Path, key: str) -> bool:
        """Move a finished file of `scratch()` to `key` unless there is something already; whether it was moved."""
        try:
            return self._publish(scratch, key)
        finally:
            scratch.unlink(missing_ok=True)

    def _publish(self, scratch: Path, key: str) -> bool:
        final = self.path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        reached("before_link")
        try:
            os.link(scratch, final)  # fails where it exists: that makes it put-if-absent
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            return self._publish_without_links(scratch, final)
        reached("after_link")
        _sync_folder(final.parent)
        return True

    def _publish_without_links(self, scratch: Path, final: Path) -> bool:
        """Reserve the name by an exclusive lock file, then rename."""
        lock = final.with_name(f".lock-{final.name}")
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            raise OutputError(f"{lock} is in the way of a commit.", "If no other run is writing, delete it.") from None
        try:
            if final.exists():
                return False
            os.replace(scratch, final)
            _sync_folder(final.parent)
            return True
        finally:
            lock.unlink()

    def replace(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, whatever was there: only for what is no promise, such as timings."""
        scratch = self.scratch()
        scratch.write_bytes(data)
        reached("before_replace")
        os.replace(scratch, self.path(key))

    def get(self, key: str) -> bytes | None:
        """The bytes of a key, None where there is nothing."""
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError:
            return None

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys below a folder, sorted. A hint only: what counts is the content of commits."""
        folder = self.path(prefix)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self.root).as_posix()

    def scratch(self) -> Path:
        """A new name for a file in the making, on the same file system."""
        folder = self.root / ".work" / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{os.getpid()}-{uuid.uuid4().hex}"

    def remove(self, prefix: str) -> None:
        """Remove everything below a folder."""
        shutil.rmtree(self.path(prefix), ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
