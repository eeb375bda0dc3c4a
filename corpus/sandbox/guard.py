"""The guard: runs units in a page worker of its own, so that no page can hang, crash or exhaust a run.

A record that stops its worker twice (the second time alone, with far more time and memory) gets the outcome
`failed` with the kind crash, timeout or memory, and the unit goes on after it. A worker that was killed from
outside costs a restart only: the record it was at passes the second time.
"""

from __future__ import annotations

import json
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Any

from corpus.errors import CorpusError, InputChanged, InputUnreachable
from corpus.sandbox.environment import worker_environment
from corpus.sandbox.unit import Batch, Unit
from corpus.sandbox.wire import ERROR, JOB, BatchReader, Board, FrameReader, frame_head
from corpus.warc.record import Place

_POLL_S = 0.2
_TRIES = 2
_TRIES_KILLED = 4
_FALSE_STARTS = 3
_PAGE_BYTES = 32 << 10  # of a compressed archive, some 250 pages in 8 MiB
_HUNG = "What hangs is no page: each of these has limits of its own. See to the storage or server it is read from."
_INPUT_ERRORS = {kind.__name__: kind for kind in (InputChanged, InputUnreachable)}


@dataclass(frozen=True)
class GuardSettings:
    """What one page may cost. `page_cpu_s` is CPU time, which does not depend on the load of the machine;
    `page_wall_s` catches what hangs without computing. A retry alone gets `alone` times all of it.
    `worker_bytes` is the size at which a worker is replaced between two units."""

    page_cpu_s: float = 30.0
    page_wall_s: float = 300.0
    memory_bytes: int = 2 << 30
    alone: int = 4
    worker_bytes: int = 700 << 20

    def unit_wall_s(self, size: int) -> float:
        """What a unit of `size` bytes may take by the clock."""
        return self.pages_wall_s(1 + size // _PAGE_BYTES)

    def pages_wall_s(self, pages: int) -> float:
        """What so many pages may take by the clock: as long as if every one of them had to be stopped twice. That much
        time passes only where something else than a page hangs: storage, a server, or our own code."""
        return (1 + self.alone) * (self.page_wall_s + self.page_cpu_s * pages)


class WorkerError(CorpusError):
    """The page worker reported an error that is not a page's: an input that can't be read, or our bug. `place` is that
    of the record it was at, if it was at one."""

    def __init__(self, what: str, todo: str = "", place: Place | None = None) -> None:
        super().__init__(what, todo)
        self.place = place


class Overdue(WorkerError):
    """The unit took longer than a unit may."""


@dataclass
class Incident:
    """A record that stopped its worker: how, each time, and whether it is given up."""

    place: Place
    kinds: list[str] = field(default_factory=list)
    failed: bool = False

    def add(self, kind: str) -> None:
        """One more death at this record. SIGKILLs that we did not send are the machine's doing, up to a point."""
        self.kinds.append(kind)
        own = sum(kind != "killed" for kind in self.kinds)
        self.failed = own >= _TRIES or len(self.kinds) >= _TRIES_KILLED


class Guard:
    """A long-lived page worker and the rules for it. Not thread-safe: one guard per thread or Ray worker."""

    def __init__(
        self,
        recipe: dict[str, Any],
        factory: str,
        settings: GuardSettings | None = None,
        modules: list[list[str]] | None = None,
    ) -> None:
        self.recipe = {"recipe": recipe, "modules": modules or []}
        self.factory = factory
        self.settings = settings or GuardSettings()
        self._worker: _Worker | None = None
        self._ended = False

    def run(
        self,
        unit: Unit,
        take: Callable[[Batch], None],
        *,
        only: Sequence[Place] | None = None,
        taken: str = "",
        wall_s: float = math.inf,
        footprint: str = "",
    ) -> None:
        """Run a unit, or of it the records in `only`, and hand its batches to `take`, in order. `taken` is the file
        that says what was taken down, `footprint` one that is to say which record is at work. Raises Overdue after
        `wall_s` seconds, and WorkerError for whatever else is no page's fault."""
        ends = time.monotonic() + wall_s
        incidents: dict[Place, Incident] = {}
        resume: Place | None = None
        false_starts = 0
        while True:
            worker = self._ready_worker(unit.path)
            try:
                job = self._job(unit, resume, incidents) | {"only": only, "taken": taken, "footprint": footprint}
                for batch in worker.run(job, frozenset(incidents), ends):
                    take(batch)
                    resume = batch.next
                    if batch.done:
                        self._recycle()
                        return
            except BaseException:
                self.close()  # it is in the middle of something
                raise
            self.close()
            if worker.place is None:
                false_starts += 1
                if false_starts > _FALSE_STARTS:
                    raise WorkerError("The page worker does not start.", worker.last_words or "It says nothing.")
                continue
            incident = incidents.setdefault(worker.place, Incident(worker.place))
            if incident.failed:
                kinds = ", ".join([*incident.kinds, worker.ended_by])
                raise WorkerError(
                    f"The page worker stopped at {unit.warc}:{worker.place[0]}, a record left out ({kinds}).",
                    "This is a fault in reading the archive: please report it with the file.",
                    worker.place,
                )
            incident.add(worker.ended_by)

    def _job(self, unit: Unit, resume: Place | None, incidents: dict[Place, Incident]) -> dict[str, Any]:
        return {
            "unit": unit.as_dict(),
            "resume": resume,
            "failed": [(*i.place, i.kinds[-1]) for i in incidents.values() if i.failed],
            "alone": [(*i.place, i.kinds[-1]) for i in incidents.values() if not i.failed],
            "memory": self.settings.memory_bytes,
            "memory_alone": self.settings.memory_bytes * self.settings.alone,
        }

    def _ready_worker(self, archive: str) -> _Worker:
        environment = worker_environment(archive)
        if self._worker is not None and self._worker.environment != environment:
            self.close()  # it may see less than it needs, or more
        if self._worker is None:
            self._worker = _Worker(self.recipe, self.factory, self.settings, environment)
        if self._ended:  # looked at once there is a worker, which `end` may not have seen
            self.close()
            raise WorkerError("The run was stopped.", "Run the same command again.")
        return self._worker

    def _recycle(self) -> None:
        if self._worker and self._worker.own_bytes() > self.settings.worker_bytes:
            self.close()

    def close(self) -> None:
        """End the page worker, whatever it does."""
        if self._worker:
            self._worker.close()
            self._worker = None

    def end(self) -> None:
        """End the page worker for good, from another thread than that which runs it: there `run` raises WorkerError."""
        self._ended = True
        if worker := self._worker:
            worker.kill()


class _Worker:
    """The supervisor's side of one page worker process."""

    def __init__(
        self, recipe: dict[str, Any], factory: str, settings: GuardSettings, environment: dict[str, str]
    ) -> None:
        self.environment = environment
        self._settings = settings
        self._recipe: dict[str, Any] | None = recipe
        self.place: Place | None = None
        self.ended_by = ""
        self.last_words = ""
        with ExitStack() as here, ExitStack() as kept:  # nothing stays open where the process can't be started
            self._stderr = kept.enter_context(tempfile.TemporaryFile())
            job_read, self._job_write = os.pipe()
            os.set_blocking(self._job_write, False)  # a job may be more than a pipe holds, and its reader may hang
            here.callback(os.close, job_read)
            kept.callback(os.close, self._job_write)
            self._batch_read, batch_write = os.pipe()
            here.callback(os.close, batch_write)
            kept.callback(os.close, self._batch_read)
            board = here.enter_context(_memory_file())
            self._board = Board.create(board.fileno())
            kept.callback(self._board.close)
            fds = (job_read, batch_write, board.fileno())
            # exec, never fork: a forked copy of a threaded Ray worker can hold locks for ever
            self._process = subprocess.Popen(
                [sys.executable, "-m", "corpus.sandbox.page_worker", *map(str, fds), factory],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,  # shown only where no page was touched yet: libraries quote pages
                start_new_session=True,  # Ctrl-C is the driver's: units under way are finished
                env=environment,
            )
            kept.pop_all()

    def run(self, job: dict[str, Any], alone: frozenset[Place], ends: float) -> Iterator[Batch]:
        """The batches of one job. Ends early where the worker died: then `place` and `ended_by` say how. Raises Overdue
        where it goes on after `ends`."""
        if self._recipe is not None:
            job |= self._recipe
            self._recipe = None
        started = time.monotonic()
        payload = json.dumps(job).encode()
        unsent = memoryview(frame_head(JOB, payload) + payload)
        frames, batches = FrameReader(), BatchReader()
        with selectors.DefaultSelector() as selector:
            selector.register(self._batch_read, selectors.EVENT_READ)
            selector.register(self._job_write, selectors.EVENT_WRITE)
            while True:
                if time.monotonic() > ends:
                    raise Overdue(f"A unit of {job['unit']['warc']} takes too long.", _HUNG, self._place_since(started))
                ready = {key.fd for key, _ in selector.select(_POLL_S)}
                if not ready and self._overdue(started, alone):
                    self._process.kill()
                    self._bury("timeout", started)
                    return
                if self._job_write in ready:
                    try:
                        unsent = unsent[os.write(self._job_write, unsent) :]
                    except BrokenPipeError:
                        self._bury("", started)
                        return
                    if not unsent:
                        selector.unregister(self._job_write)
                if self._batch_read not in ready:
                    continue
                data = os.read(self._batch_read, 1 << 20)
                if not data:
                    self._bury("", started)
                    return
                for kind, payload in frames.feed(data):
                    if kind == ERROR:
                        self._raise(json.loads(payload), job["unit"]["warc"], self._place_since(started))
                    batch = batches.take(kind, payload)
                    if batch:
                        yield batch
                        if batch.done:
                            return

    def _overdue(self, job_started: float, alone: frozenset[Place]) -> bool:
        notice = self._board.read()
        if notice is None or notice.wall < job_started:
            return False  # still importing, or loading models
        factor = self._settings.alone if notice.place in alone else 1
        if time.monotonic() - notice.wall > self._settings.page_wall_s * factor:
            return True
        used = _cpu_seconds(self._process.pid)
        return used is not None and used - notice.cpu > self._settings.page_cpu_s * factor

    def _bury(self, kind: str, job_started: float) -> None:
        """Find out where and how the worker ended."""
        code = self._process.wait()
        self.place = self._place_since(job_started)
        if not self._board.used:  # else it may quote pages, of earlier jobs too
            self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - 2000))
            self.last_words = self._stderr.read().decode(errors="replace").strip()
        self.ended_by = kind or ("killed" if code == -signal.SIGKILL else "crash")

    def _place_since(self, job_started: float) -> Place | None:
        """The record that the worker is or was at in this job."""
        notice = self._board.read()
        return notice.place if notice is not None and notice.wall >= job_started else None

    def _raise(self, about: dict[str, Any], warc: str, place: Place | None) -> None:
        if known := _INPUT_ERRORS.get(about["class"]):
            raise known(about["what"], about["todo"])
        message = about.get("message", "")
        raise WorkerError(
            f"The page worker failed on {warc} with {about['class']}{': ' + message if message else ''}.",
            f"It happened at:\n{about['traceback']}",
            place,
        )

    def own_bytes(self) -> int:
        """Resident memory that the worker does not share with mapped files; 0 where /proc does not tell."""
        try:
            with open(f"/proc/{self._process.pid}/statm") as statm:
                _, resident, shared, *_ = map(int, statm.read().split())
        except OSError:
            return 0
        return (resident - shared) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self.kill()
        self._process.wait()
        for fd in (self._job_write, self._batch_read):
            os.close(fd)
        self._board.close()
        self._stderr.close()


def _cpu_seconds(pid: int) -> float | None:
    """The CPU time of another process, by its POSIX clock; None where the system has no such clock."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return None


def _memory_file() -> IO[bytes]:
    """A file for the board, in memory where the system has such: a write to a mapped file on a full disk would kill the
    page worker, and its page would be blamed."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("corpus-board"), "w+b")
    return tempfile.TemporaryFile()
