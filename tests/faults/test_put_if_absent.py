"""Many processes put one key: one wins, on every kind of file system, and a killed process stops no other."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.storage.store import LocalStore
from tests.corpus.storage.test_put_if_absent import WAYS, missing, without

WRITERS = 12


RACE = """
import os, signal, sys
import pytest
from tests.corpus.storage.test_put_if_absent import missing, without
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
    """For each key, the writers that say they won it."""
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
    assert (root / ".work" / "publish.lock").exists() == (way == "lock")  # processes took that way


@pytest.mark.parametrize("way", ["lock"])  # the others, and more races, in the slow tests
def test_twelve_processes_have_one_winner(way, tmp_path) -> None:
    assert_one_winner(way, tmp_path / "out", 20)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_many_races_have_one_winner_each(way, tmp_path, record_result) -> None:
    assert_one_winner(way, tmp_path / "out", 1000)
    name = {"link": "hard links", "rename": "no hard links, renameat2", "lock": "no hard links, no renameat2, flock"}
    record_result(f"{WRITERS} processes race for a key: {name[way]}", tried=1000, measured="1 winner each")


DIE = """
import os, signal, sys
import pytest
from tests.corpus.storage.test_put_if_absent import missing, without
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
