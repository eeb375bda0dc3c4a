"""A long run: memory stays flat, and no file handle, shared memory or temporary file is left behind or piles up."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from corpus.run import open_run
from tests.faults.soak import write_archives
from tests.jobs.build.test_real import own_pss
from tests.processes import descendants

PAGES = int(os.environ.get("CORPUS_SOAK_PAGES", "1000000"))
GROWTH = 1.1
"""The factor by which the memory of the last third may exceed that of the second. Caches fill in the first, since the
memos of words are small here. Of their real size, they fill until 150,000 of these pages have passed each worker."""
SMALL_MEMOS = Path(__file__).parent / "small_memos.py"


@dataclass
class Watch:
    """The resources that a run and all its processes held, sample by sample."""

    folder: Path
    bytes: list[int] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    scratch: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def sample(self, pid: int, out: Path) -> None:
        family = descendants(pid)
        self.bytes.append(sum(map(own_pss, family)))
        self.handles.append(sum(map(open_files, family)))
        self.shared.append(len(os.listdir("/dev/shm")))
        self.scratch.append(count(self.folder) + count(out / ".work" / "tmp"))

    def third(self, values: list[int], which: int) -> float:
        """The mean of the first, second or last third of the samples."""
        part = values[len(values) * which // 3 : len(values) * (which + 1) // 3]
        return sum(part) / len(part)


def open_files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def count(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0


def soak(folder: Path, pages: int, every_s: float) -> tuple[Watch, dict[str, int]]:
    """Build `pages` pages with two workers and the default recipe, and watch it."""
    given = folder / "in"
    given.mkdir()
    write_archives(given, pages)
    temporary, out = folder / "tmp", folder / "out"
    temporary.mkdir()
    shared_before = set(os.listdir("/dev/shm"))
    watch = Watch(temporary)
    command = [sys.executable, "-m", "jobs.cli", "build", str(given), "-o", str(out), "--workers", "2"]
    started = time.monotonic()
    process = subprocess.Popen(
        [*command, "--unit-mb", "4", "--allow-module", str(SMALL_MEMOS)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    while True:
        try:
            process.wait(timeout=every_s)
            break
        except subprocess.TimeoutExpired:
            watch.sample(process.pid, out)
    watch.seconds = time.monotonic() - started
    assert process.returncode == 0
    assert count(temporary) == 0
    assert set(os.listdir("/dev/shm")) <= shared_before
    run = open_run(out)
    run.verify()
    records: dict[str, int] = run.info["records"]
    assert records["in"] == pages
    return watch, records


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
def test_memory_and_handles_stay_flat(tmp_path, record_result) -> None:
    watch, records = soak(tmp_path, PAGES, every_s=2.0)
    assert len(watch.bytes) >= 30, "too short a run to say anything"
    second, last = watch.third(watch.bytes, 1), watch.third(watch.bytes, 2)
    handles = watch.third(watch.handles, 1), watch.third(watch.handles, 2)
    scratch = max(watch.scratch)
    record_result(
        f"soak of {PAGES:,} pages, 2 workers",
        tried=PAGES,
        survived=records["in"],
        measured=(
            f"memory {second / (1 << 20):,.0f} → {last / (1 << 20):,.0f} MB (peak {max(watch.bytes) >> 20:,}), "
            f"handles {handles[0]:.0f} → {handles[1]:.0f}, scratch files at most {scratch}, "
            f"{watch.seconds / 60:.0f} min"
        ),
        limit=f"memory × {GROWTH}",
    )
    assert last <= second * GROWTH
    assert handles[1] <= handles[0] + 4
    assert max(watch.shared) <= watch.shared[0] + 2
    assert watch.third(watch.scratch, 2) <= watch.third(watch.scratch, 1) + 4


@pytest.mark.slow
def test_a_worker_leaves_no_handles_behind(tmp_path) -> None:
    """Workers die and are started again, and the guard stays: everything that they opened is closed."""
    from corpus.sandbox.guard import Guard
    from tests.corpus.sandbox.test_guard import SETTINGS, GuardedRun, crawl, recipe
    from tests.stubs import FACTORY

    guard = Guard(recipe(), FACTORY, SETTINGS)
    path = crawl(tmp_path / "w.warc.gz", "a", "exit", "b")
    GuardedRun(guard, path)
    before = open_files(os.getpid())
    for _ in range(2):
        GuardedRun(guard, path)
    assert open_files(os.getpid()) == before
    guard.close()
    assert open_files(os.getpid()) < before
