"""Files of the user that are either complete or absent, such as reports, lists and models, and files that grow line by
line."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpus.storage.put_if_absent import sync_folder


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write. At the end this file replaces `path`. After an exception it is removed.

    Nobody can guess its name, so no one can put a link there. A link at `path` is replaced, not followed.
    """
    scratch = path.with_name(f".new-{path.name}-{uuid.uuid4().hex}")
    try:
        yield scratch
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove what `replacing` left in a folder when its process was killed: of the file `name`, or of all files.

    Nobody may be writing there.
    """
    for scratch in folder.glob(f".new-{name}*"):
        scratch.unlink(missing_ok=True)


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file that only its owner can read. Raises OSError; then no part of the line is written."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(file).st_size
        if os.write(file, line) < len(line):
            os.ftruncate(file, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)


def write_whole(path: Path, data: bytes, private: bool = False) -> None:
    """Write a file that is complete or absent.

    The file replaces an existing file. If `private` is true, only its owner can read it.
    """
    with replacing(path) as scratch, open(scratch, "xb") as file:
        if private:
            os.fchmod(file.fileno(), 0o600)
        file.write(data)
