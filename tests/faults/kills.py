"""Commands that are killed and run again, and the books of what was done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from signal import SIGKILL

from tests.jobs.build.test_build import tree
from tests.processes import command_line, descendants

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0
"""How long after a command processes of it may be left."""
_DEADLINE_S = 300.0


class Kept:
    """A command under `tests.faults.keeper`."""

    def __init__(self, command: list[str], folder: Path, environ: dict[str, str]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.trace = folder / "trace"
        own = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "CORPUS_CRASH_"))}
        own |= {"PYTHONPATH": str(ROOT), "CORPUS_CRASH_TRACE": str(self.trace), **environ}
        keeper = [sys.executable, "-m", "tests.faults.keeper", str(folder), str(PATIENCE_S)]
        with open(folder / "said", "wb") as said:
            self._keeper = subprocess.Popen([*keeper, *command], cwd=ROOT, env=own, stdout=said, stderr=said)
        self.pid = int(self._told("pid"))

    def _told(self, name: str) -> str:
        file = self.folder / name
        wait_for(lambda: file.exists() or self._keeper.poll() is not None)
        return file.read_text()

    def exit(self) -> int:
        """The command's exit status, once it has one."""
        return int(self._told("exit"))

    def running(self) -> bool:
        return not (self.folder / "exit").exists()

    def end(self) -> float:
        """How many seconds after the command its last process ended."""
        wait_for(lambda: self._keeper.poll() is not None)
        told = json.loads((self.folder / "end").read_text())
        assert not told["left"], f"{PATIENCE_S} s after {self.folder.name} there are still {told['left']}"
        return float(told["seconds"])

    def lines(self) -> list[str]:
        """The points that were reached so far, each with the process that reached it."""
        return self.trace.read_text().splitlines() if self.trace.exists() else []

    def find(self, says: str) -> list[int]:
        """The processes of the command whose command line has these words."""
        return [pid for pid in descendants(self._keeper.pid)[1:] if says in command_line(pid)]

    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")


def wait_for(true: Callable[[], bool], seconds: float = _DEADLINE_S) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.005)


def begun(lines: list[str]) -> int:
    """Pieces of work that were begun: units, pieces of dedup, output files."""
    return sum(line.split()[0].endswith("_begun") for line in lines)


def under_way(lines: list[str]) -> int:
    """Pieces of work that were begun and not committed."""
    return begun(lines) - sum(line.startswith("after_commit ") for line in lines)


@dataclass
class Work:
    """A command less its output folder, what it leaves there undisturbed, and the points that it reaches then."""

    name: str
    command: list[str]
    folder: Path
    workers: int = 2
    whole: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def measure(self) -> None:
        """Run it undisturbed."""
        done = self.start("whole", self.folder / "whole")
        assert done.exit() == 0, done.said()
        self.lines = done.lines()
        self.whole = tree(self.folder / "whole")
        assert begun(self.lines) > 0 == under_way(self.lines)

    def start(self, name: str, out: Path, **environ: str) -> Kept:
        made = Kept([*self.command, str(out)], self.folder / "kept" / f"{len(self.kept):03d}-{name}", environ)
        self.kept.append(made)
        return made

    def points(self) -> list[str]:
        """The points, in the order in which they are reached first."""
        return list(dict.fromkeys(line.split()[0] for line in self.lines))

    def times(self, point: str) -> int:
        return sum(line.startswith(f"{point} ") for line in self.lines)

    def slowest_end(self) -> float:
        """The longest time for which processes of a command were left."""
        return max(made.end() for made in self.kept)


@dataclass
class Story:
    """One output folder, in which a command is run and killed until it gets to its end."""

    work: Work
    name: str
    kills: int = 0
    allowed: int = 0
    """Pieces of work that were under way when something was killed, and so may be done again."""
    _runs: list[tuple[Kept, int]] = field(default_factory=list)
    """Each run, and how many pieces of work it had begun when it ended: what a Ray worker began after the driver's
    death was under way, too."""

    @property
    def out(self) -> Path:
        return self.work.folder / self.name

    @property
    def last(self) -> Kept:
        """The run before."""
        return self._runs[-1][0]

    def crash(self, point: str, times: int = 1) -> bool:
        """Run it with SIGKILL at a point; whether it got there. A Ray worker's death does not end the command."""
        once = self.work.folder / f"{self.name}-{len(self._runs)}-{point}"
        run = self._start(point, CORPUS_CRASH_AT=f"{point}:{times}", CORPUS_CRASH_ONCE=str(once))
        if self._ended(run):
            assert once.exists(), run.said()
        elif once.exists():
            self._killed(run, once.read_text())
        return once.exists()

    def kill_driver(self, lines: int) -> bool:
        """Run it, with SIGKILL once it has reached so many points; whether it got there."""
        run = self._start(f"after-{lines}")
        wait_for(lambda: len(run.lines()) >= lines or not run.running())
        if run.running():
            os.kill(run.pid, SIGKILL)
        return self._ended(run)

    def kill_others(self, says: str, points: str, counts: Iterable[int], chance: Random) -> int:
        """Run it to its end, and kill one of the processes whose command line has these words each time that so many
        points of a kind were reached; how many were killed."""
        run = self._start(f"kill-{says.split()[-1]}".replace(":", ""))
        before = self.kills
        for count in sorted(counts):

            def ready(count: int = count) -> bool:
                return sum(line.startswith(points) for line in run.lines()) >= count and bool(run.find(says))

            wait_for(lambda ready=ready: not run.running() or ready())
            found = run.find(says)
            if found:
                victim = chance.choice(found)
                with suppress(ProcessLookupError):
                    os.kill(victim, SIGKILL)
                    self._killed(run, str(victim))
        assert not self._ended(run)
        return self.kills - before

    def finish(self) -> None:
        """Run it to its end: the same bytes as undisturbed, and nothing else left."""
        assert not self._ended(self._start("last"))
        self._check()
        worked = [place for place, (run, _) in enumerate(self._runs) if begun(run.lines())]
        for run, _ in self._runs[: worked[-1]]:  # one that was killed when all was done has no next run with work to do
            assert not list(Path("/tmp").glob(f"corpus-ray-*/*/session_*_{run.pid}"))

    def done_again(self) -> int:
        """How many pieces of work were done again, once no process is left that could: at most what was under way."""
        for run, _ in self._runs:
            run.end()
        self._check()  # nor did what was left come back to write something
        late = sum(begun(run.lines()) - count for run, count in self._runs)
        again = sum(begun(run.lines()) for run, _ in self._runs) - begun(self.work.lines)
        assert 0 <= again <= self.allowed + late, f"{again} were done again, {self.allowed} + {late} were under way"
        return again

    def _check(self) -> None:
        assert tree(self.out) == self.work.whole
        assert not (self.out / ".work").exists()

    def _start(self, name: str, **environ: str) -> Kept:
        return self.work.start(f"{self.name}-{name}", self.out, **environ)

    def _ended(self, run: Kept) -> bool:
        """Wait for a run, and count it; whether it was killed."""
        code = run.exit()
        lines = run.lines()
        self._runs.append((run, begun(lines)))
        assert code in (0, -SIGKILL), run.said()
        if code:
            self.kills += 1
            open_now = under_way(lines)
            assert open_now <= self.work.workers
            self.allowed += open_now
        return bool(code)

    def _killed(self, run: Kept, pid: str) -> None:
        """Count the death of another process than the command's own."""
        self.kills += 1
        self.allowed += under_way([line for line in run.lines() if line.split()[1] == pid])
