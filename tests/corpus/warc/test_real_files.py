"""All real archives at hand, compared with a plain scan and with another reader."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from pathlib import Path

import fastwarc
import pytest

from corpus.errors import InputError
from corpus.warc.plan import plan
from corpus.warc.reader import read_warc
from corpus.warc.source import LocalSource
from tests.corpus.warc.made import Memory, check_resume, damages, read_units, records, urls

NOT_ARCHIVES = {
    "block-sized-records.warc.lz4": "lz4",
    "warcfile.warc.lz4": "lz4",
    "CC-MAIN-2024-22.warc.paths.gz": "a list of paths",
    "4a44175f-test3.arc": "one line of text",
    "6256aa0c-input-nonarc.arc": "one line of text",
    "9a2106c4-test1.arc": "one line of text",
    "d4989917-test1.arc": "one line of text",
    "e60b7106-test2.arc": "one line of text",
}
# Real damage in the files: (kind, length).
DAMAGED = {
    "badexample.arc.gz": [("header", 237)],  # an ARC line with the date "null"
    "clipped.warc.gz": [("truncated", 75658)],  # one gzip member, cut
    "sample.warc": [("truncated", 3402)],  # line breaks converted, cut behind 18 records
    "test.warc": [("truncated", 6792)],
    "06693b0b-42-117-20051212141242-00002-sb-test-har-001.statsbiblioteket.dk.arc": [("truncated", 1439)],
    "35feaf37-42-117-20051212141240-00000-sb-test-har-001.statsbiblioteket.dk.ARC": [("truncated", 1627)],
    "591b116a-42-117-20051212141240-00000-sb-test-har-001.statsbiblioteket.dk.arc": [
        ("header", 43),
        ("truncated", 2800),
    ],
    "6f5ed8ec-GetTest.ARC": [("header", 103), ("truncated", 1439)],
    "785b6914-integrity11.ARC": [("truncated", 1381)],
    "78c5a499-get2.ARC": [("header", 43)],  # somebody wrote "end of file" after the last record
    "bf2e8099-integrity1.ARC": [("header", 43)],
    "c1c48220-file-2.arc": [("header", 43)],
    "e146ee21-integrity2.ARC": [("truncated", 1439)],
    "example-space-in-url.arc": [("truncated", 1722)],  # line breaks converted: 12 bytes short
}
# Files in which the other reader finds fewer records or none.
OTHER_READER_FAILS = {
    "OrestisRo+web_data_vu/sample.warc.gz": "stops at the first wrong length",
    "clipped.warc.gz": "gives the cut record as if it were whole",
    "djoerd+mirex/test.warc.gz": "does not read WARC 0.18 with LF",
    "sparkwarc/sample.warc": "does not read LF",
    "sparkwarc/sample.warc.gz": "does not read LF",
    "mementos.warc": "does not read LF",
    "pypi-pywb-2.6.8/example.warc": "stops at the first wrong length",
    "example-trunc.warc": "stops at the first wrong length",
    "clueWeb/test.warc": "stops at the first wrong length",
    "badexample.arc.gz": "no ARC",
}
SCAN = re.compile(rb"^WARC/\d\.\d+\s*\n(?:[^\n]+\n)*?WARC-Type:[ \t]*([a-z]+)", re.MULTILINE)
UNREADABLE_TYPES = {"clipped.warc.gz", "sample.warc", "test.warc"}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "wild").rglob("*") if path.is_file())


def content(path: Path) -> bytes:
    data = path.read_bytes()
    if not data.startswith(b"\x1f\x8b"):
        return data
    out = []
    while data:
        member = zlib.decompressobj(31)
        out.append(member.decompress(data))
        data = member.unused_data
    return b"".join(out)


def test_wild_files_tile_and_agree_with_a_scan(shared_data: Path) -> None:
    for path in files(shared_data):
        if path.name in NOT_ARCHIVES:
            with pytest.raises(InputError):
                plan(LocalSource(path), 1 << 20)
            continue
        items = read_units(Memory(path.read_bytes(), path.name))
        found = [(damage.kind, damage.length) for damage in damages(items)]
        assert found == DAMAGED.get(path.name, []), path
        if not path.name.lower().endswith((".arc", ".arc.gz")):
            counted = Counter(record.kind for record in records(items))
            for damage in damages(items):
                counted[damage.headers.get("warc-type", "")] += 1
            assert counted == Counter(kind.decode() for kind in SCAN.findall(content(path))), path


def test_wild_arcs_agree_with_a_scan(shared_data: Path) -> None:
    line = re.compile(rb"^!?[a-zA-Z]+:.* [\d.]+ \d{12,18} [^ ]+ [-\w]+\r?$", re.MULTILINE)
    for path in files(shared_data):
        if path.name not in NOT_ARCHIVES and path.name.lower().endswith((".arc", ".arc.gz")):
            items = read_units(Memory(path.read_bytes(), path.name))
            found = len(records(items)) + sum(damage.headers != {} for damage in damages(items))
            assert found == len(line.findall(content(path))), path


def test_wild_files_agree_with_another_reader(shared_data: Path) -> None:
    for path in files(shared_data):
        if path.name in NOT_ARCHIVES or path.name.lower().endswith((".arc", ".arc.gz")):
            continue
        ours = Counter(record.kind for record in read_warc(path) if hasattr(record, "block"))
        theirs: Counter[str] = Counter()
        try:
            for record in fastwarc.ArchiveIterator(str(path), parse_http=False):
                theirs[str(record.record_type).rpartition(".")[2]] += 1
        except OSError:
            theirs["error"] += 1
        expected_to_differ = any(str(path).endswith(name) for name in OTHER_READER_FAILS)
        assert (ours == theirs) != expected_to_differ, (path, ours, theirs)


def test_wild_files_give_the_same_in_units_of_any_size_and_resumed_anywhere(shared_data: Path) -> None:
    for path in files(shared_data):
        if path.name in NOT_ARCHIVES or path.stat().st_size > 300_000:
            continue
        source = Memory(path.read_bytes(), path.name)
        whole = read_units(source)
        for unit in (1_000, 10_007, 65_536):
            assert read_units(source, unit) == whole, (path, unit)
        check_resume(source, sample=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixed-00000", "mixed-00001", "english-00000"])
def test_crawl_files_give_the_same_in_units_of_any_size(shared_data: Path, name: str) -> None:
    source = Memory((shared_data / "warc" / f"{name}.warc.gz").read_bytes(), name)
    whole = [(item.id, item.block) for item in records(read_units(source))]
    for unit in (1 << 20, 5_000_011):
        assert [(item.id, item.block) for item in records(read_units(source, unit))] == whole


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("mixed-00001", {"warcinfo": 1, "request": 650, "response": 650, "metadata": 650}),
        pytest.param(
            "mixed-00000",
            {"warcinfo": 1, "request": 1360, "response": 1360, "metadata": 1360},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "english-00000",
            {"warcinfo": 1, "request": 1000, "response": 1000, "metadata": 1000},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_crawl_files_have_every_record(shared_data: Path, name: str, counts: dict[str, int]) -> None:
    path = shared_data / "warc" / f"{name}.warc.gz"
    source = LocalSource(path)
    assert [part.start for part in plan(source, 8 << 20).ranges][1:] != []
    items = list(read_warc(path))
    assert damages(items) == []
    assert Counter(item.kind for item in items) == counts
    theirs = [
        (record.stream_pos, record.headers.get("WARC-Target-URI", ""))
        for record in fastwarc.ArchiveIterator(str(path), parse_http=False)
    ]
    assert [(item.offset, url) for item, url in zip(items, urls(items), strict=True)] == theirs
    assert [item.note for item in records(items) if item.note] == []
