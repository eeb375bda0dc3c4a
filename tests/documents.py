"""Files of documents made on the spot, as other programs write them, from texts."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpus.documents.columns import Columns
from corpus.documents.files import as_stored, format_of, plan_documents, read_part
from corpus.warc.plan import Range
from corpus.warc.record import Damage, Record
from tests.corpus.warc.made import Memory
from tests.warcs import WORDS, write_warc

KINDS = ("parquet", "jsonl", "jsonl.gz", "jsonl.zst")
TEXT = Columns(text="text")


def documents(count: int, seed: int = 7, name: str = "d") -> list[dict[str, Any]]:
    """Documents of a few sentences with an id and a URL. Every third one has the text of an earlier one."""
    rng, found = random.Random(seed), list[dict[str, Any]]()
    for number in range(count):
        text = " ".join(rng.choices(WORDS.split(), k=40 + number))
        if number % 3 == 2:
            text = found[rng.randrange(number)]["text"]
        host = "xxx-videos.example" if number % 10 == 3 else f"site{number}.example"
        found.append({"id": f"{name}-{number}", "url": f"http://{host}/{name}{number}", "text": text, "number": number})
    return found


def lines(rows: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def packed(content: bytes, name: str) -> bytes:
    """The content as a file of this name has it."""
    if name.endswith("gz"):
        return gzip.compress(content, mtime=0)
    return zstandard.ZstdCompressor(write_checksum=True).compress(content) if name.endswith("zst") else content


def write_documents(path: Path, rows: Sequence[Mapping[str, Any]], group: int = 16, **options: Any) -> Path:
    """Write a file of the kind that its name says. `group` is the number of rows in a row group of parquet."""
    if path.suffix == ".parquet":
        options = {"row_group_size": group, "write_page_checksum": True, **options}
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path, **options)
    else:
        path.write_bytes(packed(lines(rows), path.name))
    return path


EVERY_INPUT = pytest.mark.parametrize("archives", ["archives", "documents"], indirect=True)
"""For tests of runs whose fixture `archives` makes a folder of either."""


def write_inputs(
    folder: Path, inputs: Mapping[str, Mapping[str, bytes]], kind: str = "archives", harmed: bool = True
) -> Path:
    """Write pages by URL as the archives that `inputs` names, or as documents of all formats, with the pages as texts
    and by default a harmed place in the first file."""
    for number, (name, pages) in enumerate(inputs.items()):
        path = folder / name
        if kind == "archives":
            write_warc(path, dict(pages), compressed=name.endswith("gz"))
        else:
            rows = [
                {"text": page.decode(), "url": url, "id": f"{name[0]}-{at}", "meta": {"n": at, "list": [at] * (at % 3)}}
                for at, (url, page) in enumerate(pages.items())
            ]
            path = write_documents(folder / f"{name[0]}.{KINDS[number % len(KINDS)]}", rows)
        if number == 0 and harmed:
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 0xFF
            path.write_bytes(data)
    return folder


def kept_columns(folder: Path | str) -> dict[str, Any]:
    """The option of a job that keeps columns, if a folder has documents of `write_inputs`."""
    there = isinstance(folder, Path) and (folder / "a.parquet").exists()
    return {"keep_columns": ("meta", "meta.n")} if there else {}


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue())


def read_documents(data: bytes, name: str, columns: Columns = TEXT, unit: int = 1 << 40) -> list[Record | Damage]:
    """The items of a file, read unit by unit. Checks that the units tile the file, and that no two places are one."""
    source = Memory(data, name)
    form = format_of(name)
    assert form is not None
    planned = plan_documents(source, as_stored(source, form), columns, unit)
    assert planned.ranges[0].start == 0
    assert planned.ranges[-1].end == len(data)
    assert all(one.end == other.start for one, other in zip(planned.ranges, planned.ranges[1:], strict=False))
    items = [item for part in planned.ranges for item in read_part(source, planned, part, columns)]
    places = [(item.offset, item.inner) for item in items]
    assert places == sorted(set(places))
    return items


def check_resumed(data: bytes, name: str, columns: Columns = TEXT) -> None:
    """Check that a reader resumed at any place that it announced gives the rest."""
    source = Memory(data, name)
    form = format_of(name)
    assert form is not None
    form, whole = as_stored(source, form), Range(0, len(data))

    def read(resume: tuple[int, int] | None = None) -> list[tuple[tuple[int, int], Record | Damage]]:
        reader = read_part(source, form, whole, columns, resume)
        found = []
        while True:
            place = (reader.offset, reader.inner)
            item = next(reader, None)
            if item is None:
                return found
            found.append((place, item))

    once = read()
    for number, (place, item) in enumerate(once):
        assert place <= (item.offset, item.inner), "announced too late"
        assert [later for _, later in read(place)] == [later for _, later in once[number:]]


def texts(items: Iterable[Record | Damage]) -> list[str]:
    """The text of each row, and the kind of each damage."""
    return [item.kind if isinstance(item, Damage) else item.text or "" for item in items]
