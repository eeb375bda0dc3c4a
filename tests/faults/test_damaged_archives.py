"""Archives and files of documents with any damage: no hang, no invented record, no loss outside the damage, every loss
in the ledger."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable
from functools import cache

import pytest
import zstandard

from corpus.run import open_run
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.runner.progress import Progress
from tests.corpus.warc.made import Item, Memory, damages, gz, noise, page, read_units, record, records, urls
from tests.documents import KINDS as KINDS_OF_DOCUMENTS
from tests.engines import InProcess
from tests.faults.archives import MOST_SECONDS, Tally, Whole, cut_from, documents_of, made
from tests.growth import assert_linear
from tests.stubs import FACTORY, recipe_from_dict

Change = Callable[[bytes, int], tuple[bytes, int]]


def cut(data: bytes, place: int) -> tuple[bytes, int]:
    return data[:place], len(data)


def flip(bits: int) -> Change:
    return lambda data, place: (data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :], place + 1)


def drop(data: bytes, place: int) -> tuple[bytes, int]:
    """One byte is missing. Everything after it has moved and is unchanged."""
    return data[:place] + data[place + 1 :], place + 1


def zero(data: bytes, place: int) -> tuple[bytes, int]:
    """A sector of zeros, as a failing disk leaves it."""
    return data[:place] + bytes(len(data[place : place + 512])) + data[place + 512 :], place + 512


CHANGES: dict[str, Change] = {"cut": cut, "bit 0": flip(1), "bit 7": flip(128), "all bits": flip(255), "zeros": zero}


def every(whole: Whole, change: Change, tally: Tally, sample: int | None = None) -> None:
    data = whole.data
    places = range(1 if change is cut else 0, len(data))
    for place in places if sample is None else sorted(random.Random(8).sample(places, min(sample, len(places)))):
        changed, end = change(data, place)
        if changed != data:
            tally.check(whole, changed, place, end)


def judge(tally: Tally) -> None:
    assert tally.invented == 0
    assert tally.lost == 0
    assert tally.silent == 0


@pytest.mark.parametrize("level", [0, 6])
def test_sampled_damage_to_a_made_archive(level: int) -> None:
    tally = Tally()
    for change in CHANGES.values():
        every(made(level), change, tally, sample=150)
    assert tally.tried > 600
    judge(tally)


def test_sampled_damage_to_a_real_archive(shared_data) -> None:
    tally = Tally()
    whole = cut_from(shared_data / "warc" / "mixed-00001.warc.gz")
    assert [item.kind for item in whole.items].count("response") == 2
    for change in CHANGES.values():
        every(whole, change, tally, sample=60)
    judge(tally)


@pytest.mark.parametrize("kind", KINDS_OF_DOCUMENTS)
def test_sampled_damage_to_documents(kind: str) -> None:
    tally = Tally()
    for change in CHANGES.values():
        every(documents_of(kind), change, tally, sample=60)
    assert tally.tried > 200
    judge(tally)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS_OF_DOCUMENTS)
def test_every_byte_of_documents(record_result, kind: str) -> None:
    """Of parquet only some bytes, because each try takes a hundredth of a second."""
    sample = 1_000 if kind == "parquet" else None
    for name, change in CHANGES.items():
        tally = Tally()
        every(documents_of(kind), change, tally, sample)
        judge(tally)
        assert tally.slowest < MOST_SECONDS
        record_result(
            f"documents, {kind}, {'some bytes' if sample else 'every byte'}: {name}",
            tried=tally.tried,
            measured=f"slowest {tally.slowest:.2f} s",
            limit=f"{MOST_SECONDS:.0f} s",
        )


@pytest.mark.slow
def test_every_byte_of_a_made_archive(record_result) -> None:
    for name, change in CHANGES.items():
        tally = Tally()
        for level in (0, 6):
            every(made(level), change, tally)
        judge(tally)
        assert tally.slowest < MOST_SECONDS
        record_result(
            f"archive, made, every byte: {name}",
            tried=tally.tried,
            measured=f"slowest {tally.slowest:.2f} s",
            limit=f"{MOST_SECONDS:.0f} s",
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["warc/mixed-00001.warc.gz", "warc/english-00000.warc.gz"])
def test_every_byte_of_a_real_archive(shared_data, record_result, name: str) -> None:
    whole = cut_from(shared_data / name)
    for kind, change in CHANGES.items():
        tally = Tally()
        every(whole, change, tally)
        judge(tally)
        assert tally.slowest < MOST_SECONDS
        record_result(
            f"archive, cut from {whole.name}, every byte: {kind}",
            tried=tally.tried,
            measured=f"slowest {tally.slowest:.2f} s",
            limit=f"{MOST_SECONDS:.0f} s",
        )


@pytest.mark.slow
def test_sampled_damage_to_a_large_archive(shared_data, record_result) -> None:
    """24 MB, 1,951 records. All records before and after each damage must be found."""
    data = (shared_data / "warc" / "mixed-00001.warc.gz").read_bytes()
    originals = [(item.offset, item.id, hash(item.block)) for item in records(read_units(Memory(data)))]
    starts = [offset for offset, *_ in originals]
    chance = random.Random(4)
    slowest, tried = 0.0, 0
    for name, change in [*CHANGES.items(), ("lost byte", drop)] * 5:
        place = chance.randrange(len(data))
        changed, end = change(data, place)
        started = time.process_time()
        items = read_units(Memory(changed))
        taken = time.process_time() - started
        slowest, tried = max(slowest, taken), tried + 1
        shift = len(data) - len(changed) if change is drop else 0
        found = {(item.offset, hash(item.block)) for item in records(items)}
        for start, after, (_, _, block) in zip(starts, [*starts[1:], len(data)], originals, strict=True):
            moved = start - shift if start >= end else start
            if not (place < after and end > start):
                assert (moved, block) in found, (name, place, start)
        assert len(found) <= len(originals)
        assert len(damages(items)) == (1 if changed != data else 0) or (change is cut and place in starts)
    # most of this time is spent reading the undamaged rest
    record_result("archive of 24 MB, random place", tried=tried, measured=f"slowest {slowest:.1f} s with reading it")


INNER = b"".join(gz(record(noise(i, 1_200), f"http://inner/{i}")) for i in range(60))
A, B, C = (gz(record(page(i, 2_000), f"http://{name}/")) for i, name in enumerate("abc"))


@pytest.mark.parametrize("level", [0, 6])
def test_a_stored_archive_inside_a_page_stays_inside(level: int) -> None:
    """The members of the stored archive are no records, wherever the page around it is damaged and whatever unit a
    reader begins with."""
    outer = gz(record(b"HTTP/1.1 200 OK\r\n\r\n" + INNER, "http://outer/"), level)
    chance = random.Random(2)
    for place in [0, 1, 2, 3, 10, 11, 13, len(outer) - 1, *(chance.randrange(len(outer)) for _ in range(40))]:
        damaged = bytearray(A + outer + C)
        damaged[len(A) + place] ^= 0x11
        for unit in (10**9, 20_000):
            items = read_units(Memory(bytes(damaged)), unit)
            assert set(urls(items)) - {"http://outer/"} == {"http://a/", "http://c/"}, place


def test_a_stored_plain_archive_in_a_damaged_first_member_stays_inside() -> None:
    """The file no longer begins with gzip's magic number, and uncompressed records can be read in it."""
    inner = b"".join(record(b"secret %d" % i, f"http://inner/{i}") for i in range(500))
    outer = gz(record(b"HTTP/1.1 200 OK\r\n\r\n" + inner, "http://outer/"), 0)
    for place in (0, 1, 2):
        data = bytearray(outer + A + C)
        data[place] ^= 0x40
        items = read_units(Memory(bytes(data)))
        assert urls(items) == ["http://a/", "http://c/"]
        assert [(one.offset, one.length) for one in damages(items)] == [(0, len(outer))]


def test_members_that_overlap() -> None:
    """The end of a member is missing, so that the next begins inside it. Or a part of a member is there twice."""
    for keep in (30, len(B) // 2, len(B) - 1):
        items = read_units(Memory(A + B[:keep] + C))
        assert urls(items) == ["http://a/", "http://c/"]
        assert [(one.offset, one.length) for one in damages(items)] == [(len(A), keep)]
        items = read_units(Memory(A + B[:keep] + B + C))
        assert urls(items) == ["http://a/", "http://b/", "http://c/"]
        assert [(one.offset, one.length) for one in damages(items)] == [(len(A), keep)]


def test_a_damaged_member_that_swallows_others() -> None:
    """A damaged length can make a member end exactly where a later member ends. A real archive of tiny members, with
    512 zeros in it, lost its last record in this way."""
    for swallowed, rest in (([B], [C]), ([B, C], []), ([B, C], [A])):
        greedy = bytearray(gz(record(b"x" * 900, "http://greedy/"), 0))
        length = len(greedy) + len(b"".join(swallowed)) - 8 - 15
        greedy[11:15] = length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")
        items = read_units(Memory(A + bytes(greedy) + b"".join(swallowed + rest)))
        names = {A: "http://a/", B: "http://b/", C: "http://c/"}
        assert urls(items) == ["http://a/", *(names[member] for member in swallowed + rest)]
        assert [(one.offset, one.length) for one in damages(items)] == [(len(A), len(greedy))]


def test_archives_one_behind_the_other() -> None:
    """`cat a.warc.gz b.warc.gz`, also with a cut first archive, and with line breaks or zeros between them."""
    for between in (b"", b"\r\n", bytes(512), gz(b"")):
        data = A + B + between + A + C
        assert urls(read_units(Memory(data))) == ["http://a/", "http://b/", "http://a/", "http://c/"]
        cut_first = A + B[:-5] + between + A + C
        assert urls(read_units(Memory(cut_first))) == ["http://a/", "http://a/", "http://c/"]


def test_the_ledger_has_every_loss_by_range(tmp_path) -> None:
    """A build: rows and damaged stretches tile the archive and name every lost record."""
    whole = made()
    data = bytearray(whole.data)
    for member in (1, 3):  # a byte in the middle of a request's and an image's member
        data[(whole.ends[member - 1] + whole.ends[member]) // 2] ^= 0xFF
    del data[-20:]
    path = tmp_path / "harmed.warc.gz"
    path.write_bytes(data)
    recipe = recipe_from_dict({"stages": [{"stage": "paragraphs"}]})
    made_job = Job(recipe, [str(path)], tmp_path / "out", factory=FACTORY)
    assert build(made_job, lambda: InProcess(), Progress(quiet=True)).exit_code == 0
    run = open_run(tmp_path / "out")
    run.verify()
    rows = run.ledger(columns=["url", "offset", "length", "outcome", "rule", "detail"]).to_pylist()
    starts = [0, *whole.ends]
    assert [(row["offset"], row["length"]) for row in rows if row["rule"] == "damaged"] == [
        (starts[1], len(whole.members[1])),
        (starts[3], len(whole.members[3])),
        (starts[5], len(whole.members[5]) - 20),
    ]
    assert [row["url"] for row in rows if row["outcome"] == "kept"] == [
        "http://a.example/a",
        "http://a.example/stored.warc.gz",
    ]
    assert [row["detail"].partition(":")[0] for row in rows if row["rule"] == "damaged"] == [
        "gzip",
        "gzip",
        "truncated",
    ]


def hostile(kind: str, size: int) -> bytes:
    """A page of `size` bytes that makes a search for the next record take long."""
    opening = b"\x1f\x8b\x08\x00" + bytes(6)
    header = b"WARC/1.0\nWARC-Type:a\n\n"
    stored = len(opening) + 5 + len(header)
    chunk = min(60_000, size // 4) // stored
    if kind == "magic":
        return opening[:3] * (size // 3)
    if kind == "names":
        return b"\x1f\x8b\x08\x1c" * (size // 4)
    if kind == "headers":
        return b"WARC/1.0\n" * (size // 9)
    if kind == "arc lines":
        return (b"a:" + b" 123456789012 " * 1_100 + b"\n") * (size // 15_400)
    if kind == "runs":  # complete members, too few in a row for a proof, between bytes that read as stored blocks
        return (gz(record(b"x", "http://inner/")) + b"\x00\x00\xff\xff" * 64) * (size // 400)
    # False members begin every 37 bytes, and all lead to one end: the next 1,600, or a bomb.
    end = deflated_bomb() if kind == "bombs" else b""
    parts: list[bytes] = []
    length = 0
    while length < size:
        for i in range(chunk):
            left = (chunk - i) * stored - 15
            parts.append(opening + b"\0" + left.to_bytes(2, "little") + (left ^ 0xFFFF).to_bytes(2, "little") + header)
        left = chunk * stored
        parts.append(end or b"\0" + left.to_bytes(2, "little") + (left ^ 0xFFFF).to_bytes(2, "little"))
        length += chunk * stored + len(parts[-1])
    return b"".join(parts)


@cache
def deflated_bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(64 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)


def false_frames(size: int) -> bytes:
    """zstd frames that begin every 9 bytes and lead to one long row of blocks. Each block of 4 bytes gives 128 KiB."""
    block = (1 << 1 | 131_072 << 3).to_bytes(3, "little") + b"a"
    parts = []
    for _ in range(size // 8 // 18_000 + 1):
        parts += [b"\x28\xb5\x2f\xfd\x00\x58" + ((2_000 - i) * 9 - 9 << 3).to_bytes(3, "little") for i in range(2_000)]
        parts.append(block * 8)
    return b"".join(parts) + block * (size * 7 // 8 // 4)


KINDS = ("magic", "names", "headers", "arc lines", "runs", "overlapping", "bombs")
PLACES = [("magic", False), ("inside", False), ("checksum", False), ("magic", True)]
"""Where the member is harmed, and whether it is the first of its archive."""
ROOM = gz(record(noise(1, 70_000), "http://room/"))
"""The member after the page. It is long enough to be a proven start, whatever the page holds."""


def harmed_outer(kind: str, size: int, where: str) -> tuple[bytes, int]:
    """A damaged member with a hostile page, and its length."""
    outer = bytearray(gz(record(b"HTTP/1.1 200 OK\r\n\r\n" + hostile(kind, size), "http://outer/"), 0))
    outer[{"magic": 1, "inside": 300, "checksum": len(outer) - 6}[where]] ^= 0x55
    return bytes(outer), len(outer)


def hostile_archive(kind: str, size: int, where: str, first: bool) -> Memory:
    outer, _ = harmed_outer(kind, size, where)
    return Memory((b"" if first else A) + outer + ROOM + C)


def check_hostile(items: list[Item], kind: str, size: int, where: str, first: bool) -> None:
    """Check that all of the harmed member is damage, and nothing else is."""
    start, length = 0 if first else len(A), harmed_outer(kind, size, where)[1]
    assert urls(items) == [*([] if first else ["http://a/"]), "http://room/", "http://c/"], (kind, where, first)
    assert [(one.offset, one.length) for one in damages(items)] == [(start, length)], (kind, where, first)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bombs"])
@pytest.mark.parametrize(("where", "first"), PLACES)
def test_a_hostile_damaged_page_takes_linear_time(kind: str, where: str, first: bool) -> None:
    size = 1 << (20 if kind == "runs" else 18)  # fewer runs do not end the search
    items = assert_linear(lambda size: hostile_archive(kind, size, where, first), read_units, size)
    check_hostile(items, kind, size, where, first)


@pytest.mark.parametrize(("where", "first"), PLACES)
def test_a_bomb_is_not_unpacked_for_every_false_member(where: str, first: bool) -> None:
    """Of 4,800 false members, each would give 64 MiB, which together takes more than ten minutes."""
    size = 1 << 18
    check_hostile(read_units(hostile_archive("bombs", size, where, first)), "bombs", size, where, first)


def test_a_row_of_blocks_is_not_unpacked_for_every_false_frame() -> None:
    """Of 4,000 false frames, each would give 7 GB."""
    frame = zstandard.ZstdCompressor(write_checksum=True).compress
    harmed = b"\x28\xb5\x2f\xfc" + false_frames(1 << 18)
    data = frame(record(b"q", "http://a/")) + harmed + frame(record(b"q", "http://c/"))
    assert urls(read_units(Memory(data))) == ["http://a/", "http://c/"]


@pytest.mark.slow
def test_hostile_damaged_pages_of_any_size(record_result) -> None:
    """Pages of 5 MiB, where Common Crawl cuts pages, and of 20 MiB stay within the time limit."""
    for size in (5 << 20, 20 << 20):
        times = []
        for kind in KINDS:
            for where, first in PLACES:
                source = hostile_archive(kind, size, where, first)
                started = time.process_time()
                items = read_units(source)
                times.append(time.process_time() - started)
                check_hostile(items, kind, size, where, first)
        assert max(times) < MOST_SECONDS
        record_result(
            f"hostile page of {size >> 20} MiB, damaged: search for the next record",
            tried=len(times),
            measured=f"slowest {max(times):.1f} s",
            limit=f"{MOST_SECONDS:.0f} s",
        )
