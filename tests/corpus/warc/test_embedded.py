"""A page can be a stored `.warc.gz`. No part of it may count as a record of the file around it."""

from __future__ import annotations

import random

import pytest

from corpus.warc.source import Window
from corpus.warc.starts import MemberStarts
from tests.corpus.warc.made import Memory, check_resume, damages, gz, noise, page, read_units, record, records, urls


def inner_archive(members: int, size: int, seed: int = 0) -> bytes:
    chance = random.Random(seed)
    return b"".join(
        gz(record((noise if chance.random() < 0.5 else page)(seed + i, chance.randint(1, size)), f"http://inner/{i}"))
        for i in range(members)
    )


ARCHIVES = {
    "one record": inner_archive(1, 500),
    "in one block": inner_archive(12, 4_000),
    "over many blocks": inner_archive(250, 2_500),
    "of large members": inner_archive(9, 90_000),
}
A, C = gz(record(page(1, 2_000), "http://a/")), gz(record(page(3, 2_000), "http://c/"))


def outer(name: str, level: int, before: int = 0) -> bytes:
    """A member whose page is the inner archive. Text before the archive makes a compressed block come first."""
    return gz(record(page(5, before) + ARCHIVES[name], "http://outer/"), level)


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize(("level", "before"), [(0, 0), (1, 0), (6, 0), (6, 40_000), (9, 12_345)])
def test_units_of_any_size_give_the_same(name: str, level: int, before: int) -> None:
    data = A + outer(name, level, before) + C
    source = Memory(data)
    whole = read_units(source)
    assert urls(whole) == ["http://a/", "http://outer/", "http://c/"]
    for unit in (997, 4_096, 30_011, 65_536):
        assert read_units(source, unit) == whole
    check_resume(source)


@pytest.mark.parametrize("name", ["one record", "in one block"])
def test_no_place_inside_is_a_start(name: str) -> None:
    for level in (0, 6):
        middle = outer(name, level)
        source = Memory(A + middle + C)
        starts = MemberStarts(Window(source))
        found = [offset for offset in range(source.size) if starts.is_record_start(offset)]
        assert found == [0, len(A), len(A + middle)]


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("level", [0, 6])
def test_damage_to_the_member_around_does_not_let_inner_records_out(name: str, level: int) -> None:
    middle = outer(name, level)
    chance = random.Random(7)
    places = {0, 1, 2, 3, 10, 11, 12, 14, len(middle) - 1, len(middle) - 8, len(middle) - 9}
    places |= {chance.randrange(len(middle)) for _ in range(30)}
    # All bytes of the headers of the outer member's stored blocks. Each header leads to the next.
    at = 10
    while middle[at] in (0, 1) and middle[at + 1] ^ middle[at + 3] == 0xFF:
        places |= set(range(at, at + 5))
        if middle[at]:
            break
        at += 5 + int.from_bytes(middle[at + 1 : at + 3], "little")
    for place in sorted(places):
        for bit in (1, 0x40):
            damaged = bytearray(A + middle + C)
            damaged[len(A) + place] ^= bit
            items = read_units(Memory(bytes(damaged)), chance.choice([1_000, 20_000, 70_000, 10**9]))
            found = urls(items)
            assert found[0] == "http://a/" and found[-1] == "http://c/", (place, bit)
            assert set(found[1:-1]) <= {"http://outer/"}, (place, bit)
            assert [damage.length for damage in damages(items)] in ([], [len(middle)])


@pytest.mark.parametrize("name", ["in one block", "over many blocks"])
def test_cut_inside_does_not_let_inner_records_out(name: str) -> None:
    middle = outer(name, 0)
    inner_ends = [i for i in range(len(middle)) if middle.startswith(b"\x1f\x8b\x08\x00", i)][1:]
    for cut in [*inner_ends, 100, len(middle) - 1]:
        items = read_units(Memory(A + middle[:cut]), 5_000)
        assert urls(items) == ["http://a/"], cut
        assert [(damage.kind, damage.length) for damage in damages(items)] == [("truncated", cut)]


def test_short_run_between_two_damages_is_found() -> None:
    broken = C[:300] + bytes(40) + C[340:]
    # A member before it ends in stored blocks, like the members of images.
    stored = gz(record(noise(9, 100_000), "http://image/"))
    data = A + stored + broken + A + C + broken + stored + A
    assert urls(read_units(Memory(data), 500)) == [
        "http://a/", "http://image/", "http://a/", "http://c/", "http://image/", "http://a/",
    ]  # fmt: skip


def test_archive_in_an_archive_in_an_archive() -> None:
    once = gz(record(ARCHIVES["over many blocks"], "http://inner/once"), 0)
    twice = gz(record(once + ARCHIVES["in one block"], "http://inner/twice"), 0)
    source = Memory(A + gz(record(twice, "http://outer/"), 0) + C)
    for unit in (1_000, 65_537, 10**9):
        assert urls(read_units(source, unit)) == ["http://a/", "http://outer/", "http://c/"]


@pytest.mark.slow
def test_every_boundary_position() -> None:
    middle = outer("in one block", 6, 20_000)
    source = Memory(A + middle + C)
    whole = records(read_units(source))
    starts = MemberStarts(Window(source))
    real = [0, len(A), len(A + middle), source.size]
    for offset in range(source.size):
        assert starts.next(offset) == min(start for start in real if start >= offset)
    assert len(whole) == 3
