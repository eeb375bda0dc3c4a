"""Signed lines of any number of made documents, as the pass leaves them, and the phases of dedup by lines over them.

A document has some 25 lines. 15% of them are drawn by a power law from a pool with one line for every hundred documents
(the most common line is in every third document): menus, notices, calls to subscribe. One document in fifty repeats
nine tenths of the lines of another one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.dedup_runs import comparison, write_unit
from benchmarks.dedup_scale import mixed
from corpus.dedup.contract import LINES_SCHEMA
from corpus.recipes import Recipe
from corpus.storage.commits import Commit
from corpus.storage.store import LocalStore
from filters import STAGES
from jobs.build.compare_lines import compare_lines
from jobs.runner.engine import Engine, Stop

LINES = 25
COMMON = 0.15
COPIES = 0.02


def write_units(folder: Path, count: int, rows: int = 1000, seed: int = 1) -> Iterator[Commit]:
    """Write the signed lines of `count` documents, `rows` to a unit; yield the units' commits."""
    store = LocalStore(folder)
    pool = max(count // 100, 10)
    for start in range(0, count, rows):
        rng = np.random.default_rng([seed, start])
        size = min(rows, count - start)
        lines = rng.poisson(LINES, size)
        copied = rng.random(size) < COPIES
        of = np.where(copied, rng.integers(0, count, size), np.arange(start, start + size))
        doc = np.repeat(np.arange(size), lines)
        line = np.arange(len(doc)) - np.repeat(np.cumsum(lines) - lines, lines)
        own = of[doc].astype(np.uint64) * np.uint64(1000) + line.astype(np.uint64)
        common = rng.random(len(doc)) < np.where(copied[doc], COMMON / 2, COMMON)
        shared = rng.zipf(1.3, len(doc)) % pool
        numbers = np.where(common, shared.astype(np.uint64) + np.uint64(1 << 62), own)
        hashes, chars = mixed(numbers), (mixed(numbers + np.uint64(7)) % np.uint64(180) + np.uint64(10)).astype("<u4")
        bounds = np.append(0, np.cumsum(lines))
        columns = [
            pa.array(np.arange(size) * 27_000),
            pa.array(np.zeros(size, np.int32)),
            _binary(hashes.astype("<u8"), bounds),
            _binary(chars, bounds),
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=LINES_SCHEMA)
        yield write_unit(store, batch, f"made-{start // 20_000:05d}.warc.gz", str(start), kind="lines")


def _binary(values: np.ndarray, bounds: np.ndarray) -> pa.Array:
    offsets = pa.py_buffer((bounds * values.itemsize).astype("<i4"))
    return pa.Array.from_buffers(pa.binary(), len(bounds) - 1, [None, offsets, pa.py_buffer(values)])


def line_recipe() -> Recipe:
    return Recipe.from_dict({"stages": [{"stage": "lines"}]}, STAGES)


def lines(millions: float, folder: Path, engine: Engine, memory: int) -> None:
    """Measure the phases from signed lines to cuts."""
    count = int(millions * 1e6)
    units = list(write_units(folder, count))
    recipe = line_recipe()
    with Stop() as stop:
        work = comparison(folder, recipe, units, engine, stop, memory)
        signed = work.disk.look()
        started, own = time.monotonic(), time.process_time()
        compared = compare_lines(work)
    cpu = time.process_time() - own + sum(cost["cpu"] for cost in work.costs.values())
    seconds = time.monotonic() - started
    info = compared.facts
    print(f"\n{count:,} documents of {info['compared']['lines']:,} lines, {memory >> 20} MiB for a task's rows")
    work.table(count)
    removed = info["removed"]
    print(
        f"  in all {seconds:.1f} s, {cpu:.1f} CPU s: {count / cpu:,.0f} documents per CPU second; disk at most "
        f"{work.disk.most / count:.0f} B/doc, signed lines {signed / count:.0f} of them\n"
        f"  removed {removed['lines']:,} lines from {removed['from_documents']:,} documents, and "
        f"{sum(removed['documents'].values()):,} documents that would have lost too much",
        flush=True,
    )
