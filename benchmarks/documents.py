"""The speed and memory of reading documents: `python -m benchmarks.documents [FOLDER]`.

The texts are those of the real pages (`shared/data/parity`), over and over, each time with another number in it, so
that no format profits from repeats. Each measurement is a process of its own. Its time is CPU time, and its peak is
what its memory grew by while it read. FOLDER gets the files, 7 GB; they are removed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from benchmarks.machine import machine_line, shared_data
from corpus.documents.columns import Columns
from corpus.documents.files import as_stored, format_of, read_part
from corpus.sandbox.unit import Unit, run_unit
from corpus.warc.plan import Range
from corpus.warc.source import LocalSource
from filters import load_recipe

COLUMNS = Columns(text="text", id="id", url="url")
SHORT = Columns(text="text")


def rows(texts: list[str]) -> Iterator[dict[str, str]]:
    for number in count():
        text = f"{texts[number % len(texts)]} {number}"
        yield {"text": text, "id": f"{number}", "url": f"http://site.example/{number}"}


def write_lines(path: Path, made: Iterator[dict[str, str]], size: int) -> int:
    """Write rows until there are `size` bytes of lines."""
    with open(path, "wb") as raw:
        left = size
        packer = zstandard.ZstdCompressor().stream_writer(raw) if path.suffix == ".zst" else None
        for row in made:
            line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            (packer or raw).write(line)
            left -= len(line)
            if left < 0:
                break
        if packer:
            packer.close()
    return path.stat().st_size


def write_group(path: Path, made: Iterator[dict[str, str]], size: int) -> int:
    """Write one row group of `size` bytes, without dictionaries."""
    schema = pa.schema([(name, pa.string()) for name in ("text", "id", "url")])
    options: dict[str, Any] = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
    with pq.ParquetWriter(path, schema, **options) as writer:
        writer.write_table(pa.Table.from_pylist(list(_until(made, size)), schema), row_group_size=1 << 40)
    return path.stat().st_size


def _until(made: Iterator[dict[str, str]], size: int) -> Iterator[dict[str, str]]:
    for row in made:
        yield row
        size -= len(row["text"].encode())
        if size < 0:
            return


def measured(function: Callable[[], int]) -> tuple[int, float, float]:
    """Run a function in a process of its own: its result, its CPU seconds, and the MiB that its memory grew by."""
    ends = os.pipe()
    child = os.fork()
    if not child:
        pa.set_memory_pool(pa.system_memory_pool())  # as page workers have it
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        result = function()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        os.write(ends[1], json.dumps([result, time.process_time() - started, grown]).encode())
        os._exit(0)
    os.close(ends[1])
    with open(ends[0], "rb") as answer:
        found = json.loads(answer.read())
    os.waitpid(child, 0)
    return found[0], found[1], found[2]


def read_all(path: Path, columns: Columns) -> int:
    """Read a file as a unit does, and return its rows."""
    with closing(LocalSource(path)) as source:
        form = format_of(path.name)
        assert form is not None
        return sum(1 for _ in read_part(source, as_stored(source, form), Range(0, source.size), columns))


def judge_all(path: Path, columns: Columns, recipe: str) -> int:
    """Run a unit with the stages of a recipe, without its process, and return its rows."""
    pipeline = load_recipe(recipe).pipeline()
    pipeline.prepare()
    named = json.dumps(columns.as_dict())
    with closing(LocalSource(path)) as source:
        unit = Unit(path.name, str(path), "", "lines", "plain", "", 0, source.size, columns=named)
        return sum(batch.tables["ledger"].num_rows for batch in run_unit(pipeline, source, unit))


def tell(what: str, size: int, found: tuple[int, float, float]) -> None:
    number, seconds, grown = found
    rate = f"{size / 1e6 / seconds:7,.0f} MB/s {number / seconds:11,.0f} rows/s"
    print(f"{what:34} {number:>11,} rows {seconds:7.1f} s {rate} {grown:6,.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=None)
    parser.add_argument("--scale", type=float, default=1.0, help="The share of the sizes that are measured.")
    options = parser.parse_args()
    parity = pq.read_table(shared_data() / "parity" / "datatrove_0.10.1.parquet", columns=["text"])
    texts = [text for text in parity["text"].to_pylist() if text]
    print(machine_line())
    print(f"{len(texts)} texts of {sum(map(len, texts)) // len(texts)} characters")
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder, scale = Path(made), options.scale
        for name in ("a.jsonl", "a.jsonl.zst"):
            path = folder / name
            measured(partial(write_lines, path, rows(texts), int(scale * (500 << 20))))
            tell(f"{name}, up to the first stage", int(scale * (500 << 20)), measured(partial(read_all, path, COLUMNS)))
            path.unlink()
        path = folder / "a.parquet"
        size, _, _ = measured(partial(write_group, path, rows(texts), int(scale * (2 << 30))))
        groups = pq.read_metadata(path).num_row_groups
        tell(f"parquet, {groups} row group of 2 GiB", size, measured(partial(read_all, path, COLUMNS)))
        path.unlink()
        path = folder / "short.jsonl"
        short = islice(({"text": f"text number {number:08d}"} for number in count()), int(scale * 10_000_000))
        size, _, _ = measured(partial(write_lines, path, short, 1 << 60))
        tell("10 M rows of 20 characters", size, measured(partial(read_all, path, SHORT)))
        path.unlink()
        path = folder / "b.jsonl"
        size, _, _ = measured(partial(write_lines, path, rows(texts), int(scale * (12 << 20))))
        reading = measured(partial(read_all, path, COLUMNS))
        judging = measured(partial(judge_all, path, COLUMNS, "text"))
        tell("12 MiB of lines, recipe text", size, judging)
        print(f"reading is {reading[1] / judging[1]:.1%} of the CPU time of the recipe, its models' loading included")


if __name__ == "__main__":
    main()
