"""Files that are read as one stream: plain, ARC, one gzip member around all records, members that are pieces, zstd."""

from __future__ import annotations

import pytest
import zstandard

from corpus.errors import InputChanged, InputError
from corpus.warc.plan import Range, plan
from corpus.warc.reader import PlaceReader, RangeReader, read_warc
from corpus.warc.source import LocalSource
from tests.corpus.warc.made import (
    Memory,
    arc,
    check_resume,
    damages,
    gz,
    noise,
    page,
    read_units,
    record,
    records,
    urls,
)
from tests.growth import assert_linear

RECORDS = [record(page(i, 4_000), f"http://{i}/") for i in range(6)]
RAW = b"".join(RECORDS)
URLS = [f"http://{i}/" for i in range(6)]
OFFSETS = [sum(map(len, RECORDS[:i])) for i in range(6)]


def zst(content: bytes, **options: object) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True, **options).compress(content)


def pieces(content: bytes, size: int) -> bytes:
    return b"".join(gz(content[i : i + size]) for i in range(0, len(content), size))


SKIPPABLE = b"\x50\x2a\x4d\x18\x05\0\0\0abcde"
CONTAINERS = {
    "plain": RAW,
    "one gzip member": gz(RAW),
    "gzip pieces": pieces(RAW, 3_000),
    "gzip pieces with empty ones": gz(b"") + pieces(RAW, 5_000) + gz(b""),
    "one zstd frame": zst(RAW),
    "zstd frames": b"".join(map(zst, RECORDS)),
    "zstd with skippable frames": SKIPPABLE + b"".join(zst(part) + SKIPPABLE for part in RECORDS),
    "zstd pieces": b"".join(zst(RAW[i : i + 3_000]) for i in range(0, len(RAW), 3_000)),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_records(name: str) -> None:
    source = Memory(CONTAINERS[name])
    items = read_units(source)
    assert urls(items) == URLS
    assert [item.offset for item in items] == OFFSETS
    assert [item.note for item in records(items)] == [""] * 6
    assert read_units(source, 1_000) == items
    check_resume(source)
    planned = plan(source, 1_000)
    assert planned.layout == "stream"
    assert len(planned.ranges) == 1
    assert list(PlaceReader(source, planned, [(OFFSETS[1], 0), (OFFSETS[3], 0)])) == [items[1], items[3]]
    with pytest.raises(InputChanged):
        list(PlaceReader(source, planned, [(OFFSETS[3] + 1, 0)]))


def test_zstd_dictionary_in_the_first_frame() -> None:
    samples = [record(page(i, 600), f"http://{i}/") for i in range(200)]
    dictionary = zstandard.train_dictionary(8_000, samples)
    packed = b"".join(zst(part, dict_data=dictionary) for part in RECORDS)
    for stored in (dictionary.as_bytes(), zst(dictionary.as_bytes())):
        data = b"\x5d\x2a\x4d\x18" + len(stored).to_bytes(4, "little") + stored + packed
        assert urls(read_units(Memory(data))) == URLS


@pytest.mark.parametrize("name", CONTAINERS)
def test_cut_files_keep_all_before_the_cut(name: str) -> None:
    data = CONTAINERS[name]
    for cut in range(len(data) - 1, len(data) // 2, -max(1, len(data) // 40)):
        try:
            items = read_units(Memory(data[:cut]))
        except InputError:
            assert name == "one zstd frame", "its one block can only be read whole"
            continue
        found = urls(items)
        assert found == URLS[: len(found)]
        assert records(items) == records(read_units(Memory(data)))[: len(found)] or records(items)[-1].note
        if name == "plain":
            whole = sum(end <= cut for end in [*OFFSETS[1:], len(RAW)])
            assert len(found) in (whole, whole + 1)


def test_broken_gzip_member_keeps_all_before_the_bad_byte() -> None:
    records_of = [record(noise(i, 3_000), f"http://{i}/") for i in range(6)]
    data = bytearray(gz(b"".join(records_of), 0))
    data[10_000:10_004] = b"\xff" * 4  # in a stored block, only the checksum shows the change
    items = read_units(Memory(bytes(data)))
    assert urls(items) == URLS
    assert [item.note for item in records(items)] == ["", "", "", "", "", "checksum"]
    assert sum(item.block != noise(i, 3_000) for i, item in enumerate(records(items))) == 1
    text = gz(RAW)
    items = read_units(Memory(text[: len(text) // 2] + noise(1, 3_000)))
    assert urls(items) == URLS[: len(urls(items))] != []
    assert [damage.kind for damage in damages(items)] == ["gzip"]
    assert damages(items)[0].url == URLS[len(urls(items))]


@pytest.mark.parametrize("name", ["gzip pieces", "zstd frames", "zstd pieces"])
def test_reading_goes_on_behind_a_broken_piece(name: str) -> None:
    data = bytearray(CONTAINERS[name])
    data[len(data) // 3] ^= 0x55
    source = Memory(bytes(data))
    items = read_units(source)
    assert len(damages(items)) <= 1
    assert len(records(items)) >= 4
    assert records(items)[-1] in read_units(Memory(CONTAINERS[name])) or damages(items)
    assert records(items)[-1].url == "http://5/"
    check_resume(source)


@pytest.mark.parametrize("length", [0, 1, 3_999, 4_001, 4_100, 9_000, 10**6, 10**12, "-7", "many", "", "9" * 400])
def test_wrong_length_loses_no_other_record(length: object) -> None:
    body = page(9, 4_000)
    data = RECORDS[0] + record(body, "http://wrong/", length=length) + b"".join(RECORDS[1:])
    for packed in (data, gz(data), zst(data)):
        source = Memory(packed)
        items = records(read_units(source))
        assert urls(items) == ["http://0/", "http://wrong/", *URLS[1:]]
        assert items[1].block == body or length == 4_001, "this length leads to a header"
        assert [bool(item.note) for item in items] == [False, True, *[False] * 5]
        check_resume(source)


def test_length_beyond_the_block_limit() -> None:
    body = page(9, 4_000)
    data = RECORDS[0] + record(body, "http://wrong/", length=10**12) + b"".join(RECORDS[1:])
    large = RECORDS[0] + record(page(8, 400_000), "http://large/") + b"".join(RECORDS[1:])
    for pack in (bytes, gz, zst):
        items = records(list(read_warc(Memory(pack(data)), max_block=10_000)))
        assert urls(items) == ["http://0/", "http://wrong/", *URLS[1:]]
        items = records(list(read_warc(Memory(pack(large)), max_block=10_000)))
        assert urls(items) == ["http://0/", "http://large/", *URLS[1:]]
        assert (len(items[1].block), items[1].block_size) == (10_000, len(page(8, 400_000)))


def test_last_record_of_a_plain_file_is_truncated_if_its_length_says_so() -> None:
    (damage,) = damages(items := read_units(Memory(RAW[:-100])))
    assert urls(items) == URLS[:5]
    assert (damage.kind, damage.offset, damage.length) == ("truncated", OFFSETS[5], len(RECORDS[5]) - 100)
    assert damage.url == "http://5/"


def test_line_breaks_of_all_sorts() -> None:
    lf = [record(page(i, 500), f"http://{i}/", eol=b"\n") for i in range(6)]
    assert [item.note for item in records(read_units(Memory(b"".join(lf))))] == [""] * 6
    converted = b"".join(RECORDS).replace(b"\r\n", b"\n")  # every length is wrong now
    for data in (converted, gz(converted)):
        items = read_units(Memory(data))
        assert [item.url for item in items] == URLS
    doubled = record(b"abc\n", eol=b"\r\r\n")
    assert records(read_units(Memory(doubled)))[0].block == b"abc\n"
    spaced = b"\r\n\n" + RECORDS[0] + b"\r\n" * 40 + RECORDS[1]
    assert urls(read_units(Memory(spaced))) == URLS[:2]


def test_junk_is_one_stretch_of_damage() -> None:
    for junk in (bytes(3_000), noise(1, 3_000), b"WARC/1.0\r\nnothing\r\n\r\n" * 10, b"WARC/1.0\r\n" * 300, b"x"):
        data = b"".join(RECORDS[:2]) + junk + b"".join(RECORDS[2:])
        items = read_units(Memory(data))
        assert urls(items) == URLS
        assert [(damage.kind, damage.offset, damage.length) for damage in damages(items)] == [
            ("header", OFFSETS[2], len(junk))
        ]
        check_resume(Memory(data))
        assert urls(read_units(Memory(junk + RAW))) == URLS
        assert urls(read_units(Memory(RAW + junk))) == URLS


@pytest.mark.parametrize("junk", [b"WARC/1.0\r\n", b"WARC/1.0\r\na: b\r\n", b"http://a/ 1.2.3.4 \n"])
def test_first_lines_everywhere_take_linear_time(junk: bytes) -> None:
    def made(size: int) -> Memory:
        return Memory(RECORDS[0] + junk * (size // len(junk)) + RECORDS[1])

    assert urls(assert_linear(made, read_units, 1_000_000)) == URLS[:2]


def test_long_headers() -> None:
    extra = b"X-Long: " + b"y" * 60_000 + b"\r\n"
    assert urls(read_units(Memory(RECORDS[0] + record(b"z", "http://long/", extra=extra)))) == [
        "http://0/",
        "http://long/",
    ]
    too_long = record(b"z", "http://long/", extra=extra * 2)
    items = read_units(Memory(RECORDS[0] + too_long + RECORDS[1]))
    assert urls(items) == URLS[:2]
    assert [(damage.kind, damage.length) for damage in damages(items)] == [("header", len(too_long))]


FILEDESC = arc(b"1 0 Someone\nURL IP-address Archive-date Content-type Archive-length\n", "filedesc://made.arc")


def test_arc() -> None:
    body = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"
    version_2 = (
        b"http://two/ 192.0.2.2 20040512010203 text/html 200 checksum - 1234 made.arc %d\n" % len(body) + body + b"\n"
    )
    spaces = arc(body, "http://three/?q=a b c")
    whole = FILEDESC + arc(body, "http://one/") + version_2 + spaces + arc(b"192.0.2.1", "dns:four")
    for data in (whole, gz(whole), b"".join(map(gz, [FILEDESC, arc(body, "http://one/"), version_2, spaces]))):
        items = records(read_units(Memory(data)))
        assert [item.kind for item in items][:4] == ["warcinfo", "response", "response", "response"]
        assert [item.url for item in items][1:4] == ["http://one/", "http://two/", "http://three/?q=a b c"]
        assert {item.block for item in items[1:4]} == {body}
        assert items[2].date == "2004-05-12T01:02:03Z"
        assert items[2].content_type == "application/http; msgtype=response"
        assert items[2].headers["arc-content-type"] == "text/html"
        assert [item.note for item in items] == [""] * len(items)
        check_resume(Memory(data))
    assert records(read_units(Memory(whole)))[4].content_type == "text/html"


def test_damaged_arc() -> None:
    parts = [arc(page(i, 3_000), f"http://{i}/", length=[None, 7, 10**9, "-1", None][i]) for i in range(5)]
    items = records(read_units(Memory(FILEDESC + b"".join(parts))))
    assert urls(items)[1:] == [f"http://{i}/" for i in range(5)]
    assert [bool(item.note) for item in items] == [False, False, True, True, True, False]
    assert [item.block for item in items[1:]] == [page(i, 3_000) for i in range(5)]


def test_local_files_are_read_by_path(tmp_path) -> None:
    path = tmp_path / "some.warc"
    path.write_bytes(RAW)
    source = LocalSource(path)
    assert (source.name, source.size) == ("some.warc", len(RAW))
    assert source.read(5, 10) == RAW[5:15]
    assert source.read(len(RAW) - 3, 10) == RAW[-3:]
    assert urls(list(read_warc(path))) == URLS
    assert urls(list(read_warc(LocalSource(path, name="other.warc")))) == URLS
    assert next(RangeReader(source, plan(source, 10), Range(0, source.size))).warc == "some.warc"
