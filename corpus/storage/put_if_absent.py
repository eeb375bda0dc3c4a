"""A finished file under its final name, unless that is taken: what put-if-absent is made of on file systems.

A hard link does it where there are any: making one fails where the name exists. Where there are none (FAT, many network
and FUSE mounts) a rename that does not replace does, and where the system has no such rename, a lock that the kernel
gives back when its holder dies. No way leaves anything that a dead process could leave behind for others to trip over.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from corpus.errors import OutputError

_UNKNOWN = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_NO_LINKS = {*_UNKNOWN, errno.EPERM, errno.EMLINK, errno.EXDEV}
_NO_SUCH_RENAME = {*_UNKNOWN, errno.EINVAL}
_NO_SYNC = {*_UNKNOWN, errno.EINVAL}
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_TURNS = 1000


class _Unsupported(Exception):
    """The file system has no such operation."""


def publish(scratch: Path, final: Path, lock: Path) -> bool:
    """Give `scratch` the name `final` unless there is something of that name; whether it was given. `lock` is a file
    that all who publish here agree on, used only where nothing else helps. Raises OSError and OutputError."""
    for way in (by_link, by_rename):
        try:
            return way(scratch, final)
        except _Unsupported:
            continue
    return by_lock(scratch, final, lock)


def by_link(scratch: Path, final: Path) -> bool:
    try:
        os.link(scratch, final)
    except FileExistsError:
        # a server may have made the link and its answer been lost, so that the client asked again
        return _same(scratch, final)
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise _Unsupported from None
        raise
    return True


def by_rename(scratch: Path, final: Path) -> bool:
    """renameat2(2) of Linux, with RENAME_NOREPLACE."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise _Unsupported
    if libc.renameat2(_AT_FDCWD, os.fsencode(scratch), _AT_FDCWD, os.fsencode(final), _RENAME_NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code == errno.EEXIST:
        return False
    if code in _NO_SUCH_RENAME:
        raise _Unsupported
    raise OSError(code, os.strerror(code), str(final))


def by_lock(scratch: Path, final: Path, lock: Path) -> bool:
    with locked(lock, wait=True):
        if os.path.lexists(final):
            return False
        os.replace(scratch, final)
        return True


@contextmanager
def locked(lock: Path, *, wait: bool, leave: bool = True) -> Iterator[None]:
    """Hold a lock file, which the system releases when this process ends, however it ends; at the end it is there for
    the next holder, or gone if not `leave`. Without `wait` raises BlockingIOError where another one holds it;
    OutputError where the file system knows no locks."""
    held = _lock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        if not leave:
            with suppress(OSError):  # gone already, with all that was beside it
                if os.path.samestat(os.fstat(held), os.stat(lock)):  # else it is another holder's
                    lock.unlink()
        os.close(held)


def _lock(lock: Path, how: int) -> int:
    for _ in range(_TURNS):
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            # writable, since NFS makes of this a lock of a range of bytes; and no folder, which NFS locks on one client
            held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except (FileNotFoundError, FileExistsError):  # another one is removing the folder
            continue
        try:
            fcntl.flock(held, how)
            if os.path.samestat(os.fstat(held), os.stat(lock)):
                return held
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(held)
            raise
        except OSError as error:
            os.close(held)
            raise OutputError(
                f"{lock} can't be locked: {error.strerror}.", "Give an -o on a file system with locks."
            ) from None
        os.close(held)  # removed, and perhaps made anew, by who held it
    raise OutputError(f"{lock} can't be locked: it is another file each time.", "Give an -o on another file system.")


def make_folders(folder: Path) -> None:
    """Make a folder and those above it so that they outlast a loss of power, as far as the file system can."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlast a loss of power, as far as the file system can."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(opened)


def _same(scratch: Path, final: Path) -> bool:
    try:
        return os.path.samefile(scratch, final)
    except FileNotFoundError:
        return False
