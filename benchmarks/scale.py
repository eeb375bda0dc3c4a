"""What the driver of a whole crawl takes: CPU per unit, memory, the first task, a continued run, the books.

    python -m benchmarks.scale [pass|after|all] [--smallest 1000] [--largest 1000000] [--units N …]
                            [--workers 1000] [--save]

The driver's code is the real one, from the list of a crawl to the last commit of the pass. The workers are simulated
(`benchmarks.simulated`), and so are the units: 32 for an archive, each with a commit like that of the default recipe.
Each size runs in processes of its own: one that is killed when half of the units are done, and one that continues. CPU
is that of the whole process without the simulation, and memory is the kernel's own peak (VmHWM). Of more than a million
units, the second process is killed when it has its first unit.

After the pass, `benchmarks.scale_after` runs the driver through all phases, with the default recipe and with the
comparison of lines.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jobs.build.build as driver
from benchmarks.machine import CRAWL_ARCHIVES, CRAWL_PAGES, machine_line
from benchmarks.quoted import FIGURES
from benchmarks.scale_after import KEPT, ROWS, after, made_commits, recipe
from benchmarks.simulated import Simulated
from corpus.digests import digest
from corpus.net.remote import FETCH_BYTES
from corpus.storage.commits import Commit
from corpus.storage.gathered import digest_of
from corpus.storage.store import LocalStore
from corpus.tables.ledger import add_counts, no_counts
from corpus.warc.plan import plan
from corpus.warc.source import BLOCK_BYTES, digest_of_samples
from filters import load_recipe
from jobs.browse.under_way import UnderWay
from jobs.build.plan import Build, Job
from jobs.build.volumes import MOST
from jobs.runner.execution import JobResult
from jobs.runner.progress import Progress
from jobs.runner.retries import Answer, Function, Payload
from jobs.sample.crawl import write_sample

CRAWL = "CC-MAIN-2026-43"
UNITS = 32
UNIT_BYTES = 32 << 20
UNIT_S, ARCHIVE_S = 60.0, 1.0
"""The simulated seconds for a unit, and for the division of an archive."""


class MadeUnits:
    """Tasks that give what real ones would, without reading anything. Half-way, the process may end at once."""

    def __init__(self, kill_after: int = 0, lines: bool = False) -> None:
        self.kill_after, self.done = kill_after, 0
        self.parts = {"corpus": KEPT, "ledger": ROWS, "signatures": KEPT, "samples": 9} | (
            {"lines": KEPT} if lines else {}
        )
        rules = {f"stage{n}": {f"rule{m}": n * m + 1 for m in range(3)} for n in range(9)}
        self._counts = {"in": ROWS, "kept": KEPT, "dropped": rules, "failed": {"timeout": 1}, "skipped": {}}
        self._stages = {f"stage{n}": 0.123 for n in range(12)}

    def seconds(self, function: Function, payload: Payload, now: float) -> float:
        return UNIT_S if "unit" in payload else ARCHIVE_S * len(payload["inputs"])

    def answer(self, function: Function, payload: Payload, now: float) -> Answer:
        if "inputs" in payload:
            return {"ok": self._divided(payload)}
        if self.done == self.kill_after > 0:
            report()
            os.kill(os.getpid(), 9)
        self.done += 1
        return {"ok": self.commit(payload["unit"])}

    def _divided(self, payload: Payload) -> dict[str, Any]:
        items = [
            item | {"size": UNITS * UNIT_BYTES, "identity": digest(item["name"])[:32], "tag": f"{UNITS * UNIT_BYTES} x"}
            for item in payload["inputs"]
        ]
        if payload["gathered"]:
            units = UNITS * len(items)
            return {"inputs": items, "units": units, "digest": "", "counts": self._counts, "seconds": UNIT_S * units}
        ranges = [[n * UNIT_BYTES, (n + 1) * UNIT_BYTES] for n in range(UNITS)]
        return {"inputs": items, "divided": [[["members", "gzip", "warc"], ranges]] * len(items)}

    def made(self, archive: str, number: int) -> dict[str, Any]:
        """The commit of one unit of an archive."""
        start = number * UNIT_BYTES
        layout = {"layout": "members", "codec": "gzip", "form": "warc", "identity": digest(archive)[:32]}
        where = {"warc": archive, "path": f"/crawl/{archive}", "start": start, "end": start + UNIT_BYTES}
        return self.commit({**where, **layout, "tag": f"{UNITS * UNIT_BYTES} x"})

    def commit(self, unit: dict[str, Any]) -> dict[str, Any]:
        content = {key: value for key, value in unit.items() if key not in ("path", "tag")}
        name = f"{hash(unit['warc']) & 0xFFFFFFFF:032x}{unit['start']:032x}"
        parts = [
            {"kind": kind, "key": f".work/parts/{kind}/{name[:32]}.arrow", "rows": n, "bytes": 321 * n, "sha256": name}
            for kind, n in self.parts.items()
        ]
        seen = {"warc": unit["warc"], "start": unit["start"], "ends": [unit["end"]], "location": unit["path"]}
        facts = {
            "unit": content, "counts": self._counts, "other_records": {"request": 830, "metadata": 830},
            "exceptions": [], "seconds": UNIT_S, "stages": self._stages, "reached": unit["end"],
            "seen": {**seen, "stamp": unit["tag"], "sha256": ""},
        }  # fmt: skip
        return {"key": f".work/commits/pass/{name[:32]}.json", "parts": parts, "facts": facts}


_started, _cpu = time.monotonic(), time.process_time()
_engine: Simulated


def peak() -> int:
    """The most memory of this process, in bytes, by the kernel's count."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return int(status["VmHWM"].split()[0]) << 10


def end_of_pass(
    run: Build, commits: Sequence[Commit], given_up: list[dict[str, Any]], fill: object = None
) -> JobResult:
    """What a build does with all commits, before it compares documents."""
    counts, passed = no_counts(), time.process_time()
    digest_of(commits)
    for one in commits:
        add_counts(counts, one.facts["counts"])
    read = time.process_time() - passed
    return JobResult(0, {"units": len(commits), "records": counts["in"], "read": read})


def report(**more: Any) -> None:
    """Print what this process has taken so far."""
    names = {"divide_task": "first_task", "run_unit_task": "first_unit"}
    first = {names[name]: round(at - _started, 2) for name, at in _engine.first.items()}
    cpu = time.process_time() - _cpu - _engine.cpu
    figures = {"cpu": round(cpu, 3), "peak": peak(), "held": _engine.most_held}
    print(json.dumps({**figures, **first, "seconds": round(time.monotonic() - _started, 2), **more}), flush=True)


def one(folder: Path, workers: int, kill_after: int) -> None:
    """Run the driver in this process, and print what it took."""
    global _engine
    _engine = Simulated(workers, MadeUnits(kill_after))
    driver.complete = end_of_pass
    job = Job(
        load_recipe("default"), [CRAWL], folder / "out", UNIT_BYTES, workers, limit=10**6, base=str(folder / "crawl")
    )
    done = driver.build(job, lambda: _engine, Progress(quiet=True))
    assert done.info is not None
    passed = time.monotonic()
    state = UnderWay(LocalStore(folder / "out")).state()
    report(read=done.info["read"], status=round(time.monotonic() - passed, 3), done=state["done"])


def made_crawl(folder: Path, archives: int) -> None:
    """The list of a crawl. The archives that the driver looks up are there, and they are small."""
    paths = [f"crawl-data/{CRAWL}/segments/{n // 900}/warc/{CRAWL}-{n:06d}.warc.gz" for n in range(archives)]
    listed = folder / "crawl" / "crawl-data" / CRAWL / "warc.paths.gz"
    listed.parent.mkdir(parents=True)
    listed.write_bytes(gzip.compress("".join(f"{path}\n" for path in paths).encode()))
    write_sample(folder / "sample.warc.gz", pages=50)
    for path in paths[:64]:
        (folder / "crawl" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "sample.warc.gz", folder / "crawl" / path)


def measure(units: int, workers: int) -> dict[str, Any]:
    """Run the driver for so many units, killed half-way and continued. Return the figures of both processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made_crawl(folder, -(-units // UNITS))
        command = [sys.executable, "-m", "benchmarks.scale", "--one", name, "--workers", str(workers)]
        found = [
            json.loads(subprocess.run([*command, *more], stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
            for more in (["--kill-after", str(units // 2)], ["--kill-after", "1"] if units > WHOLE else [])
        ]
        books = sum(path.stat().st_size for path in (folder / "out").rglob("*") if path.is_file())
        files = sum(path.is_file() for path in (folder / "out").rglob("*"))
    return {"units": units, "workers": workers, "first": found[0], "second": found[1], "books": books, "files": files}


def one_after(folder: Path, workers: int, lines: bool) -> None:
    """Run the driver after the pass in this process, and print what it took."""
    job = Job(
        recipe(lines), [CRAWL], folder / "out", UNIT_BYTES, workers, limit=10**6, base=str(folder / "crawl"),
        alarm_rate=1.0, keep_work=True,
    )  # fmt: skip
    after(folder / "made", job, peak)


def measure_after(units: int, workers: int, lines: bool) -> dict[str, Any]:
    """Run the driver through everything after a pass of so many units."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        made_crawl(folder, -(-units // UNITS))
        made_commits(folder / "made", units, UNITS, MadeUnits(lines=lines).made)
        command = [sys.executable, "-m", "benchmarks.scale", "--one", name, "--workers", str(workers), "--after"]
        command += ["--lines"] if lines else []
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
        books = [path.stat().st_size for path in (folder / "out").rglob("*") if path.is_file()]
    return {**json.loads(answer), "books": sum(books), "files": len(books)}


class Repeated:
    """An archive of any size: another one, over and over. It counts what is read of it."""

    name = "made.warc.gz"

    def __init__(self, archive: bytes, size: int) -> None:
        self._archive, self.size = archive, size // len(archive) * len(archive)
        self.requests = self.bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        self.requests, self.bytes = self.requests + 1, self.bytes + length
        start = offset % len(self._archive)
        return (self._archive * (2 + length // len(self._archive)))[start : start + length]


SIZES = (10**3, 10**4, 10**5, 10**6, 3 * 10**6)

WHOLE = 1_000_000
"""The most units that are all done."""

MOST_LINES = 100_000
"""The most units for which the comparison of lines is run too. It takes the same time for each unit at any size."""

ARCHIVE_BYTES = 1 << 30


def crawl(ms_per_unit: float) -> list[str]:
    """What a whole crawl takes, from what was measured of its parts."""
    with tempfile.TemporaryDirectory() as name:
        write_sample(Path(name) / "sample.warc.gz", pages=400)
        archive = (Path(name) / "sample.warc.gz").read_bytes()
    looked, divided = Repeated(archive, ARCHIVE_BYTES), Repeated(archive, ARCHIVE_BYTES)
    digest_of_samples(looked)
    units = len(plan(divided, UNIT_BYTES).ranges)
    fetched = -(-UNIT_BYTES // FETCH_BYTES) + 1  # the first ones are smaller
    stored = 4 + 1 + 1 + 1  # four parts, the commit, and a look for one before and after
    requests = looked.requests + divided.requests + units * (fetched + stored) + 4 * MOST / CRAWL_ARCHIVES
    extra = (looked.bytes + divided.bytes + units * BLOCK_BYTES) / ARCHIVE_BYTES
    speeds = (FIGURES / "vs_datatrove.txt").read_text().splitlines()
    hours = {}
    for who in ("ours", "datatrove"):
        row = next(line for line in speeds if re.match(rf"  {who} .*\(", line))
        to_pii, whole = (float(found) for found in re.findall(r"([\d.]+) \(", row)[2:4])
        start_s = 1360 / whole - 1360 / to_pii
        starts = CRAWL_ARCHIVES if who == "datatrove" else 1000
        hours[who] = (CRAWL_PAGES / to_pii / 3600, starts * start_s / 3600, start_s)
    driver = ms_per_unit * units * CRAWL_ARCHIVES / 3.6e6
    ours, theirs = hours["ours"], hours["datatrove"]
    return [
        "",
        f"A crawl of {CRAWL_ARCHIVES:,} archives of 1 GiB and {CRAWL_PAGES:,} pages "
        "like those of mixed-00000.warc.gz, pass alone:",
        f"  an archive: {units} units, {looked.requests} requests to look it up, {divided.requests} to divide it, "
        f"{requests:.0f} in all; {100 * extra:.1f}% of its bytes are read twice",
        f"  all: {units * CRAWL_ARCHIVES:,} units, {requests * CRAWL_ARCHIVES / 1e6:.0f} million requests, "
        f"{CRAWL_ARCHIVES * ARCHIVE_BYTES * (1 + extra) / 1e12:.0f} TB read",
        f"  driver: {driver:.2f} hours of one core",
        f"  ours, 1,000 workers: {ours[0]:,.0f} core-hours and {ours[1]:,.1f} for the start of workers "
        f"({ours[2]:.1f} s each), {sum(ours[:2]) / 1000:.1f} hours by the clock",
        f"  datatrove, a rank for each archive, 1,000 at a time: {theirs[0]:,.0f} core-hours and {theirs[1]:,.1f} for "
        f"the start of ranks ({theirs[2]:.1f} s each), {sum(theirs[:2]) / 1000:.1f} hours by the clock",
        f"  work that a kill costs at most: ours {ours[0] / units / CRAWL_ARCHIVES * 3600:.0f} s of a core, "
        f"datatrove {theirs[0] / CRAWL_ARCHIVES * 3600:.0f} s",
    ]


STEPS = {"read_pass": "read", "compare_documents": "documents", "compare_lines": "lines", "pack": "pack",
         "make_index": "index", "run_info": "run.json", "finish": "end"}  # fmt: skip
HEAD_AFTER = f"  units recipe    tasks  {'  '.join(f'{name:>9}' for name in STEPS.values())}   peak MB  books MB"


def line_after(found: dict[str, Any], lines: bool) -> str:
    steps, units = found["steps"], found["units"]
    each = "  ".join(f"{1000 * steps[name]['cpu'] / units:6.3f} ms" if name in steps else f"{'–':>9}" for name in STEPS)
    most = max(step["peak"] for step in steps.values()) >> 20
    name = "lines" if lines else "default"
    return f"{units:7d} {name:7} {found['tasks']:7d}  {each} {most:9d} {found['books'] / 1e6:9.1f}"


HEAD = "  units workers   pass/unit  read/unit  peak MB first task first unit continued   state   books MB  files"


def ms_of_pass(found: dict[str, Any]) -> float:
    """The CPU time of the pass for each unit, in milliseconds."""
    half, rest = found["first"], found["second"]
    if "read" not in rest:
        return 1000 * half["cpu"] / (found["units"] // 2)
    return 1000 * (half["cpu"] + rest["cpu"] - rest["read"]) / int(found["units"])


def line(found: dict[str, Any]) -> str:
    half, rest = found["first"], found["second"]
    peak = max(half["peak"], rest["peak"]) >> 20
    read, state = "      –   ", "    –  "
    if "read" in rest:
        read, state = f"{1000 * rest['read'] / found['units']:7.3f} ms", f"{rest['status']:5.2f} s"
    return (
        f"{found['units']:7d} {found['workers']:7d} {ms_of_pass(found):8.3f} ms {read} {peak:8d} "
        f"{half['first_task']:8.1f} s {half['first_unit']:8.1f} s {rest['first_unit']:7.1f} s {state} "
        f"{found['books'] / 1e6:10.1f} {found['files']:6d}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["all", "pass", "after"], default="all")
    parser.add_argument("--smallest", type=int, default=10**3)
    parser.add_argument("--largest", type=int, default=10**6)
    parser.add_argument("--units", type=int, nargs="+", help="Other sizes than 1000, 10,000 and so on.")
    parser.add_argument("--workers", type=int, action="append")
    parser.add_argument("--save", action="store_true", help="Save the figures for docs/scale.md.")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--after", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--lines", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--kill-after", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one and given.after:
        one_after(given.one, given.workers[0], given.lines)
        return
    if given.one:
        one(given.one, given.workers[0], given.kill_after)
        return
    sizes = given.units or [size for size in SIZES if given.smallest <= size <= given.largest]
    saved = FIGURES / "scale.txt"
    parts = saved.read_text().split("\n\n")
    """The pass, a whole crawl, and the phases after the pass."""
    if given.what in ("all", "pass"):
        said, ms_per_unit = [machine_line(), HEAD], 0.0
        print("\n".join(said), flush=True)
        for workers in given.workers or [10_000, 1000]:
            for size in sizes:
                found = measure(size, workers)
                ms_per_unit = ms_of_pass(found)
                said.append(line(found))
                print(said[-1], flush=True)
        derived = crawl(ms_per_unit)
        print("\n".join(derived), flush=True)
        parts[:2] = ["\n".join(said), "\n".join(derived[1:])]
    if given.what in ("all", "after"):
        said = [machine_line(), HEAD_AFTER]
        print("\n".join(said), flush=True)
        for size in sizes:
            for lines in (False, True) if size <= MOST_LINES else (False,):
                said.append(line_after(measure_after(size, (given.workers or [1000])[0], lines), lines))
                print(said[-1], flush=True)
        parts[2:] = ["\n".join(said)]
    if given.save:
        saved.write_text("\n\n".join(part.strip("\n") for part in parts) + "\n")


if __name__ == "__main__":
    main()
