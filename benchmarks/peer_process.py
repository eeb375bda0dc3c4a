"""The peer's environment, and the run of a command on one CPU with its CPU time and its memory."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import adopt_orphans, cpu_of_the_rest
from filters.url.blocklist import build_blocklist

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
VENV = BUILD / "peer-venv"
NEWER = BUILD / "peer-trafilatura"
BLOCKLIST = BUILD / "peer.blocklist"


@dataclass(frozen=True)
class Side:
    """One of the programs that are compared: its name in the tables and the command that judges archives."""

    name: str
    command: list[str]
    job: dict
    environment: dict[str, str] = field(default_factory=dict)
    peer: bool = False


def make_environment() -> None:
    """Make the peer's virtual environment, a folder with trafilatura 2.3.1 to lay over it, and its block lists in our
    form."""
    wanted, newer = (Path(__file__).parent / "peer" / name for name in ("requirements.txt", "newer.txt"))
    stamp = VENV / "installed"
    digest = hashlib.sha256(wanted.read_bytes() + newer.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"Installing the peer into {VENV} …", file=sys.stderr)
        shutil.rmtree(VENV, ignore_errors=True)
        shutil.rmtree(NEWER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        pip = [str(VENV / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", wanted], check=True)
        subprocess.run([*pip, "--no-deps", "--target", NEWER, "-r", newer], check=True)
        stamp.write_text(digest)
    if not BLOCKLIST.exists():
        (assets,) = VENV.glob("lib/python*/site-packages/datatrove/assets")
        words = [assets / f"{kind}.txt" for kind in ("banned_words", "soft_banned_words", "banned_subwords")]
        build_blocklist([assets / "url_filterblacklistsv0_3_0.tar.gz", *words], BLOCKLIST)


class Memory(threading.Thread):
    """Samples the memory of a process and its descendants: the highest PSS, and the highest PSS that is no mapped
    file, in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.pss, self.own = pid, 0, 0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(1.0):
            sizes = [_rollup(pid) for pid in _descendants(self.pid)]
            self.pss = max(self.pss, sum(pss for pss, _ in sizes))
            self.own = max(self.own, sum(pss - mapped for pss, mapped in sizes))

    def end(self) -> None:
        self._ended.set()
        self.join()


def _descendants(root: int) -> list[int]:
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _rollup(pid: int) -> tuple[int, int]:
    """(PSS, the part of it that is mapped files), in bytes."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    except OSError:
        return 0, 0
    pss, mapped = (int(lines.get(name, "0 kB").split()[0]) << 10 for name in ("Pss", "Pss_File"))
    return pss, mapped


def run_pinned(command: list, cpu: int, environment: dict[str, str] | None = None) -> dict[str, float]:
    """Run a command and its children on one CPU. Return the CPU seconds of all, the wall seconds, and the peak memory
    in bytes."""
    adopt_orphans()
    started = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
    )  # fmt: skip
    memory = Memory(process.pid)
    memory.start()
    assert process.stderr is not None
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu_seconds = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    memory.end()
    cpu_seconds += cpu_of_the_rest()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}:\n{complaint.decode(errors='replace')[-4000:]}")
    return {"cpu": cpu_seconds, "wall": wall, "pss": memory.pss, "own": memory.own}
