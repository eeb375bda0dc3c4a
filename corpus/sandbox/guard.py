"""The guard runs units in a page worker, so that no page can hang, crash or exhaust a run.

A record that stops its worker is tried once more, alone, with far more time and memory. If it stops the worker again,
its outcome is `failed` as crash, timeout or memory, and the unit continues with the next record. If a worker is killed
from outside, its current record passes at the second try, so this only costs a restart. If a worker stops while a stage
works on several records at once, no record is blamed, and the rest of the unit is judged record by record.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from corpus.errors import CorpusError, InputChanged, InputUnreachable, ServerDown
from corpus.sandbox.environment import worker_environment
from corpus.sandbox.page_process import page_process
from corpus.sandbox.protocol import ERROR, JOB, BatchReader, Board, FrameReader, frame_head
from corpus.sandbox.unit import SEVERAL, Batch, Unit, UnitOptions
from corpus.warc.record import Place

_POLL_S = 0.2
_TRIES = 2
_TRIES_KILLED = 4
_FALSE_STARTS = 3
_PAGE_BYTES = 32 << 10  # compressed; 8 MiB of an archive have some 250 pages
_HUNG = "No page causes this, since each has its own limits. Check the storage or server that the archive is read from."
_INPUT_ERRORS = {kind.__name__: kind for kind in (InputChanged, InputUnreachable, ServerDown)}


@dataclass(frozen=True)
class GuardSettings:
    """Limits for one page.

    `page_cpu_s` is CPU time, which does not depend on the load of the machine. `page_wall_s` stops a page that hangs
    without computing. At the second try, all limits are `alone` times as high. A worker that has grown beyond
    `worker_bytes` is replaced between two units.
    """

    page_cpu_s: float = 30.0
    page_wall_s: float = 300.0
    memory_bytes: int = 2 << 30
    alone: int = 4
    worker_bytes: int = 700 << 20

    def unit_wall_s(self, size: int) -> float:
        """Return the wall-clock seconds that a unit of `size` bytes may take."""
        return self.pages_wall_s(1 + size // _PAGE_BYTES)

    def pages_wall_s(self, pages: int) -> float:
        """Return the wall-clock seconds that `pages` pages may take.

        This is enough time to stop every page twice. Only storage, a server or our own code can hang for longer.
        """
        return (1 + self.alone) * (self.page_wall_s + self.page_cpu_s * pages)


class WorkerError(CorpusError):
    """An error in the page worker that no page causes: an unreadable input, or a bug of ours.

    `place` is the worker's current record, if it has one.
    """

    def __init__(self, what: str, todo: str = "", place: Place | None = None) -> None:
        super().__init__(what, todo)
        self.place = place


class Overdue(WorkerError):
    """A unit took too long."""


@dataclass
class _Incident:
    """A record that stopped its worker: the kind of each stop, and whether the record may be tried again."""

    kinds: list[str] = field(default_factory=list)
    failed: bool = False

    def add(self, kind: str) -> None:
        """Count another stop.

        "killed" is a SIGKILL that we did not send. A few such kills do not count against the page.
        """
        self.kinds.append(kind)
        own = sum(kind != "killed" for kind in self.kinds)
        self.failed = own >= _TRIES or len(self.kinds) >= _TRIES_KILLED


class Guard:
    """A page worker with its limits.

    The worker serves one unit after another. Not thread-safe: each thread must have its own.
    """

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

    def run(self, unit: Unit, take: Callable[[Batch], None], options: UnitOptions | None = None) -> None:
        """Run a unit and hand its batches to `take`, in order.

        Raises Overdue after `options.wall_s` seconds, and WorkerError for anything else that no page causes.
        """
        options = options or UnitOptions()
        ends = time.monotonic() + options.wall_s
        incidents: dict[Place, _Incident] = {}
        false_starts = 0
        while True:
            worker = self._ready_worker(unit.path)
            try:
                for batch in worker.run(self._job(unit, options, incidents), frozenset(incidents), ends):
                    take(batch)
                    options = replace(options, resume=batch.next)
                    if batch.done:
                        if worker.own_bytes() > self.settings.worker_bytes:
                            self.close()
                        return
            except BaseException:
                self.close()  # the worker has not finished its job
                raise
            self.close()
            if worker.place is None:
                false_starts += 1
                if false_starts > _FALSE_STARTS:
                    raise WorkerError("The page worker did not start.", worker.last_words or "It printed nothing.")
                continue
            if worker.place == SEVERAL:
                options = replace(options, single=True)  # one by one, the page that stops the worker shows itself
                continue
            incident = incidents.setdefault(worker.place, _Incident())
            if incident.failed:
                kinds = ", ".join([*incident.kinds, worker.ended_by])
                raise WorkerError(
                    f"The page worker stopped at {unit.warc}:{worker.place[0]}, a record that it must skip ({kinds}).",
                    "This is a fault in reading the archive: please report it with the file.",
                    worker.place,
                )
            incident.add(worker.ended_by)

    def _job(self, unit: Unit, options: UnitOptions, incidents: dict[Place, _Incident]) -> dict[str, Any]:
        failed = {place: incident.kinds[-1] for place, incident in incidents.items() if incident.failed}
        alone = {place: incident.kinds[-1] for place, incident in incidents.items() if not incident.failed}
        memory = self.settings.memory_bytes
        return {
            "unit": unit.as_dict(),
            "options": replace(options, failed=failed, alone=alone).as_dict(),
            "memory": memory,
            "memory_alone": memory * self.settings.alone,
        }

    def _ready_worker(self, archive: str) -> _Worker:
        environment = worker_environment(archive)
        if self._worker is not None and self._worker.process.environment != environment:
            # its environment may lack a variable for this archive, or hold one that this archive must not see
            self.close()
        if self._worker is None:
            self._worker = _Worker(self.recipe, self.factory, self.settings, environment)
        return self._worker

    def close(self) -> None:
        """End the page worker, whatever it is doing."""
        if self._worker:
            self._worker.close()
            self._worker = None


class _Worker:
    """The supervisor's side of one page worker process."""

    def __init__(
        self, recipe: dict[str, Any], factory: str, settings: GuardSettings, environment: dict[str, str]
    ) -> None:
        self._settings = settings
        self._recipe: dict[str, Any] | None = recipe
        self._started = 0.0
        self.place: Place | None = None
        self.ended_by = ""
        self.last_words = ""
        self.process = page_process(factory, environment)
        self._board = Board(self.process.board.fileno())

    def run(self, job: dict[str, Any], alone: frozenset[Place], ends: float) -> Iterator[Batch]:
        """Yield the batches of one job. If the worker dies, the batches end early, and `place` and `ended_by` say how.

        Raises Overdue if the job is not done at `ends`.
        """
        warc = job["unit"]["warc"]
        if self._recipe is not None:
            job |= self._recipe
            self._recipe = None
        self._started = time.monotonic()
        payload = json.dumps(job).encode()
        unsent = memoryview(frame_head(JOB, payload) + payload)
        frames, batches = FrameReader(), BatchReader()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.batches, selectors.EVENT_READ)
            selector.register(self.process.jobs, selectors.EVENT_WRITE)
            while True:
                if time.monotonic() > ends:
                    raise Overdue(f"A unit of {warc} takes too long.", _HUNG, self._current_place())
                ready = {key.fd for key, _ in selector.select(_POLL_S)}
                if not ready and self._page_overdue(alone):
                    self.process.popen.kill()
                    self._note_end("timeout")
                    return
                if self.process.jobs in ready:
                    try:
                        unsent = unsent[os.write(self.process.jobs, unsent) :]
                    except BrokenPipeError:
                        self._note_end()
                        return
                    if not unsent:
                        selector.unregister(self.process.jobs)
                if self.process.batches not in ready:
                    continue
                data = os.read(self.process.batches, 1 << 20)
                if not data:
                    self._note_end()
                    return
                for kind, payload in frames.feed(data):
                    if kind == ERROR:
                        raise self._error(json.loads(payload), warc)
                    batch = batches.take(kind, payload)
                    if batch:
                        yield batch
                        if batch.done:
                            return

    def _page_overdue(self, alone: frozenset[Place]) -> bool:
        notice = self._board.read()
        if notice is None or notice.wall < self._started:
            return False  # the worker still imports modules or loads models
        factor = self._settings.alone if notice.place in alone else 1
        if time.monotonic() - notice.wall > self._settings.page_wall_s * factor:
            return True
        used = _cpu_seconds(self.process.popen.pid)
        return used is not None and used - notice.cpu > self._settings.page_cpu_s * factor

    def _note_end(self, kind: str = "") -> None:
        """Find out where and how the worker ended."""
        code = self.process.popen.wait()
        self.place = self._current_place()
        if not self._board.used:  # later, stderr may quote pages, also pages of earlier jobs
            self.process.stderr.seek(max(0, self.process.stderr.seek(0, os.SEEK_END) - 2000))
            self.last_words = self.process.stderr.read().decode(errors="replace").strip()
        self.ended_by = kind or ("killed" if code == -signal.SIGKILL else "crash")

    def _current_place(self) -> Place | None:
        """Return the record in this job at which the worker is or was."""
        notice = self._board.read()
        return notice.place if notice is not None and notice.wall >= self._started else None

    def _error(self, error: dict[str, str], warc: str) -> CorpusError:
        """Return the exception for an error that the worker reports."""
        if known := _INPUT_ERRORS.get(error["class"]):
            return known(error["what"], error["todo"])
        return WorkerError(
            f"The page worker failed on {warc} with {error['class']}.",
            f"It happened at:\n{error['traceback']}",
            self._current_place(),
        )

    def own_bytes(self) -> int:
        """Return the resident memory that the worker does not share with mapped files, or 0 if /proc is missing."""
        try:
            with open(f"/proc/{self.process.popen.pid}/statm") as statm:
                _, resident, shared, *_ = map(int, statm.read().split())
        except OSError:
            return 0
        return (resident - shared) * os.sysconf("SC_PAGE_SIZE")

    def close(self) -> None:
        self._board.close()
        self.process.close()


def _cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of another process by its POSIX clock, or None if the system has no such clock."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return None
