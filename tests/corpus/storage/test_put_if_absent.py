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
    """Let the file system have no hard links, or no such renames either."""
    if "link" in ways:
        monkeypatch.setattr("os.link", lambda *names: fail(how))
    if "rename" in ways:
        monkeypatch.setattr("corpus.storage.put_if_absent._NO_SUCH_RENAME", set(range(1, 200)))
        monkeypatch.setattr("corpus.storage.put_if_absent._RENAME_NOREPLACE", 1 << 30)  # no kernel knows that


def fail(code: int, *names: object) -> None:
    raise OSError(code, os.strerror(code))


def missing(way: str) -> tuple[str, ...]:
    """What a file system lacks that leaves this way."""
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
def test_what_is_no_lack_of_links_is_not_taken_for_it(tmp_path, monkeypatch, code) -> None:
    without(monkeypatch, "link", how=code)
    store = LocalStore(tmp_path)
    with pytest.raises(OSError, match=os.strerror(code)):
        store.put_new("a", b"1")
    assert store.get("a") is None
    assert list((tmp_path / ".work" / "tmp").iterdir()) == []


def test_a_link_whose_answer_was_lost_is_a_win(tmp_path, monkeypatch) -> None:
    """NFS asks again where an answer is lost; the second time the name is there: our own."""
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


def test_who_comes_second_lets_the_name_last_too(tmp_path, monkeypatch) -> None:
    """It commits what it found, though the first one may have died before it came to this."""
    store = LocalStore(tmp_path)
    assert store.put_new("parts/a", b"1")
    synced: list[Path] = []
    monkeypatch.setattr("corpus.storage.store.sync_folder", synced.append)
    assert not store.put_new("parts/a", b"1")
    assert synced == [tmp_path / "parts"]


def test_folders_that_know_no_fsync(tmp_path, monkeypatch) -> None:
    sync = os.fsync

    def only_files(opened: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{opened}"):
            fail(errno.EINVAL)
        sync(opened)

    monkeypatch.setattr("os.fsync", only_files)
    assert LocalStore(tmp_path).put_new("deep/er/a", b"1")
