"""Small archives and files of documents to damage, made in code or cut from real ones, and the check that must pass for
any damage."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from corpus.documents.columns import Columns
from corpus.documents.parquet_rows import group_starts, open_parquet
from corpus.errors import ConfigError, InputError
from corpus.warc.reader import read_warc
from corpus.warc.record import Damage, Record
from tests.corpus.warc.made import Item, Memory, damages, gz, noise, page, read_units, record, records
from tests.documents import documents, lines, packed, parquet, read_documents
from tests.warcs import WORDS

MOST_SECONDS = 5.0
"""The most seconds that an archive may take, whatever its damage."""

MADE = [
    record(b"software: test\r\nformat: WARC File Format 1.0\r\n", "", "warcinfo"),
    record(b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n", "http://a.example/a", "request"),
    record(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>" + WORDS.encode(), "http://a.example/a"),
    record(b"HTTP/1.1 200 OK\r\n\r\n" + noise(3, 700), "http://a.example/image"),
    record(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/warc\r\n\r\n" + gz(record(page(5, 300), "http://inner.example/1"))
        + gz(record(noise(6, 300), "http://inner.example/2")),
        "http://a.example/stored.warc.gz",
    ),
    record(page(4, 500), "http://a.example/b"),
]  # fmt: skip
"""The records of the made archive. One page is itself a `.warc.gz`."""


@dataclass
class Whole:
    """An undamaged archive: its members and their records."""

    name: str
    members: list[bytes]
    items: list[Record] = field(init=False)
    ends: list[int] = field(init=False)
    known: set[tuple[str, str, bytes]] = field(init=False)
    checked: bool = True
    """True if a record with changed bytes is not read. Otherwise a changed text may be read as another text, and a
    changed line break joins a line to the next one."""

    def __post_init__(self) -> None:
        self.items = records(self.read(self.data))
        self.ends = list(itertools.accumulate(map(len, self.members)))
        self.known = {key(item) for item in self.items}
        assert len(self.items) == len(self.members) - len(self.tail)

    @property
    def tail(self) -> list[bytes]:
        """The last member, if all records need it."""
        return []

    @property
    def data(self) -> bytes:
        return b"".join(self.members)

    def read(self, data: bytes) -> list[Item]:
        return read_units(Memory(data))


@dataclass
class Documents(Whole):
    """An undamaged file of documents. Each of its members has one row: a line, a gzip member, a zstd frame or a row
    group. The footer of a parquet file is its last member."""

    @property
    def tail(self) -> list[bytes]:
        return self.members[-1:] if self.name.endswith("parquet") else []

    def read(self, data: bytes) -> list[Item]:
        return read_documents(data, self.name, Columns(text="text", id="id"), unit=300)


def documents_of(kind: str, count: int = 8) -> Documents:
    """Made documents in a file of a kind in `tests.documents.KINDS`."""
    rows = [{"id": row["id"], "text": row["text"]} for row in documents(count)]
    if kind != "parquet":
        return Documents(f"a.{kind}", [packed(lines([row]), kind) for row in rows], checked=False)
    data = parquet(pa.Table.from_pylist(rows), row_group_size=1, write_page_checksum=True)
    starts = [0, *group_starts(open_parquet(Memory(data)), len(data))[1:]]
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    return Documents("a.parquet", [data[start:end] for start, end in itertools.pairwise([*starts, footer, len(data)])])


def made(level: int = 6) -> Whole:
    return Whole(f"made, level {level}", [gz(part, level) for part in MADE])


def cut_from(path: Path, pages: int = 2, others: int = 6) -> Whole:
    """Small members of a real archive, in order: pages, requests and metadata. They make a file of some kilobytes."""
    data = path.read_bytes()
    items = [item for item in itertools.islice(read_warc(path), 1_500) if isinstance(item, Record)]
    left = {True: pages, False: others}
    taken = []
    for item, after in itertools.pairwise(items):
        is_page = item.kind == "response"
        if left[is_page] and after.offset - item.offset <= 6_000:
            left[is_page] -= 1
            taken.append(data[item.offset : after.offset])
    return Whole(path.name, taken)


def key(item: Record) -> tuple[str, str, bytes]:
    return item.kind, item.url, item.block or f"{item.record_id} {item.text}".encode("utf-8", "surrogatepass")


@dataclass
class Tally:
    """The results of damaging archives."""

    tried: int = 0
    slowest: float = 0.0
    lost: int = 0
    invented: int = 0
    silent: int = 0

    def check(self, whole: Whole, data: bytes, first: int, end: int) -> None:
        """Read `data`: the archive `whole` after its bytes from `first` up to `end` were changed or removed.

        Every record must be found whose member has none of these bytes. No new record may appear. Damaged stretches
        must cover every member that lost its record.
        """
        started = time.process_time()
        if whole.tail and end > len(whole.data) - len(whole.tail[0]):  # no checksum protects a footer
            with suppress(InputError, ConfigError):
                whole.read(data)
            self.slowest = max(self.slowest, time.process_time() - started)
            self.tried += 1
            return
        try:
            items: list[Item] = whole.read(data)
        except InputError:  # a run then takes the whole file as one damaged stretch
            items = []
            assert first < whole.ends[0], "only a file without a readable beginning is no archive"
        self.slowest = max(self.slowest, time.process_time() - started)
        self.tried += 1
        found = {key(item) for item in records(items)}
        before, start, changed = 0, 0, len(found - whole.known)
        for original, member_end in zip(whole.items, whole.ends, strict=False):
            touched = first < member_end and end > (start if whole.checked else before)
            if not touched and key(original) not in found:
                self.lost += bool(items)
            if touched and key(original) not in found and start < len(data):
                stretches = damages(items)
                covered = _covered(stretches, original.offset, min(member_end, len(data)))
                told = covered if whole.checked else changed or stretches
                self.silent += bool(items) and not told
            changed -= touched and not whole.checked
            before, start = start, member_end
        self.invented += max(changed, 0)


def _covered(stretches: list[Damage], start: int, end: int) -> bool:
    """Return True if damaged stretches cover these bytes. A cut first member is read as a stream of its remains."""
    alone = start == 0 and len(stretches) == 1 and stretches[0].offset == 0
    return alone or any(one.offset <= start and end <= one.offset + one.length for one in stretches)
