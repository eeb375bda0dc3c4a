"""Commits, and parts that were changed after their commit."""

import re

import pytest

from corpus.errors import IntegrityError
from corpus.storage.commits import Commit, Part, add_part, check_part, commit, commit_key, read_commit
from corpus.storage.store import LocalStore


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "out")


def part(store, content, key=""):
    scratch = store.scratch()
    scratch.write_bytes(content)
    return add_part(store, "x", scratch, 1, key)


@pytest.mark.parametrize("key", ["../x", "/etc/x", "a/../../x"])
def test_no_key_leaves_the_folder(store, key):
    with pytest.raises(IntegrityError):
        store.put_new(key, b"")


def test_commit_reads_back(store):
    made = commit(store, "c.json", [part(store, b"rows")], {"counts": {"in": 3}, "places": [(1, 2)]})
    assert read_commit(store, "c.json") == made
    assert read_commit(store, "d.json") is None
    assert check_part(store, made.parts[0]).to_pybytes() == b"rows"


def test_the_loser_gets_the_winners_commit(store):
    first = commit(store, "c.json", [part(store, b"rows")], {"attempt": 1})
    assert commit(store, "c.json", [part(store, b"rows")], {"attempt": 2}) == first


def test_two_attempts_that_differ_are_found(store):
    commit(store, "c.json", [part(store, b"rows")], {})
    with pytest.raises(IntegrityError, match="not deterministic"):
        commit(store, "c.json", [part(store, b"other rows")], {})


def test_attempts_with_an_exception_of_the_clock_may_differ(store):
    first = commit(store, "c.json", [part(store, b"rows")], {"exceptions": [{"id": "w:1"}]})
    assert commit(store, "c.json", [part(store, b"other rows")], {}) == first


def test_a_damaged_commit_is_named(store):
    store.put_new("c.json", b'{"parts": [')
    with pytest.raises(IntegrityError, match=r"c\.json"):
        read_commit(store, "c.json")


@pytest.mark.parametrize("harm", ["flip", "cut", "delete"])
def test_harmed_parts_are_named(store, harm):
    made = part(store, b"0123456789")
    path = store.path(made.key)
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes(b"0123456780" if harm == "flip" else b"01234")
    anew = f"Remove {store.where('.work/parts')} and {store.where('.work/commits')}, and run the same command again"
    with pytest.raises(IntegrityError, match=f"{path.name}.*{re.escape(anew)}"):
        check_part(store, made)


def test_a_final_name_that_holds_something_else_is_an_error(store):
    part(store, b"one", key="corpus/part-00000.parquet")
    part(store, b"one", key="corpus/part-00000.parquet")
    with pytest.raises(IntegrityError):
        part(store, b"two", key="corpus/part-00000.parquet")


def test_keys_differ_if_anything_that_they_depend_on_differs():
    keys = {
        commit_key("pass", {"start": 0}, "a"),
        commit_key("pass", {"start": 1}, "a"),
        commit_key("pass", {"start": 0}, "b"),
    }
    assert len(keys) == 3


def test_the_digest_of_a_commit_is_that_of_its_parts():
    a, b = Part("x", "k", 1, 2, "s"), Part("x", "k", 1, 2, "t")
    assert Commit("1", (a,), {}).sha256 == Commit("2", (a,), {"n": 1}).sha256 != Commit("1", (b,), {}).sha256
