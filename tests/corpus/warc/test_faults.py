"""A small archive, cut at every byte and with every byte changed. No other record is lost, no record is invented."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
import zstandard

from corpus.errors import InputError
from corpus.warc.record import Damage, Record
from tests.corpus.warc.made import Memory, arc, gz, noise, page, read_units, record, records

PARTS = [
    record(b"software: test\r\n", "", "warcinfo"),
    record(b"GET / HTTP/1.1\r\n\r\n", "http://0/", "request"),
    record(page(1, 400), "http://1/"),
    record(noise(2, 300), "http://2/"),
    record(gz(record(page(3, 100), "http://inner/")), "http://3/"),
    record(page(4, 200), "http://4/"),
]
ARC_PARTS = [arc(page(i, 200), f"http://{i}/") for i in range(5)]


def zst(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


LAYOUTS: dict[str, list[bytes]] = {
    "members": [gz(part) for part in PARTS],
    "stored members": [gz(part, 0) for part in PARTS],
    "plain": PARTS,
    "arc": ARC_PARTS,
    "arc members": [gz(part) for part in ARC_PARTS],
    "zstd frames": [zst(part) for part in PARTS],
    "one gzip member": [gz(b"".join(PARTS))],
    "one zstd frame": [zst(b"".join(PARTS))],
}
SINGLE = ("one gzip member", "one zstd frame")


def same(a: Record, b: Record) -> bool:
    return (a.url, a.kind, a.block) == (b.url, b.kind, b.block)


def check(layout: str, data: bytes, first: int, end: int, units: int) -> None:
    """Check a file whose bytes from `first` to `end` were changed."""
    parts = LAYOUTS[layout]
    whole = records(read_units(Memory(b"".join(parts))))
    try:
        items = read_units(Memory(data))
    except InputError:
        assert first < len(parts[0]) or layout in SINGLE, "only a file without a readable beginning is no archive"
        return
    if layout not in SINGLE:
        at = 0
        for part, original in zip(parts, whole, strict=True):
            touched = first < at + len(part) and end > at
            assert touched or any(same(original, found) for found in records(items)), (first, end, original.url)
            at += len(part)
    changed = [item for item in records(items) if not any(same(item, original) for original in whole)]
    signs = [item for item in items if isinstance(item, Damage) or item.note]
    if layout in SINGLE:  # later bytes refer back to a wrong byte and repeat it
        assert signs or not changed, (first, end)
    else:  # a record with a damaged header in a stream may be readable with other content
        assert len(changed) <= (0 if "members" in layout else 1), (first, end)
    ends = list(itertools.accumulate(map(len, parts)))
    # An ARC record at the end is complete without its closing line break.
    cut_between = end == ends[-1] and (first in ends or (layout == "arc" and first + 1 in ends))
    if len(records(items)) < len(whole) and not cut_between:
        assert signs or changed, (first, end)
    if units:
        for unit in (1, 211):
            assert read_units(Memory(data), unit) == items, (first, end, unit)


def every(layout: str, sample: int | None, change: Callable[[bytes, int], tuple[bytes, int]]) -> None:
    data = b"".join(LAYOUTS[layout])
    places: list[int] = list(range(1, len(data)))
    if sample is not None:
        places = sorted(random.Random(5).sample(places, sample))
    for place in places:
        changed, end = change(data, place)
        check(layout, changed, place, end, units=place % 8 == 0 and "members" in layout)


def cut(data: bytes, place: int) -> tuple[bytes, int]:
    return data[:place], len(data)


def flip(bit: int) -> Callable[[bytes, int], tuple[bytes, int]]:
    return lambda data, place: (data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :], place + 1)


def wipe(data: bytes, place: int) -> tuple[bytes, int]:
    return data[:place] + bytes(len(data[place : place + 40])) + data[place + 40 :], place + 40


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sample_of_faults(layout: str) -> None:
    every(layout, 60, cut)
    every(layout, 60, flip(0x10))
    every(layout, 60, wipe)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_fault(layout: str) -> None:
    every(layout, None, cut)
    every(layout, None, wipe)
    for bit in (0x01, 0x20, 0x80):
        every(layout, None, flip(bit))
