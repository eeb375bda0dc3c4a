"""One winner per key, however a file system gives names: by hard links, by renames that don't replace, by locks. And no
dead process that others trip over."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.errors import OutputError
from corpus.storage.put_if_absent import locked
from corpus.storage.store import LocalStore

WAYS = ("link", "rename", "lock")
WRITERS = 12


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


RACE = """
import os, signal, sys
import pytest
from tests.faults.test_put_if_absent import missing, without
from corpus.storage.store import LocalStore
way, root, keys, writers = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
without(pytest.MonkeyPatch(), *missing(way))
store = LocalStore(root)
gate, go = os.pipe()
for writer in range(writers):
    if os.fork() == 0:
        os.close(go)
        os.read(gate, 1)  # until all are there
        won = [key for key in range(keys) if store.put_new(f"commits/{key}", str(writer).encode())]
        with open(f"{root}/won-{writer}", "w") as told:
            told.write(" ".join(map(str, won)))
        os._exit(0)
os.close(go)
sys.exit(max(os.wait()[1] for _ in range(writers)))
"""


def race(way: str, root: Path, keys: int) -> list[list[int]]:
    """By key, the writers that say they won it."""
    subprocess.run([sys.executable, "-c", RACE, way, str(root), str(keys), str(WRITERS)], check=True)
    won = [(root / f"won-{writer}").read_text().split() for writer in range(WRITERS)]
    return [[writer for writer, mine in enumerate(won) if str(key) in mine] for key in range(keys)]


def assert_one_winner(way: str, root: Path, keys: int) -> None:
    root.mkdir()
    store = LocalStore(root)
    for key, winners in enumerate(race(way, root, keys)):
        assert len(winners) == 1
        assert store.get(f"commits/{key}") == str(winners[0]).encode()
    assert list((root / ".work" / "tmp").iterdir()) == []
    assert (root / ".work" / "publish.lock").exists() == (way == "lock")  # that way was gone


@pytest.mark.parametrize("way", ["lock"])  # the others, and more races, in the slow tests
def test_twelve_processes_have_one_winner(way, tmp_path) -> None:
    assert_one_winner(way, tmp_path / "out", 20)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_many_races_have_one_winner_each(way, tmp_path, record_result) -> None:
    assert_one_winner(way, tmp_path / "out", 1000)
    name = {"link": "hard links", "rename": "no hard links, renameat2", "lock": "no hard links, no renameat2, flock"}
    record_result(f"{WRITERS} processes race for a key: {name[way]}", tried=1000, measured="1 winner each")


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


DIE = """
import os, signal, sys
import pytest
from tests.faults.test_put_if_absent import missing, without
from corpus.storage.store import LocalStore
patch = pytest.MonkeyPatch()
without(patch, *missing(sys.argv[1]))
die = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
patch.setattr(*{"link": ("os.link", die), "lock": ("os.replace", die), "rename": ("corpus.storage.put_if_absent.by_rename", die)}[sys.argv[1]])
LocalStore(sys.argv[2]).put_new("commits/a", b"of a dead one")
"""  # noqa: E501


@pytest.mark.parametrize("way", [*(pytest.param(way, marks=pytest.mark.slow) for way in WAYS[:2]), "lock"])
def test_a_process_killed_while_it_publishes_is_in_nobodys_way(way, tmp_path, monkeypatch) -> None:
    died = subprocess.run([sys.executable, "-c", DIE, way, str(tmp_path)])
    assert died.returncode == -signal.SIGKILL
    without(monkeypatch, *missing(way))
    store = LocalStore(tmp_path)
    assert store.get("commits/a") is None
    assert store.put_new("commits/a", b"of a living one")
    assert store.get("commits/a") == b"of a living one"


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
