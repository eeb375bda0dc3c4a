"""Commits that are gathered in one, and the sequence of all commits of a pass."""

from __future__ import annotations

import pytest

from corpus.errors import IntegrityError
from corpus.storage.commits import Commit, Part
from corpus.storage.gathered import (
    FOLDER,
    Commits,
    as_line,
    digest_of,
    digest_of_marks,
    gather,
    gathered,
    mark_of,
)
from corpus.storage.store import LocalStore


def made(number, rows=3):
    part = Part("ledger", f".work/parts/ledger/{number}.arrow", rows, 10 * rows, f"{number:064x}")
    return Commit(f".work/commits/pass/{number}.json", (part,), {"counts": {"in": number}, "seconds": 0.5})


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path)


def put(store, name, commits):
    """Gather commits, and return their group."""
    gather(store, f"{FOLDER}/{name}", [as_line(one.as_dict()) for one in commits])
    digest = digest_of_marks(mark_of(one.key, [part.sha256 for part in one.parts]) for one in commits)
    return f"{FOLDER}/{name}", len(commits), digest


@pytest.fixture
def groups(store):
    """Thirty groups of 0 to 4 commits, and all commits."""
    sizes, commits, groups = [number * 7 % 5 for number in range(30)], [], []
    for number, size in enumerate(sizes):
        own = [made(len(commits) + more) for more in range(size)]
        groups.append(put(store, str(number), own))
        commits += own
    return groups, commits


def test_they_are_read_as_one_sequence(store, groups):
    found = Commits(store, groups[0])
    whole = groups[1]
    assert len(found) == len(whole)
    assert list(found) == whole
    assert [found[number] for number in range(len(whole))] == whole
    assert (found[-1], found[-len(whole)]) == (whole[-1], whole[0])
    assert found[3:20:2] == whole[3:20:2]
    assert found[5:] == whole[5:]
    for number in (len(whole), -len(whole) - 1):
        with pytest.raises(IndexError):
            found[number]


def test_few_are_held(store, groups, monkeypatch):
    """Reading in order reads each group once. Reading at random holds one group."""
    read = []
    monkeypatch.setattr("corpus.storage.gathered.gathered", lambda *key: read.append(key) or gathered(*key))
    found = Commits(store, groups[0])
    assert [found[number] for number in range(len(found))] == groups[1]
    assert len(read) == sum(size > 0 for _, size, _ in groups[0])
    assert len(found._held) == 1
    next(iter(found))
    assert len(read) < len(groups[0]) + 30


def test_a_digest_tells_of_every_part_and_of_the_order(store):
    one, two = [made(1), made(2)], [made(1, rows=4), made(2)]
    digests = {
        Commits(store, [put(store, "a", one)]).digest,
        Commits(store, [put(store, "b", one[::-1])]).digest,
        Commits(store, [put(store, "c", [made(1), made(3)])]).digest,
        digest_of(one),
        digest_of(one[::-1]),
    }
    assert len(digests) == 5
    assert digest_of(one) == digest_of(two)  # only digests of parts count, and these are the same


def test_the_first_one_counts(store):
    put(store, "x", [made(1)])
    put(store, "x", [made(2)])
    assert gathered(store, f"{FOLDER}/x") == [made(1)]


@pytest.mark.parametrize("harm", ["flip", "cut", "delete", "other"])
def test_harm_is_found(store, harm):
    commits, refused = [made(number) for number in range(50)], 0
    key, *_ = put(store, "x", commits)
    content = bytearray(store.get(key))
    for at in range(len(content)) if harm == "flip" else [0]:
        harmed = bytearray(content)
        if harm == "flip":
            harmed[at] ^= 1
        elif harm == "cut":
            del harmed[-3:]
        store.discard(key)
        if harm == "other":
            gather(store, key, [b'{"key": 1, "parts": [], "facts": {}}'])
        elif harm != "delete":
            store.put_new(key, bytes(harmed))
        try:
            assert gathered(store, key) == commits, "a bit that means nothing"
        except IntegrityError as error:
            refused += 1
            assert "x are missing or damaged. Delete it" in str(error)
    assert refused > 0.9 * len(content) if harm == "flip" else refused == 1
