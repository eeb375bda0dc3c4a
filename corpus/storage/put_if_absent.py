"""Put-if-absent on file systems: give a finished file its final name, unless a file of that name exists.

The first way is a hard link, which fails if the name exists. Some file systems have no hard links (FAT, many network
and FUSE mounts). The second way is a rename that does not replace. The third is a lock that the kernel releases when
its holder dies. A process that dies during any of these ways leaves nothing that would block others.
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


def publish(scratch: Path, final: Path, lock: Path) -> bool:
    """Give `scratch` the name `final` and return True, or return False if that name exists.

    `lock` is a file that all writers share. The lock is used only if nothing else works. Raises OSError and
    OutputError.
    """
    for way in (by_link, by_rename):
        made = way(scratch, final)
        if made is not None:
            return made
    with locked(lock, wait=True):
        if os.path.lexists(final):
            return False
        os.replace(scratch, final)
        return True


def by_link(scratch: Path, final: Path) -> bool | None:
    """Make a hard link. Return None if the file system has no hard links."""
    try:
        os.link(scratch, final)
    except FileExistsError:
        with suppress(FileNotFoundError):
            # true if a server made the link, its answer was lost, and the client tried again
            return os.path.samefile(scratch, final)
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            return None
        raise
    return True


def by_rename(scratch: Path, final: Path) -> bool | None:
    """Call renameat2(2) of Linux with RENAME_NOREPLACE.

    Return None if the system or the file system does not support it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return None
    if libc.renameat2(_AT_FDCWD, os.fsencode(scratch), _AT_FDCWD, os.fsencode(final), _RENAME_NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code == errno.EEXIST:
        return False
    if code in _NO_SUCH_RENAME:
        return None
    raise OSError(code, os.strerror(code), str(final))


@contextmanager
def locked(lock: Path, *, wait: bool, leave: bool = True) -> Iterator[None]:
    """Hold a lock file. The system releases the lock when this process ends, however that happens.

    The file is removed at the end unless `leave` is true. Raises BlockingIOError if another process holds the lock and
    `wait` is false, and OutputError if the file system has no locks.
    """
    held = _lock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        if not leave:
            with suppress(OSError):  # the whole folder may be gone already
                # if they differ, the path belongs to another holder
                if os.path.samestat(os.fstat(held), os.stat(lock)):
                    lock.unlink()
        os.close(held)


def _lock(lock: Path, how: int) -> int:
    for _ in range(_TURNS):
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            # Opened for writing, since NFS turns this lock into a lock on a range of bytes. A file, not a folder, since
            # NFS locks folders only locally.
            held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except (FileNotFoundError, FileExistsError):  # another process is removing the folder right now
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
                f"{lock} can't be locked: {error.strerror}.", "Give an -o on a file system that has locks."
            ) from None
        os.close(held)  # the previous holder removed the file, and another process may have made a new one
    raise OutputError(f"{lock} can't be locked: it is a new file each time.", "Give an -o on another file system.")


def make_folders(folder: Path) -> None:
    """Make a folder and its parents so that they survive a loss of power, if the file system can do that."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power, if the file system can do that."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(opened)
