"""Put-if-absent by hard links, by renames that do not replace, and by locks, on file systems that lack some of them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from corpus.errors import OutputError
from corpus.storage.put_if_absent import locked
from corpus.storage.store import LocalStore

WAYS = ("link", "rename", "lock")


def without(monkeypatch, *ways, how=errno.EPERM) -> None:
    """Take away hard links from the file system, or renames that do not replace, or both."""
    if "link" in ways:
        monkeypatch.setattr("os.link", lambda *names: fail(how))
    if "rename" in ways:
        monkeypatch.setattr("corpus.storage.put_if_absent._NO_SUCH_RENAME", set(range(1, 200)))
        monkeypatch.setattr("corpus.storage.put_if_absent._RENAME_NOREPLACE", 1 << 30)  # no kernel knows that


def fail(code: int, *names: object) -> None:
    raise OSError(code, os.strerror(code))


def missing(way: str) -> tuple[str, ...]:
    """Return the ways that must be missing before this one is used."""
    return WAYS[: WAYS.index(way)]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV])
@pytest.mark.parametrize("ways", [("link",), ("link", "rename")])
def test_without_hard_links(tmp_path, monkeypatch, ways, code) -> None:
    without(monkeypatch, *ways, how=code)
    store = LocalStore(tmp_path)
    assert store.put_new("a", b"1")
    assert not store.put_new("a", b"2")
    assert store.get("a") == b"1"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_other_errors_of_a_link_are_raised(tmp_path, monkeypatch, code) -> None:
    without(monkeypatch, "link", how=code)
    store = LocalStore(tmp_path)
    with pytest.raises(OSError, match=os.strerror(code)):
        store.put_new("a", b"1")
    assert store.get("a") is None
    assert list((tmp_path / ".work" / "tmp").iterdir()) == []


def test_a_link_whose_answer_was_lost_counts_as_made(tmp_path, monkeypatch) -> None:
    """NFS repeats a request whose answer was lost. The second request finds the name that the first one made."""
    link = os.link

    def twice(scratch: Path, final: Path) -> None:
        link(scratch, final)
        link(scratch, final)

    monkeypatch.setattr("os.link", twice)
    store = LocalStore(tmp_path)
    assert store.put_new("a", b"1")
    assert not store.put_new("a", b"2")
    assert store.get("a") == b"1"


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch) -> None:
    without(monkeypatch, "link", "rename")
    monkeypatch.setattr("fcntl.flock", lambda *how: fail(errno.ENOLCK))
    with pytest.raises(OutputError, match="can't be locked"):
        LocalStore(tmp_path).put_new("a", b"1")
    assert list((tmp_path / ".work" / "tmp").iterdir()) == []


def test_a_lock_that_was_removed_and_made_anew_is_not_held_twice(tmp_path) -> None:
    lock = tmp_path / ".work" / "lock"
    with locked(lock, wait=False):
        lock.unlink()
        with locked(lock, wait=False), pytest.raises(BlockingIOError), locked(lock, wait=False):
            pass


def test_the_second_writer_syncs_the_folder_too(tmp_path, monkeypatch) -> None:
    """The second writer may commit the file, and the first one may have died before its own sync."""
    store = LocalStore(tmp_path)
    assert store.put_new("parts/a", b"1")
    synced: list[Path] = []
    monkeypatch.setattr("corpus.storage.store.sync_folder", synced.append)
    assert not store.put_new("parts/a", b"1")
    assert synced == [tmp_path / "parts"]


def test_folders_without_fsync(tmp_path, monkeypatch) -> None:
    sync = os.fsync

    def only_files(opened: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{opened}"):
            fail(errno.EINVAL)
        sync(opened)

    monkeypatch.setattr("os.fsync", only_files)
    assert LocalStore(tmp_path).put_new("deep/er/a", b"1")
