"""Small archives made in code, and checks that must pass for every archive and every way of reading it."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

from corpus.warc.plan import FilePlan, Range, plan
from corpus.warc.reader import RangeReader
from corpus.warc.record import Damage, Record

Item = Record | Damage


@dataclass
class Memory:
    """A source in memory. It counts the bytes that are read."""

    data: bytes
    name: str = "made.warc.gz"
    bytes_read: int = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        part = self.data[offset : offset + length]
        self.bytes_read += len(part)
        return part


def gz(content: bytes, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


def record(
    body: bytes = b"<html>hello</html>",
    url: str = "http://example.com/",
    kind: str = "response",
    length: object = None,
    eol: bytes = b"\r\n",
    closing: bytes | None = None,
    extra: bytes = b"",
) -> bytes:
    lines = [
        b"WARC/1.0",
        b"WARC-Type: " + kind.encode(),
        b"WARC-Target-URI: " + url.encode(),
        b"WARC-Date: 2024-05-06T07:08:09Z",
        b"WARC-Record-ID: <urn:uuid:12345678-0000-0000-0000-000000000000>",
        b"Content-Length: " + str(len(body) if length is None else length).encode(),
    ]
    head = b"".join(line + eol for line in lines) + extra + eol
    return head + body + (eol * 2 if closing is None else closing)


def arc(
    body: bytes = b"HTTP/1.0 200 OK\r\n\r\nhello", url: str = "http://example.com/", length: object = None
) -> bytes:
    size = len(body) if length is None else length
    return f"{url} 192.0.2.1 20040512000000 text/html {size}\n".encode() + body + b"\n"


def page(seed: int, size: int) -> bytes:
    """An HTTP message of about `size` bytes that compresses like text."""
    chance = random.Random(seed)
    words = (
        chance.choice([b"apple", b"pear", b"quince", b"</p>\r\n<p>", b"plum", b"%d" % i]) for i in range(size // 5)
    )
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + b" ".join(words)[:size]


def noise(seed: int, size: int) -> bytes:
    """Bytes that can't be compressed. Deflate stores them."""
    return random.Random(seed).randbytes(size)


def read_units(source: Memory, unit: int | None = None, max_block: int = 1 << 26) -> list[Item]:
    """Read a file unit by unit. Check that the parts that the units read tile the file."""
    planned = plan(source, unit or max(1, source.size))
    items: list[Item] = []
    reached = 0
    assert planned.ranges[0].start == 0
    for part in planned.ranges:
        assert part.start == reached
        reader = RangeReader(source, planned, part, max_block=max_block)
        for item in reader:
            items.append(item)
        reached = reader.end
        assert reached == part.end
    assert reached == source.size
    assert len({(item.offset, getattr(item, "inner", 0)) for item in items}) == len(items), "ids are not unique"
    return items


def announced(
    source: Memory, planned: FilePlan, resume: tuple[int, int] | None = None
) -> list[tuple[tuple[int, int], Item]]:
    """Each item of a whole file with the place that the reader announced before it."""
    reader = RangeReader(source, planned, Range(0, source.size), resume)
    found = []
    while True:
        place = (reader.offset, reader.inner)
        item = next(reader, None)
        if item is None:
            return found
        found.append((place, item))


def check_resume(source: Memory, sample: int = 10**9) -> None:
    """Check that a reader resumed at any announced place yields the rest."""
    planned = plan(source, max(1, source.size))
    whole = announced(source, planned)
    step = max(1, len(whole) // sample)
    for i in range(0, len(whole), step):
        (place, item), rest = whole[i], [later for _, later in whole[i:]]
        assert place <= (item.offset, getattr(item, "inner", 0)), "announced too late"
        assert [later for _, later in announced(source, planned, place)] == rest


def records(items: list[Item]) -> list[Record]:
    return [item for item in items if isinstance(item, Record)]


def damages(items: list[Item]) -> list[Damage]:
    return [item for item in items if isinstance(item, Damage)]


def urls(items: list[Item]) -> list[str]:
    return [item.url for item in records(items)]
