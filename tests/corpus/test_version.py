"""A result is bound to the rooms that decide its bytes, and to no other."""

import shutil
from pathlib import Path

import pytest

from corpus.version import ALL_ROOMS, PASS_ROOMS, REPLAY_ROOMS, TOKEN_ROOMS, code_digest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path):
    for package in ALL_ROOMS:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "binds_runs", "binds_tokens"),
    [
        ("filters/gopher.py", True, False),
        ("filters/recipes/default.toml", True, False),
        ("corpus/text/words.py", True, False),
        ("corpus/warc/reader.py", True, False),
        ("corpus/stage.py", True, False),
        ("corpus/storage/boxes.py", True, True),
        ("corpus/tokens/shuffle.py", False, True),
        ("corpus/revise/differences.py", False, False),
        ("corpus/storage/store.py", False, False),
        ("corpus/net/client.py", False, False),
        ("corpus/errors.py", False, False),
        ("jobs/cli.py", False, False),
    ],
)
def test_a_comment_changes_what_it_may(copy, file, binds_runs, binds_tokens):
    before = [code_digest(rooms, copy) for rooms in (PASS_ROOMS, TOKEN_ROOMS, ALL_ROOMS)]
    with open(copy / file, "a", encoding="utf-8") as source:
        source.write("# a comment\n")
    after = [code_digest(rooms, copy) for rooms in (PASS_ROOMS, TOKEN_ROOMS, ALL_ROOMS)]
    assert [old != new for old, new in zip(before, after, strict=True)] == [binds_runs, binds_tokens, True]


def test_every_room_is_there():
    for room in (*PASS_ROOMS, *TOKEN_ROOMS, *ALL_ROOMS):
        assert (ROOT / room).exists(), room


def test_a_replay_is_also_bound_to_the_code_that_judges_again(copy):
    before = [code_digest(rooms, copy) for rooms in (PASS_ROOMS, REPLAY_ROOMS)]
    with open(copy / "corpus" / "revise" / "ledger_replay.py", "a", encoding="utf-8") as source:
        source.write("# a comment\n")
    after = [code_digest(rooms, copy) for rooms in (PASS_ROOMS, REPLAY_ROOMS)]
    assert [old != new for old, new in zip(before, after, strict=True)] == [False, True]
