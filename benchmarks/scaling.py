"""The cost of workers, of guard and Ray, and of more pages: `python -m benchmarks.scaling [PART...] [--save]`.

The parts are `workers`, `overhead` and `growth`. `workers` builds the same archives with one and with two workers, in
turns. To show what the machine itself can give, it also times two builds of one worker at once against one alone.
`overhead` is the CPU time per page beyond start-up (a run over a sample crawl) of the stages alone, of the stages in a
page worker behind the guard, and of whole builds, without Ray and on it. `growth` builds 10,000 and 50,000 pages, which
are real ones with one word in eight changed in each copy, and compares the CPU time per page, dedup and packing
included. Builds are timed from start to end, without Ray unless it is named. CPU time is that of all their processes.
"""

import argparse
import gzip
import hashlib
import io
import json
import logging
import multiprocessing
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from benchmarks.machine import adopt_orphans, cpu_of_children, cpu_of_the_rest, machine_line, run_measured, shared_data
from corpus.cpus import usable_cpus
from corpus.sandbox.guard import Guard
from corpus.sandbox.page_worker import settle
from corpus.sandbox.unit import run_unit
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from corpus.warc.source import LocalSource
from filters import load_recipe
from jobs.build.contents import plan_all
from jobs.build.inputs import find_inputs
from jobs.build.plan import UNIT_BYTES
from jobs.sample.crawl import write_sample

FIGURES = Path(__file__).parent / "figures"
ARCHIVES = ("mixed-00000.warc.gz", "mixed-00001.warc.gz", "english-00000.warc.gz")
ROUNDS = 3
_TEXT = re.compile(r">[^<>]{20,}<")
_WORD = re.compile(r"[A-Za-z]{4,}")


def command(archives, out, workers, *more, ray=False):
    return [
        sys.executable, "-m", "jobs.cli", "build", *map(str, archives), "-o", str(out), "--recipe", "fineweb",
        *(["--ray"] if ray else []), "--workers", str(workers), "--no-index", *more,
    ]  # fmt: skip


def build(archives, out, workers, *more):
    """Wall and CPU seconds of a build, its run.json and timings."""
    wall, cpu, _ = run_measured(command(archives, out, workers, *more))
    return wall, cpu, json.loads((out / "run.json").read_text()), json.loads((out / "timings.json").read_text())


def workers(say):
    archives = [shared_data() / "warc" / name for name in ARCHIVES]
    gains, limits, cpus = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            small = ("--unit-mb", "1.2")
            one, cpu_one, _, timings = build(archives, Path(folder) / f"one{number}", 1, *small)
            two, cpu_two, *_ = build(archives, Path(folder) / f"two{number}", 2, *small)
            started = time.monotonic()
            both = [
                subprocess.Popen(
                    command(archives, Path(folder) / f"{name}{number}", 1, *small),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                for name in ("left", "right")
            ]
            assert all(child.wait() == 0 for child in both)
            gains.append(one / two)
            limits.append(2 * one / (time.monotonic() - started))
            cpus.append(cpu_two / cpu_one)
            say(f"  {one:.1f} s with one worker, {two:.1f} s with two: {gains[-1]:.2f} times as fast;"
                f" two builds at once: {limits[-1]:.2f} times; CPU with two: {cpus[-1]:.2f} times")  # fmt: skip
    units, gain, limit = timings["pass"]["units"], sorted(gains)[ROUNDS // 2], sorted(limits)[ROUNDS // 2]
    say(f"Two workers, {units} units: {gain:.2f} times as fast as one, start-up and packing included;")
    say(f"the machine gives two independent builds {limit:.2f} times.")


def overhead(say):
    archives = [shared_data() / "warc" / name for name in ARCHIVES]
    pages = sum(1 for path in archives for item in read_warc(path) if isinstance(item, Record) and item.judged)
    took: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample.warc.gz"
        write_sample(sample, pages=50)
        for number in range(ROUNDS):
            for name, way in WAYS.items():
                start = cpu_of(way, [sample], Path(folder) / f"{name}{number}-start")
                took[name].append(1e3 * (cpu_of(way, archives, Path(folder) / f"{name}{number}") - start) / pages)
    say(f"CPU time of a page beyond start-up, ms, median (min–max) of {ROUNDS} rounds over {pages:,} pages, one worker")
    for name, values in took.items():
        low, middle, high = min(values), sorted(values)[ROUNDS // 2], max(values)
        say(f"  {name:28}{middle:6.2f} ({low:.2f}–{high:.2f})")


def cpu_of(way, archives, out):
    """The CPU seconds of one way to process archives, in a process of its own and all processes that it starts."""
    before = cpu_of_children()
    process = multiprocessing.get_context("spawn").Process(target=to_the_end, args=(way, archives, out))
    process.start()
    process.join()
    assert process.exitcode == 0
    return cpu_of_children() - before


def to_the_end(way, archives, out):
    """Process archives in one way, and wait until all processes that this leaves have ended, so that their CPU time
    counts: Ray does not wait for its own."""
    adopt_orphans()
    way(archives, out)
    cpu_of_the_rest()


def bare(archives, out):
    pipeline = load_recipe("fineweb").pipeline()
    pipeline.prepare()
    settle()
    for unit in units_of(archives):
        with closing(LocalSource(unit.path)) as source:
            for _ in run_unit(pipeline, source, unit):
                pass


def guarded(archives, out):
    guard = Guard(load_recipe("fineweb").canonical(), "filters:recipe_from_dict")
    for unit in units_of(archives):
        guard.run(unit, lambda batch: None)
    guard.close()


def units_of(archives):
    return plan_all(find_inputs([str(path) for path in archives]), UNIT_BYTES)


def built(archives, out, ray=False):
    subprocess.run(command(archives, out, 1, ray=ray), check=True, capture_output=True)


def built_on_ray(archives, out):
    built(archives, out, ray=True)


WAYS = {
    "the stages alone": bare,
    "behind the guard": guarded,
    "whole build": built,
    "whole build on Ray": built_on_ray,
}


def growth(say):
    with tempfile.TemporaryDirectory() as folder:
        archives = changed_copies(shared_data() / "warc", Path(folder) / "in", 17)
        each = {}
        for pages, chosen in ((10_000, archives[:10]), (50_000, archives)):
            wall, cpu, info, _ = build(chosen, Path(folder) / f"out{pages}", usable_cpus())
            count, kept, removed = info["records"]["in"], info["records"]["kept"], info["dedup"]["removed"]["all"]
            each[pages] = cpu / count
            say(f"  {count:,} pages: {1e3 * cpu / count:.2f} ms of CPU a page, {wall:.0f} s, {kept:,} kept,"
                f" {removed:,} removed as duplicates")  # fmt: skip
    say(f"Cost of a page, 50,000 against 10,000: {each[50_000] / each[10_000] - 1:+.1%}.")


def changed_copies(folder, out, copies):
    """Write copies of the real archives, with the words of each copy changed in its own way. Return the paths, copy by
    copy."""
    out.mkdir()
    work = [(folder / name, copy, out / f"copy{copy:02}-{name}") for copy in range(copies) for name in ARCHIVES]
    with ProcessPoolExecutor() as pool:
        list(pool.map(changed_copy, *zip(*work, strict=True)))
    return [path for _, _, path in work]


def changed_copy(archive, copy, path):
    logging.getLogger("warcio").setLevel(logging.ERROR)  # it warns of each URL with a space
    writer = WARCWriter(io.BytesIO(), gzip=False)
    with open(archive, "rb") as source, open(path, "wb") as target:
        for record in ArchiveIterator(source):
            if record.rec_type == "response":
                member = io.BytesIO()
                writer.out = member
                writer.write_record(changed(writer, record, copy))
                target.write(gzip.compress(member.getvalue(), 1))  # the writer's own level is five times as slow


def changed(writer, record, copy):
    html = record.content_stream().read().decode("utf-8", "surrogateescape")
    text = _TEXT.sub(lambda text: _WORD.sub(lambda word: changed_word(copy, word[0]), text[0]), html)
    headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], "HTTP/1.1")
    url = f"{record.rec_headers.get_header('WARC-Target-URI')}?{copy}"
    payload = io.BytesIO(text.encode("utf-8", "surrogateescape"))
    return writer.create_warc_record(url, "response", payload=payload, http_headers=headers)


@lru_cache(100_000)
def changed_word(copy, word):
    key = hashlib.blake2b(f"{copy} {word}".encode(), digest_size=1).digest()
    return word[::-1] if key[0] % 8 == 0 else word


PARTS = {"workers": workers, "overhead": overhead, "growth": growth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--save", action="store_true", help="keep each part in figures/scaling_PART.txt")
    options = parser.parse_args()
    for part in options.parts or PARTS:
        lines: list[str] = []

        def say(line, lines=lines):
            print(line, flush=True)
            lines.append(line)

        say(machine_line())
        PARTS[part](say)
        say(f"after it, {machine_line()}")
        if options.save:
            (FIGURES / f"scaling_{part}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
