"""Files with one record per gzip member. Damage costs the records that it hits and no others."""

from __future__ import annotations

import tracemalloc

import pytest

from corpus.errors import InputChanged, InputError
from corpus.warc.inflate import BOMB_BYTES
from corpus.warc.plan import Range, plan
from corpus.warc.reader import PlaceReader, RangeReader, read_warc
from tests.corpus.warc.made import Memory, check_resume, damages, gz, noise, page, read_units, record, records, urls
from tests.growth import assert_linear

A, B, C = (gz(record(page(i, 3_000), f"http://{name}/")) for i, name in enumerate("abc"))
ALL = ["http://a/", "http://b/", "http://c/"]


def test_intact() -> None:
    items = read_units(Memory(A + B + C), 1)
    assert urls(items) == ALL
    assert [item.offset for item in items] == [0, len(A), len(A + B)]
    assert items[1].id == f"made.warc.gz:{len(A)}"
    assert records(items)[1].block == page(1, 3_000)
    assert records(items)[1].block_size == len(page(1, 3_000))
    assert {item.note for item in records(items)} == {""}


def test_empty_file_is_an_archive_without_records() -> None:
    planned = plan(Memory(b""), 100)
    assert list(planned.ranges) == [Range(0, 0)]
    assert read_units(Memory(b"")) == []


@pytest.mark.parametrize(
    "data",
    [
        b"hello\n",
        b"\x1f\x8b",
        gz(b"some text"),
        b"\0" * 5000,
        b"PK\x03\x04" + bytes(50),
        b"\x04\x22\x4d\x18" + bytes(50),
    ],
)
def test_no_archive_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(InputError) as error:
        plan(Memory(data, "page.html"), 100)
    assert "page.html" in error.value.what
    assert error.value.todo


def test_bad_unit_size_is_refused() -> None:
    with pytest.raises(Exception, match="unit of 0 bytes"):
        plan(Memory(A), 0)


JUNK = {
    "zeros": bytes(5_000),
    "noise": noise(1, 5_000),
    "a false magic": b"\x1f\x8b\x08\x00" + noise(2, 500),
    "text": b"WARC/1.0 is not a header here\r\n" * 20,
    "a gzip member of something else": gz(b"no record"),
    "a gzip member of something else, and noise": gz(b"no record") + noise(3, 70),
}


@pytest.mark.parametrize("name", JUNK)
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_junk_between_members_is_damage_of_its_own(name: str, place: str) -> None:
    junk = JUNK[name]
    data = {"start": junk + A + B + C, "middle": A + junk + B + C, "end": A + B + C + junk}[place]
    items = read_units(Memory(data))
    assert urls(items) == ALL
    assert sum(damage.length for damage in damages(items)) == len(junk)
    assert {damage.kind for damage in damages(items)} <= {"header", "gzip", "truncated"}
    for unit in (1, 50, len(A)):
        assert read_units(Memory(data), unit) == items
    check_resume(Memory(data))


def test_empty_members_count_as_nothing() -> None:
    empty = gz(b"")
    data = empty + A + empty + empty + B + gz(b"\r\n") + C + empty
    for unit in (1, 10, 100, 10_000):
        assert urls(read_units(Memory(data), unit)) == ALL
        assert damages(read_units(Memory(data), unit)) == []
    check_resume(Memory(data))


def test_broken_member_costs_that_member() -> None:
    broken = B[:200] + bytes(20) + B[220:]
    (damage,) = damages(items := read_units(Memory(A + broken + C)))
    assert urls(items) == ["http://a/", "http://c/"]
    assert (damage.offset, damage.length, damage.kind) == (len(A), len(B), "gzip")
    assert damage.url == "http://b/", "the header before the bad byte must still be known"


def test_wrong_checksum_costs_that_member_even_if_the_next_is_damaged_too() -> None:
    wrong = B[:-8] + bytes(4) + B[-4:]
    items = read_units(Memory(A + wrong + wrong + C))
    assert urls(items) == ["http://a/", "http://c/"]
    assert sum(damage.length for damage in damages(items)) == 2 * len(B)
    assert {damage.url for damage in damages(items)} == {"http://b/"}


@pytest.mark.parametrize("cut", [1, 5, 100, 500])
def test_truncated_last_member_keeps_its_headers(cut: int) -> None:
    items = read_units(Memory(A + B + C[:-cut]))
    (damage,) = damages(items)
    assert urls(items) == ALL[:2]
    assert (damage.kind, damage.offset, damage.length) == ("truncated", len(A + B), len(C) - cut)
    assert damage.url == "http://c/"


@pytest.mark.parametrize("length", [0, 1, 2_999, 3_001, 10**12, "-7", "many", "", "9" * 400])
def test_wrong_length_ends_at_the_members_end(length: object) -> None:
    body = page(7, 3_000)
    data = A + gz(record(body, "http://wrong/", length=length)) + C
    items = records(read_units(Memory(data)))
    assert urls(items) == ["http://a/", "http://wrong/", "http://c/"]
    assert items[1].block == body
    assert items[1].block_size == len(body)
    assert [item.note for item in items] == ["", "length_mismatch", ""]


def test_extra_line_breaks_are_no_loss() -> None:
    for closing, note in [(b"\r\n\r\n", ""), (b"\r\n" * 3, "length_mismatch"), (b"", "length_mismatch")]:
        (item, _) = records(read_units(Memory(gz(record(b"abc", closing=closing)) + A)))
        assert (item.block, item.note) == (b"abc", note)


def test_several_records_in_a_member_are_numbered() -> None:
    both = record(b"one", "http://1/") + record(b"two", "http://2/") + record(b"three", "http://3/")
    source = Memory(gz(both) + gz(both) + A)
    items = read_units(source)
    size = len(gz(both))
    assert [(item.offset, item.inner) for item in records(items)] == [
        (0, 0), (0, 1), (0, 2), (size, 0), (size, 1), (size, 2), (2 * size, 0),
    ]  # fmt: skip
    assert items[1].id == "made.warc.gz:0+1"
    check_resume(source)
    planned = plan(source, 10)
    for item in records(items):
        assert list(PlaceReader(source, planned, [(item.offset, item.inner)])) == [item]
    assert list(PlaceReader(source, planned, [(0, 1), (size, 2)])) == [items[1], items[5]]
    assert list(PlaceReader(source, planned, [])) == []
    with pytest.raises(InputChanged, match="no record at 0"):
        list(PlaceReader(source, planned, [(0, 3)]))


def test_large_members_are_cut_at_the_limit_and_measured() -> None:
    body = b"x" * 3_000_000
    data = gz(record(body, "http://large/")) + gz(record(body, "http://2/") + record(b"small", "http://3/"))
    items = records(list(read_warc(Memory(data), max_block=1_000)))
    assert [(len(item.block), item.block_size) for item in items] == [(1_000, 3_000_000), (1_000, 3_000_000), (5, 5)]
    assert {item.note for item in items} == {""}


def test_bomb_costs_bounded_memory() -> None:
    data = A + gz(record(bytes(100_000_000), "http://bomb/")) + C
    tracemalloc.start()
    items = records(list(read_warc(Memory(data), max_block=1 << 20)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert urls(items) == ["http://a/", "http://bomb/", "http://c/"]
    assert (len(items[1].block), items[1].block_size) == (1 << 20, 100_000_000)
    assert peak < 20 << 20


@pytest.mark.slow
def test_bomb_of_any_size_costs_bounded_time() -> None:
    data = A + gz(record(bytes(BOMB_BYTES + (64 << 20)), "http://bomb/")) + C
    items = read_units(Memory(data))
    assert urls(items) == ["http://a/", "http://c/"]
    assert [(damage.kind, damage.detail, damage.url) for damage in damages(items)] == [("gzip", "bomb", "http://bomb/")]


def test_gzip_headers_with_optional_fields() -> None:
    raw = B[10:]
    fields = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\x05\x00extra" + b"name.warc\0" + b"a comment\0" + b"\x12\x34"
    source = Memory(A + fields + raw + C)
    for unit in (1, 10, 10_000):
        assert urls(read_units(source, unit)) == ALL


def test_reading_ahead_is_not_needed_to_announce() -> None:
    source = Memory(A + B + C)
    planned = plan(source, 1 << 20)
    reader = RangeReader(source, planned, Range(0, source.size))
    assert (reader.offset, reader.inner) == (0, 0)
    next(reader)
    assert (reader.offset, reader.inner) == (len(A), 0)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x1f\x8b\x08\x00",
        b"\x1f\x8b\x08\x1c",
        b"\x1f\x8b\x08\x00" + bytes(6) + b"\x00\xff\xff\x00\x00WARC/1.0\r\nWARC-Type: a\r\n\r\n",
    ],
    ids=["magic", "names", "overlapping"],
)
def test_magic_everywhere_takes_linear_time(junk: bytes) -> None:
    def made(size: int) -> Memory:
        return Memory(A + junk * (size // len(junk)) + C)

    size = 1 << 20
    planned = assert_linear(made, lambda source: plan(source, source.size // 10), size)
    assert planned.ranges[-1].end == made(size).size
    assert urls(assert_linear(made, read_units, size)) == ["http://a/", "http://c/"]


def test_large_stored_archive_takes_linear_time() -> None:
    def made(count: int) -> Memory:
        inner = b"".join(gz(record(noise(i, 1_500), "http://inner/")) for i in range(count))
        return Memory(A + gz(record(inner, "http://outer/"), 0) + C)

    found = assert_linear(made, lambda source: read_units(source, 1 << 18), 4_000)
    assert urls(found) == ["http://a/", "http://outer/", "http://c/"]


def test_planning_reads_little_of_a_large_file() -> None:
    members = b"".join(gz(record(noise(i, 50_000), f"http://{i}/")) for i in range(400))
    source = Memory(members)
    planned = plan(source, 8 << 20)
    assert len(planned.ranges) == 3
    assert source.bytes_read < 5 << 20
