"""What it takes to choose pages of a crawl by its index: a file of the index, and a build from a copy of a crawl.

    python -m benchmarks.choose [--rows 1000000] [--archives 10000] [--save]

The file of the index is made, with row groups, columns and types as Common Crawl's, and an eighth of its rows. The copy
is made, too: each archive has 20 small pages. CPU is that of the process that does the work, and memory is the kernel's
own peak (VmHWM). Requests and bytes are those that the code asks a source for; here, the source is a disk.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.machine import CRAWL_ARCHIVES, CRAWL_PAGES, machine_line
from benchmarks.quoted import FIGURES
from corpus.storage.store import LocalStore
from corpus.storage.task_commits import put_value
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters import load_recipe
from jobs.build.build import build
from jobs.build.choice import Choice
from jobs.build.choose import choose_task
from jobs.build.cost import cost_of
from jobs.build.plan import Job, make_plan
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from jobs.sample.crawl import write_sample

CRAWL = "CC-MAIN-2026-43"
FILES = 300
"""The files of a crawl's index."""

GROUP_ROWS = 250_000
ROWS_OF_HOST = 40
PAGES = 20
WORKERS = 2
LANGUAGES = ("eng", "rus", "deu", "jpn", "zho", "spa", "fra", "eng,deu", "deu,eng", "fin")
SHARES = (0.43, 0.07, 0.06, 0.05, 0.05, 0.05, 0.05, 0.01, 0.01, 0.22)
DOMAINS = ("h7.example", "h700.example", "h1501.example")
CHOICES = {
    "3 domains": Choice(domains=DOMAINS),
    "1 language of 10": Choice(languages=("fin",)),
    "the language of 44%": Choice(languages=("eng",)),
    "a pattern without a host": Choice(urls_like=("*/ab*",)),
}


def path_of(archive: int) -> str:
    return f"crawl-data/{CRAWL}/segments/{archive // 900}/warc/{CRAWL}-{archive:06d}.warc.gz"


def table(urls: pa.Array, hosts: pa.Array, archives: np.ndarray, offsets: Any, lengths: Any) -> pa.Table:
    """Return rows of an index. The rows of a host are next to each other, so they are sorted well enough."""
    rng = np.random.default_rng(1)
    size = len(hosts)
    reverse = pc.binary_join_element_wise("example,", pc.replace_substring(hosts, ".example", ")"), "")
    names = pa.array([path_of(number) for number in range(int(archives.max()) + 1)])
    columns = {
        "url_surtkey": pc.binary_join_element_wise(reverse, pc.utf8_slice_codeunits(urls, 8), "/"),
        "url": urls,
        "url_host_name": hosts,
        "fetch_time": pa.array(rng.integers(1_792_000_000_000, 1_793_000_000_000, size), pa.timestamp("ms", "UTC")),
        "fetch_status": pa.array(np.full(size, 200, np.int16)),
        "content_digest": pa.array([digest.hex() for digest in np.frombuffer(rng.bytes(16 * size), "S16")]),
        "content_mime_detected": pa.array(["text/html"]).take(pa.array(np.zeros(size, np.int32))),
        "content_languages": pa.array(LANGUAGES).take(pa.array(rng.choice(len(LANGUAGES), size, p=SHARES))),
        "warc_filename": names.take(pa.array(archives)),
        "warc_record_offset": pa.array(offsets, pa.int32()),
        "warc_record_length": pa.array(lengths, pa.int32()),
        "warc_segment": pa.array(["1.1"]).take(pa.array(np.zeros(size, np.int32))),
    }
    return pa.table(columns).sort_by("url_surtkey")


def write_index(base: Path, rows: pa.Table, files: int) -> list[str]:
    size = -(-rows.num_rows // files)
    paths = []
    for number in range(files):
        paths.append(f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/part-{number:05d}-a.c000.gz.parquet")
        (base / paths[-1]).parent.mkdir(parents=True, exist_ok=True)
        part = rows.slice(number * size, size)
        pq.write_table(part, base / paths[-1], compression="gzip", row_group_size=GROUP_ROWS, store_schema=False)
    return paths


def one_file(rows: int) -> list[str]:
    """Measure the task that chooses by one file of the index."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        rng = np.random.default_rng(2)
        hosts = pc.binary_join_element_wise("h", pc.cast(pa.array(np.arange(rows) // ROWS_OF_HOST), pa.string()), "")
        hosts = pc.binary_join_element_wise(hosts, "example", ".")
        paths = pa.array([value.hex() for value in np.frombuffer(rng.bytes(20 * rows), "S20")])
        urls = pc.binary_join_element_wise("https://", pc.binary_join_element_wise(hosts, paths, "/"), "")
        archives = rng.integers(0, CRAWL_ARCHIVES, rows)
        made = table(urls, hosts, archives, rng.integers(0, 1 << 30, rows), rng.integers(2_000, 60_000, rows))
        path = write_index(base, made, 1)[0]
        size = (base / path).stat().st_size
        del made, urls, hosts, paths
        said = [f"A file of the index: {rows:,} rows, {size / 1e6:,.0f} MB, {-(-rows // GROUP_ROWS)} row groups", HEAD]
        for choice in CHOICES:
            found = run_one("--task", choice, folder=base, path=path)
            whole = found["cpu"] * CRAWL_PAGES / rows / 3600
            said.append(
                f"  {choice:25s} {found['captures']:9,d} {found['groups']:6d} {found['requests']:8d} "
                f"{found['read'] / 1e6:8.1f} {found['cpu']:7.1f} {found['peak'] >> 20:8d} {whole:12.2f}"
            )
    return said


HEAD = "  choice                        pages groups requests  MB read  CPU s  peak MB  hours/index"


def run_one(*words: str, folder: Path, path: str = "") -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.choose", *words, "--folder", str(folder), "--path", path]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def used(before: float) -> dict[str, Any]:
    """Return what this process has taken."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return {"cpu": time.process_time() - before, "peak": int(status["VmHWM"].split()[0]) << 10}


def task(choice: str, base: Path, path: str) -> None:
    """Run the task in this process, and print what it took."""
    store = LocalStore(base / "store" / choice.replace(" ", "-"))
    store.prepare()
    asked = {
        "choice": asdict(CHOICES[choice]),
        "archives": [path_of(number) for number in range(CRAWL_ARCHIVES)],
        "size": 90,
    }
    payload = {
        "store": store.location,
        "asked": put_value(store, asked),
        "index": {"name": path, "path": f"{base}/{path}"},
    }
    before = time.process_time()
    done = choose_task(payload)
    facts = {name: done["facts"][name] for name in ("captures", "groups", "requests", "read")}
    print(json.dumps({**facts, **used(before)}))


def copy(archives: int) -> list[str]:
    """Measure a build from a copy."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        made_copy(base, archives)
        size = sum(path.stat().st_size for path in base.rglob("*.warc.gz"))
        index = sum(path.stat().st_size for path in base.rglob("*.parquet"))
        told = run_one("--dry", folder=base)
        found = run_one("--build", folder=base)
    pages, read = told["pages"], told["index"]
    return [
        "",
        f"A copy of {archives:,} archives, {archives * PAGES:,} pages, {size / 1e6:,.0f} MB, with an index of "
        f"{index / 1e6:,.1f} MB; chosen: {told['captures']:,} pages in {told['archives']:,} archives",
        f"  the index: {read['requests']:,} requests, {read['read'] / 1e6:.2f} MB",
        f"  the pages: {pages['requests']:,} requests, {pages['bytes'] / 1e6:.1f} MB, with the start of each archive",
        f"  the dry run: {told['cpu']:.1f} s of CPU in the driver, peak {told['peak'] >> 20} MB, "
        f"{told['seconds']:.0f} s with {WORKERS} workers",
        f"  the build: {found['cpu']:.1f} s of CPU in the driver, peak {found['peak'] >> 20} MB, "
        f"{found['seconds']:.0f} s with {WORKERS} workers; {found['in']:,} ledger rows, {found['inputs']:,} inputs",
    ]


def made_copy(base: Path, archives: int) -> None:
    """Archives whose pages are those of the sample crawl under other URLs, and their index."""
    write_sample(base / "sample.warc.gz", pages=50)
    sample = read_warc(base / "sample.warc.gz")
    bodies = [one.block for one in sample if isinstance(one, Record) and one.kind == "response"][:PAGES]
    rng = random.Random(4)
    urls, hosts, numbers, offsets, lengths = [], [], [], [], []
    for archive in range(archives):
        path = base / path_of(archive)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as out:
            out.write(gzip.compress(_record("warcinfo", "", f"file: {archive}".encode()), 1, mtime=0))
            for body in bodies:
                host = f"h{rng.randrange(2_000)}.example"
                url = f"https://{host}/{rng.getrandbits(64):x}"
                member = gzip.compress(_record("response", url, body), 1, mtime=0)
                urls.append(url)
                hosts.append(host)
                numbers.append(archive)
                offsets.append(out.tell())
                lengths.append(len(member))
                out.write(member)
    rows = table(pa.array(urls), pa.array(hosts), np.array(numbers), offsets, lengths)
    folder = base / "crawl-data" / CRAWL
    files = write_index(base, rows, 10)
    listed = {"warc": [path_of(number) for number in range(archives)], "cc-index-table": files}
    for name, paths in listed.items():
        (folder / f"{name}.paths.gz").write_bytes(gzip.compress("".join(f"{path}\n" for path in paths).encode()))


def _record(kind: str, url: str, block: bytes) -> bytes:
    content = "text/plain" if kind == "warcinfo" else "application/http; msgtype=response"
    head = (
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n"
        f"Content-Type: {content}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def of_copy(base: Path, dry: bool) -> None:
    """Run the driver in this process, and print what it took."""
    before, started = time.process_time(), time.monotonic()
    job = Job(
        load_recipe("default"),
        [CRAWL],
        base / "out",
        workers=WORKERS,
        base=str(base),
        choice=Choice(domains=DOMAINS),
        alarm_rate=1.0,  # the archives have the same pages under other URLs
    )
    more: dict[str, Any]
    if dry:
        more = cost_of(job, make_plan(job), lambda: LocalEngine(WORKERS), Progress(quiet=True)).as_dict()
    else:
        info = build(job, lambda: LocalEngine(WORKERS), Progress(quiet=True)).info
        assert info is not None
        more = {"in": info["records"]["in"], "inputs": len(info["inputs"])}
    print(json.dumps({**more, **used(before), "seconds": time.monotonic() - started}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--archives", type=int, default=10_000)
    parser.add_argument("--save", action="store_true", help="Save the figures for docs/crawls.md.")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--dry", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        return task(given.task, given.folder, given.path)
    if given.folder:
        return of_copy(given.folder, given.dry)
    said = [machine_line(), *one_file(given.rows)]
    print("\n".join(said), flush=True)
    of_copies = copy(given.archives)
    print("\n".join(of_copies))
    if given.save:
        (FIGURES / "choose.txt").write_text("\n".join([*said, *of_copies]) + "\n")


if __name__ == "__main__":
    main()
