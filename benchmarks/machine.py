"""The machine that a benchmark runs on, the folder of real data, and the size of a crawl."""

import ctypes
import os
import platform
import resource
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from corpus.cpus import usable_cpus

CRAWL_ARCHIVES, CRAWL_PAGES = 90_000, 2_400_000_000
"""One Common Crawl."""

_PR_SET_CHILD_SUBREAPER = 36


def machine_line() -> str:
    """One line: processor, cores, load, Python."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    load = os.getloadavg()[0]
    return f"machine: {model}, {usable_cpus()} cores, load {load:.1f}, Python {platform.python_version()}"


def find_shared_data() -> Path | None:
    """The folder of real data, which is no part of the repository (CORPUS_SHARED_DATA). None if it is absent."""
    folder = Path(os.environ.get("CORPUS_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    return folder if folder.is_dir() else None


def shared_data() -> Path:
    """The folder of real data. Ends the program if it is absent."""
    folder = find_shared_data()
    if folder is None:
        raise SystemExit(
            "There is no real data here. Set CORPUS_SHARED_DATA to its folder, or name archives (the peer: and --warm)."
        )
    return folder


def real_archives() -> list[Path]:
    """The archives of the real data that can be read as they are."""
    wild = (path for path in (shared_data() / "wild").rglob("*") if path.is_file())
    return sorted((shared_data() / "warc").glob("*.warc.gz")) + sorted(
        path for path in wild if not path.name.endswith((".paths.gz", ".lz4"))
    )


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def adopt_orphans() -> None:
    """From now on, wait for processes whose parents ended before them, so that their CPU time counts here."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def cpu_of_the_rest() -> float:
    """Wait for all processes that are left. Return their CPU seconds."""
    before = cpu_of_children()
    with suppress(ChildProcessError):  # there are no more
        while True:
            os.wait()
    return cpu_of_children() - before


def run_measured(command: Sequence[str]) -> tuple[float, float, str]:
    """Run a command. Return its wall seconds, the CPU seconds of all processes that it started, and what it printed.

    Ends the program with what the command says if it fails.
    """
    adopt_orphans()
    others, before, started = _children(), cpu_of_children(), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    wall = time.monotonic() - started
    while left := _children() - others:  # the page worker of a build ends after its supervisor
        os.waitpid(left.pop(), 0)
    return wall, cpu_of_children() - before, done.stdout


def _children() -> set[int]:
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}
