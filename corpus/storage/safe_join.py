"""The only way in which a name from a file of a run folder becomes a path.

A run folder may come from somebody else, in a tar file for example. A name in it may contain `..`, be absolute, or lead
through a link to any of the user's files.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from corpus.errors import IntegrityError

_PART = r"(?!\.\.?(?:/|\Z))[A-Za-z0-9._=+-]{1,255}"
_PLAIN = re.compile(rf"(?:{_PART}/)*{_PART}/*")
_LONGEST = 1024
_REMEDY = "Use only folders that `corpus` wrote, or build again."


def is_plain(name: object) -> bool:
    """Return True if `name` is a relative path of plain characters that stays below its folder."""
    return isinstance(name, str) and len(name) <= _LONGEST and _PLAIN.fullmatch(name) is not None


def safe_join(folder: Path, name: object) -> Path:
    """Return the path of `name` below `folder`. The file need not exist.

    Raises IntegrityError if `name` is not a relative path of plain characters, or if a part of it is a symbolic link.
    """
    return Path(safe_name(folder, name))


def safe_name(folder: Path, name: object) -> str:
    """Return the same path as a string. A comparison opens its files many times, and making a Path takes longest."""
    if not isinstance(name, str) or not is_plain(name):
        shown = ascii(name)[:100]  # no control characters
        raise IntegrityError(f"{folder} names the file {shown}, which may lie outside of the folder.", _REMEDY)
    path, parts = str(folder), name.rstrip("/").split("/")
    whole = "/".join([path, *parts])
    for part in parts:
        path = f"{path}/{part}"
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            break  # nothing exists below it either
        except OSError as error:
            raise IntegrityError(f"{path} can't be read: {error.strerror}.", _REMEDY) from None
        if stat.S_ISLNK(mode):
            raise IntegrityError(f"{path} is a symbolic link, which no run contains.", _REMEDY)
    return whole
