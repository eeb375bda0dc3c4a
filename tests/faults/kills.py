"""Commands that are killed and run again, with a count of the work that was done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from signal import SIGKILL

from jobs.build.units import WRITERS
from tests.jobs.build.test_build import tree
from tests.processes import command_line, descendants
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
OUTLIVES_S = 120.0
"""The seconds for which processes of a command may outlive it."""


class Kept:
    """A command under `tests.faults.keeper`."""

    def __init__(self, command: list[str], folder: Path, environ: dict[str, str]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.trace = folder / "trace"
        own = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "CORPUS_CRASH_"))}
        own |= {"PYTHONPATH": str(ROOT), "CORPUS_CRASH_TRACE": str(self.trace), **environ}
        keeper = [sys.executable, "-m", "tests.faults.keeper", str(folder), str(OUTLIVES_S)]
        with open(folder / "said", "wb") as said:
            self._keeper = subprocess.Popen([*keeper, *command], cwd=ROOT, env=own, stdout=said, stderr=said)
        self.pid = int(self._told("pid"))

    def _told(self, name: str) -> str:
        file = self.folder / name
        wait_until(lambda: file.exists() or self._keeper.poll() is not None)
        return file.read_text()

    def exit(self) -> int:
        """The command's exit status, once it has one."""
        return int(self._told("exit"))

    def running(self) -> bool:
        return not (self.folder / "exit").exists()

    def end(self) -> float:
        """Return the seconds from the end of the command to the end of its last process."""
        wait_until(lambda: self._keeper.poll() is not None)
        told = json.loads((self.folder / "end").read_text())
        assert not told["left"], f"{OUTLIVES_S} s after {self.folder.name} there are still {told['left']}"
        return float(told["seconds"])

    def lines(self) -> list[str]:
        """The points that were reached so far, each with the process that reached it."""
        return self.trace.read_text().splitlines() if self.trace.exists() else []

    def find(self, says: str) -> list[int]:
        """Return the processes of the command whose command line has these words."""
        return [pid for pid in descendants(self._keeper.pid)[1:] if says in command_line(pid)]

    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")


def begun(lines: list[str]) -> int:
    """Pieces of work that were begun: units, pieces of dedup, output files."""
    return sum(line.split()[0].endswith("_begun") for line in lines)


def under_way(lines: list[str]) -> int:
    """Pieces of work that were begun and not committed."""
    return begun(lines) - sum(line.startswith("after_commit ") for line in lines)


@dataclass
class Work:
    """A command without its output folder, the files that an undisturbed run leaves there, and the points that it
    reaches."""

    name: str
    command: list[str]
    folder: Path
    workers: int = 2
    whole: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def measure(self) -> None:
        """Run the command undisturbed."""
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
        """The points, in the order in which they are first reached."""
        return list(dict.fromkeys(line.split()[0] for line in self.lines))

    def times(self, point: str) -> int:
        return sum(line.startswith(f"{point} ") for line in self.lines)

    def times_in_one_process(self, point: str) -> int:
        """The number of times that some process is sure to reach a point. Chance divides the tasks among workers."""
        by_process = Counter(line.split()[1] for line in self.lines if line.startswith(f"{point} "))
        in_driver = by_process.pop(str(self.kept[0].pid), 0)
        return max(in_driver, -(-by_process.total() // self.workers))

    def slowest_end(self) -> float:
        """The longest time for which processes outlived a command."""
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
    """Each run, and the number of pieces of work that it had begun when it ended. Pieces that a Ray worker began after
    the death of the driver count as under way, too."""

    @property
    def out(self) -> Path:
        return self.work.folder / self.name

    @property
    def last(self) -> Kept:
        """The previous run."""
        return self._runs[-1][0]

    def crash(self, point: str, times: int = 1) -> bool:
        """Run the command with SIGKILL at a point. Return True if it got there. The death of a Ray worker does not end
        the command."""
        once = self.work.folder / f"{self.name}-{len(self._runs)}-{point}"
        run = self._start(point, CORPUS_CRASH_AT=f"{point}:{times}", CORPUS_CRASH_ONCE=str(once))
        if self._ended(run):
            assert once.exists(), run.said()
        elif once.exists():
            self._killed(run, once.read_text())
        return once.exists()

    def kill_driver(self, lines: int) -> bool:
        """Run the command, and kill it once it has reached `lines` points. Return True if it got there."""
        run = self._start(f"after-{lines}")
        wait_until(lambda: len(run.lines()) >= lines or not run.running())
        if run.running():
            os.kill(run.pid, SIGKILL)
        return self._ended(run)

    def kill_others(self, says: str, points: str, counts: Iterable[int], chance: Random) -> int:
        """Run the command to its end. Each time that it has reached one of these counts of points of a kind, kill one
        of its processes whose command line has these words. Return the number of processes killed."""
        run = self._start(f"kill-{says.split()[-1]}".replace(":", ""))
        before = self.kills
        for count in sorted(counts):

            def ready(count: int = count) -> bool:
                return sum(line.startswith(points) for line in run.lines()) >= count and bool(run.find(says))

            wait_until(lambda ready=ready: not run.running() or ready())
            found = run.find(says)
            if found:
                victim = chance.choice(found)
                with suppress(ProcessLookupError):
                    os.kill(victim, SIGKILL)
                    self._killed(run, str(victim))
        assert not self._ended(run)
        return self.kills - before

    def finish(self) -> None:
        """Run the command to its end. Assert that it leaves the bytes of the undisturbed run, and nothing else."""
        assert not self._ended(self._start("last"))
        self._check()
        worked = [place for place, (run, _) in enumerate(self._runs) if begun(run.lines())]
        for run, _ in self._runs[: worked[-1]]:  # a run killed when all was done is followed by no work
            assert not list(Path("/tmp").glob(f"corpus-ray-*/*/session_*_{run.pid}"))

    def done_again(self) -> int:
        """Return the number of pieces of work that were done again, once no process is left. At most the work under way
        may be."""
        for run, _ in self._runs:
            run.end()
        self._check()  # no process that was left came back to write something
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
        """Wait for a run, and count it. Return True if it was killed."""
        code = run.exit()
        lines = run.lines()
        self._runs.append((run, begun(lines)))
        assert code in (0, -SIGKILL), run.said()
        if code:
            self.kills += 1
            open_now = under_way(lines)
            assert open_now <= self.work.workers + WRITERS
            self.allowed += open_now
        return bool(code)

    def _killed(self, run: Kept, pid: str) -> None:
        """Count the death of a process other than the command itself."""
        self.kills += 1
        self.allowed += under_way([line for line in run.lines() if line.split()[1] == pid])
