"""A fuzzer: mutated real pages through all stages of the default recipe.

    python -m tests.faults.fuzz --minutes 15 [--seed 1] [WARC …]

Each page must give an outcome and no exception, the same outcome twice, the text of trafilatura by fast extraction, and
all of this within a bound of CPU time. Pages that fail are saved in build/fuzz. `--shrink FILE` makes such a page
small. With its words replaced it can become a fixture in tests/faults/data. A page that kills or hangs the process is
found as well: a child judges the pages, and notes each page before it touches it.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.machine import find_shared_data, machine_line
from corpus.pipeline import Pipeline
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters import load_recipe
from filters.extract.page import Page
from filters.extract.precision_mode import extract, plain_extract
from filters.extract.structure import SURE_DEPTH
from tests.faults.mutate import _CHARSETS, mutated
from tests.warcs import WORDS, http, page

FOUND = Path(__file__).parents[2] / "build" / "fuzz"
MOST_SECONDS = 10.0
"""The CPU seconds that one page may take, twice through the recipe. A page worker allows three times as much for
once."""
_HANG_S = 120
_PAGES = 500


def real_pages(archives: list[str], most: int = _PAGES) -> list[bytes]:
    """Bodies of real pages, by default from the shared data, or of made pages if there is none."""
    folder = find_shared_data()
    if not archives and folder is not None:
        archives = [str(path) for path in sorted((folder / "warc").glob("*.warc.gz"))]
    bodies: list[bytes] = []
    for archive in archives:
        responses = (item for item in read_warc(archive) if isinstance(item, Record) and item.kind == "response")
        for item in itertools.islice(responses, most // len(archives)):
            body = Page(item).body
            if 200 < len(body) < 200_000:
                bodies.append(body)
    return bodies or [page(f"Page {i}", WORDS[i * 7 :]) + b"<table><tr><td>1</td></tr></table>" for i in range(20)]


@cache
def pipeline() -> Pipeline:
    made = load_recipe("default").pipeline()
    made.prepare()
    return made


def judged(body: bytes, charset: str = "") -> tuple[Any, ...]:
    """Everything that a run would write about a page."""
    content_type = f"text/html; charset={charset}" if charset else "text/html"
    block = http(body, content_type=content_type)
    item = Record(
        "w", 0, "response", {"warc-target-uri": "http://a.example/", "content-type": "application/http"}, block, 0
    )
    outcome = pipeline().judge_record(item)
    assert outcome is not None
    return outcome.outcome, outcome.stage, outcome.rule, outcome.value, outcome.measures, outcome.text


def fault_of(body: bytes, charset: str = "", most_seconds: float = math.inf) -> str:
    """Return what goes wrong with a page, or "" if nothing does. A page is slow if it takes more than `most_seconds` of
    CPU time."""
    started = time.process_time()
    try:
        first = judged(body, charset)
        if first[0] == "failed":
            return f"failed: {first[1]} {first[2]}"
        if repr(judged(body, charset)) != repr(first):
            return "not deterministic"
        if time.process_time() - started > most_seconds:
            return "slow"
        block = http(body, content_type=f"text/html; charset={charset}" if charset else "text/html")
        seen = Page(Record("w", 0, "response", {}, block, 0))
        small = seen.structure.tags <= 20_000 and seen.structure.attributes <= 5_000
        if (
            small
            and seen.structure.depth <= SURE_DEPTH
            and _result(extract, seen.html) != _result(plain_extract, seen.html)
        ):
            return "fast extraction differs"
    except Exception as error:
        return f"escaped: {type(error).__name__}"
    return ""


def _result(function: Callable[[str], str | None], html: str) -> str | None:
    try:
        return function(html)
    except Exception as error:
        return f"raises {type(error).__name__}"


def page_of_seed(seed: int, bodies: list[bytes]) -> tuple[bytes, str, list[str]]:
    """The mutated page of a seed, the charset that its header names, and what was done to it."""
    chance = random.Random(seed)
    body, names = mutated(chance, chance.choice(bodies), chance.choice(bodies))
    charset = chance.choice(_CHARSETS).decode() if chance.random() < 0.2 else ""
    return body, charset, names


def work(seed: int, minutes: float, archives: list[str]) -> None:
    """Judge one page after another, as the child. Note each page before it is touched, and print a line of JSON for
    it."""
    bodies = real_pages(archives)
    fault_of(bodies[0])  # loads all models
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process even if it hangs in C
    until = time.monotonic() + minutes * 60
    slowest = 0.0
    while time.monotonic() < until:
        body, charset, names = page_of_seed(seed, bodies)
        (FOUND / "current.html").write_bytes(body)
        (FOUND / "current.json").write_text(json.dumps({"seed": seed, "charset": charset, "mutations": names}))
        started = time.process_time()
        signal.alarm(_HANG_S)
        fault = fault_of(body, charset, MOST_SECONDS)
        signal.alarm(0)
        slowest = max(slowest, time.process_time() - started)
        said = {"seed": seed, "fault": fault, "mutations": names, "charset": charset}
        if fault:
            said["file"] = save(body)
        print(json.dumps(said | {"slowest": slowest}), flush=True)
        seed += 1


def save(body: bytes) -> str:
    file = FOUND / f"{hashlib.sha256(body).hexdigest()[:16]}.html"
    file.write_bytes(body)
    return str(file)


def run(seed: int, minutes: float, archives: list[str]) -> dict[str, Any]:
    """Start children until the time is up, and return the counts."""
    FOUND.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + minutes * 60
    pages, slowest = 0, 0.0
    faults: list[dict[str, Any]] = []
    mutations: Counter[str] = Counter()
    while (left := until - time.monotonic()) > 1:
        command = [
            sys.executable,
            "-m",
            "tests.faults.fuzz",
            "--child",
            "--seed",
            str(seed),
            "--minutes",
            str(left / 60),
        ]
        child = subprocess.Popen([*command, *archives], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for line in child.stdout:
            said = json.loads(line)
            pages, seed, slowest = pages + 1, said["seed"] + 1, max(slowest, said["slowest"])
            mutations.update(said["mutations"])
            if said["fault"]:
                faults.append(said)
                print(json.dumps(said), file=sys.stderr, flush=True)
        if child.wait() != 0:  # it died at a page
            noted = json.loads((FOUND / "current.json").read_text())
            fault = "hang" if child.returncode == -signal.SIGALRM else f"died with {child.returncode}"
            faults.append(noted | {"fault": fault, "file": save((FOUND / "current.html").read_bytes())})
            print(json.dumps(faults[-1]), file=sys.stderr, flush=True)
            pages, seed = pages + 1, noted["seed"] + 1
    return {
        "machine": machine_line(), "minutes": minutes, "pages": pages, "slowest_cpu_s": round(slowest, 2),
        "faults": dict(Counter(fault["fault"] for fault in faults)), "mutations": dict(sorted(mutations.items())),
    }  # fmt: skip


def shrink(body: bytes, charset: str = "") -> bytes:
    """Return the page without everything that its fault does not need."""
    fault = fault_of(body, charset, MOST_SECONDS)
    size = len(body) // 2
    while size:
        at = 0
        while at < len(body):
            shorter = body[:at] + body[at + size :]
            if shorter and fault_of(shorter, charset, MOST_SECONDS) == fault:
                body = shorter
            else:
                at += size
        size //= 2
    return body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="*", metavar="WARC")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shrink", type=Path, metavar="FILE")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.shrink:
        sys.stdout.buffer.write(shrink(given.shrink.read_bytes()))
    elif given.child:
        work(given.seed, given.minutes, given.archives)
    else:
        os.nice(10)
        found = run(given.seed, given.minutes, given.archives)
        print(json.dumps(found, indent=1))
        sys.exit(1 if found["faults"] else 0)


if __name__ == "__main__":
    main()
