"""Files of the user that are whole or absent: reports, lists, models."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpus.storage.put_if_absent import sync_folder


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write, which takes the place of `path` at the end. After an exception there is none.

    Nobody can foretell its name, so no link can lie there. A link at `path` is replaced, not followed.
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
    """Write a file that is complete or absent. Replace the file that was there. Only its owner can read it if it is
    `private`."""
    with replacing(path) as scratch, open(scratch, "xb") as file:
        if private:
            os.fchmod(file.fileno(), 0o600)
        file.write(data)
