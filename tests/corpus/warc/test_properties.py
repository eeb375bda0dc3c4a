"""Units of any size and any interruption give the same items, for any archive with any damage."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import InputError
from tests.corpus.warc.made import Memory, check_resume, gz, noise, page, read_units, record

sizes = st.integers(0, 30_000)
seeds = st.integers(0, 1_000)
levels = st.sampled_from([0, 1, 6])
text_record = st.builds(lambda seed, size: record(page(seed, size), f"http://text/{seed}"), seeds, sizes)
noise_record = st.builds(lambda seed, size: record(noise(seed, size), f"http://noise/{seed}"), seeds, sizes)
wrong_record = st.builds(lambda length: record(b"some body", "http://wrong/", length=length), st.integers(-1, 10**6))
plain_record = text_record | noise_record | wrong_record


@st.composite
def member(draw: st.DrawFn) -> bytes:
    return gz(b"".join(draw(st.lists(plain_record, max_size=3))), draw(levels))


@st.composite
def archive_page(draw: st.DrawFn) -> bytes:
    inner = b"".join(draw(st.lists(member(), min_size=1, max_size=6)))
    return gz(record(page(1, draw(sizes)) + inner * draw(st.integers(1, 5)), "http://outer/"), draw(levels))


junk = st.binary(max_size=200) | st.integers(1, 3_000).map(bytes)
layout = st.lists(member() | member() | archive_page() | junk, min_size=1, max_size=8).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(gz(record(b"first", "http://first/")) + draw(layout))
    for place in draw(st.lists(st.integers(0, 10**6), max_size=3)):
        data[place % len(data)] ^= draw(st.integers(1, 255))
    if draw(st.booleans()):
        del data[len(data) - draw(st.integers(0, 10**6)) % len(data) :]
    return bytes(data)


@settings(max_examples=60, database=None)
@given(damaged(), st.lists(st.integers(100, 200_000), min_size=1, max_size=3))
def test_items_do_not_depend_on_units_or_interruptions(data: bytes, units: list[int]) -> None:
    source = Memory(data)
    try:
        whole = read_units(source)
    except InputError:
        return
    for unit in units:
        assert read_units(source, unit) == whole
    check_resume(source, sample=6)


@settings(max_examples=40, database=None)
@given(st.lists(plain_record, min_size=1, max_size=6), st.integers(200, 40_000), st.booleans())
def test_streams_do_not_depend_on_interruptions(parts: list[bytes], size: int, plain: bool) -> None:
    raw = b"".join([record(b"first", "http://first/"), *parts])
    source = Memory(raw if plain else b"".join(gz(raw[i : i + size]) for i in range(0, len(raw), size)))
    assert read_units(source, 1_000) == read_units(source)
    check_resume(source, sample=6)
