"""A made copy of a crawl with its columnar index, in the layout that Common Crawl publishes."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from tests.warcs import http, record

CRAWL = "CC-MAIN-2026-43"

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("url_surtkey", "url", "url_host_name", "url_host_registered_domain")),
        ("url_path", pa.string()),
        ("fetch_time", pa.timestamp("ms", tz="UTC")),
        ("fetch_status", pa.int16()),
        *((name, pa.string()) for name in ("content_digest", "content_mime_detected", "content_languages")),
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int32()),
        ("warc_record_length", pa.int32()),
        ("warc_segment", pa.string()),
    ]
)
"""The columns that are used, and some others, with the types of cc-index-schema-flat.json."""


@dataclass(frozen=True)
class Listed:
    """A capture as the index lists it."""

    url: str
    languages: str | None
    archive: str
    offset: int
    length: int

    def row(self) -> dict[str, Any]:
        host = urlsplit(self.url).hostname or ""
        labels = host.removeprefix("www.").split(".")
        key = f"{','.join(reversed(labels))}){urlsplit(self.url).path}"
        return {
            "url_surtkey": key, "url": self.url, "url_host_name": host,
            "url_host_registered_domain": ".".join(labels[-2:]), "url_path": urlsplit(self.url).path,
            "fetch_time": 1_792_000_000_000, "fetch_status": 200,
            "content_digest": "CH7IV3XAD3M7A42JARKRLJ3T5PGGCGXD",
            "content_mime_detected": "text/html", "content_languages": self.languages, "warc_filename": self.archive,
            "warc_record_offset": self.offset, "warc_record_length": self.length, "warc_segment": "1.1",
        }  # fmt: skip


def write_archive(
    base: Path, name: str, pages: Mapping[str, tuple[bytes, str | None]], gaps: Collection[str] = ()
) -> list[Listed]:
    """Write an archive with a request, a response and metadata for each page, and return what the index says of it.

    Each page has a body and its languages. After the pages in `gaps` come 200 KB of something else.
    """
    path = f"crawl-data/{CRAWL}/segments/1.1/warc/{name}"
    (base / path).parent.mkdir(parents=True, exist_ok=True)
    listed = []
    with open(base / path, "wb") as out:
        out.write(_member(record("warcinfo", "", f"isPartOf: {CRAWL}\r\nfile: {name}\r\n".encode())))
        for number, (url, (body, languages)) in enumerate(pages.items()):
            out.write(_member(record("request", url, b"GET / HTTP/1.1\r\n\r\n", number)))
            offset = out.tell()
            out.write(_member(record("response", url, http(body), number)))
            listed.append(Listed(url, languages, path, offset, out.tell() - offset))
            filler = Random(number).randbytes(200_000) if url in gaps else b""
            out.write(_member(record("metadata", url, b"fetchTimeMs: 7\r\n" + filler, number)))
    return listed


def _member(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def write_lists(base: Path, archives: Iterable[str], files: Iterable[str]) -> None:
    """Write the lists of the archives and of the files of the index."""
    folder = base / "crawl-data" / CRAWL
    folder.mkdir(parents=True, exist_ok=True)
    for name, paths in (("warc", archives), ("cc-index-table", files)):
        (folder / f"{name}.paths.gz").write_bytes(gzip.compress("".join(f"{path}\n" for path in paths).encode()))


def index_path(number: int, subset: str = "warc") -> str:
    return f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset={subset}/part-{number:05d}-b1c2.c000.gz.parquet"


def write_index(base: Path, table: pa.Table, files: int = 2, rows: int = 20, **options: Any) -> list[str]:
    """Write the rows of an index in some files with row groups of `rows` rows. Return their paths."""
    size = -(-table.num_rows // files)
    paths = [index_path(number) for number in range(files)]
    for number, path in enumerate(paths):
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        part = table.slice(number * size, size)
        pq.write_table(part, base / path, compression="gzip", row_group_size=rows, store_schema=False, **options)
    return paths


def table_of(listed: Iterable[Listed]) -> pa.Table:
    """Return the rows of the index, sorted by `url_surtkey`."""
    rows = sorted((one.row() for one in listed), key=lambda row: (row["url_surtkey"], row["url"]))
    return pa.Table.from_pylist(rows, SCHEMA)
