"""Files of the user that are either complete or absent: reports, lists, models."""

from __future__ import annotations

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


def write_whole(path: Path, data: bytes, private: bool = False) -> None:
    """Write a file that is complete or absent.

    The file replaces an existing file. If `private` is true, only its owner can read it.
    """
    with replacing(path) as scratch, open(scratch, "xb") as file:
        if private:
            os.fchmod(file.fileno(), 0o600)
        file.write(data)
