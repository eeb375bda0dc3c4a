"""The folder of one process: it is removed when no process holds it, and not before."""

import subprocess
import sys

from corpus.storage.private_folder import private_folder

HOLD = """
import os, sys
os.getpid = lambda: 1 << 30  # as in a container, in which processes have other ids than outside
from corpus.storage.private_folder import private_folder
print(private_folder("own-", sys.argv[1]), flush=True)
sys.stdin.read()
"""


def test_a_folder_lasts_as_long_as_its_process(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    theirs = holder.stdout.readline().strip()
    first = private_folder("own-", str(tmp_path))
    assert {str(path) for path in tmp_path.iterdir()} == {str(first), theirs}
    holder.kill()
    holder.communicate()
    private_folder.cache_clear()
    second = private_folder("own-", str(tmp_path))
    assert set(tmp_path.iterdir()) == {first, second}


def test_folders_of_others_are_removed_at_the_end_too(tmp_path):
    """The children of a killed process may make its folder again."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    holder.stdout.readline()
    (tmp_path / "own-left").mkdir()
    (tmp_path / "other").mkdir()
    holder.communicate()
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
