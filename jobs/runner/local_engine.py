"""The engine for this machine. Each of its worker processes runs one task at a time."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector

from corpus.errors import CorpusError
from jobs.runner import retries
from jobs.runner.local_process import local_process
from jobs.runner.retries import Answer, Function, Payload


@dataclass(eq=False)
class _LocalTask:
    """A task. It gets a worker when it starts, and an answer when it ends."""

    request: bytes
    slots: int
    worker: _Worker | None = None
    started: float = 0.0
    answer: Answer | None = None


class LocalEngine:
    """An engine that runs each task in one of `workers` processes. A process serves one task after another."""

    def __init__(self, workers: int) -> None:
        self.workers = self.most_slots = workers
        self.spread = False
        self.tally: dict[str, Counter[str]] = {}
        self._queue: deque[_LocalTask] = deque()
        self._running: set[_LocalTask] = set()
        self._free = workers
        self._answers = DefaultSelector()
        self._idle: list[_Worker] = []

    def now(self) -> float:
        return time.monotonic()

    def submit(self, function: Function, payload: Payload, slots: int) -> _LocalTask:
        request = json.dumps([function.__module__, function.__name__, payload])
        task = _LocalTask(request.encode() + b"\n", slots)
        self._queue.append(task)
        self._start()
        return task

    def _start(self) -> None:
        """Start waiting tasks in their order, as long as there are slots."""
        while self._queue and self._queue[0].slots <= self._free:
            try:
                worker = self._idle.pop() if self._idle else _Worker()
            except OSError as error:
                if self._running:
                    return  # there will be a worker when a task ends
                what = f"No process can be started: {os.strerror(error.errno or 0)}."
                raise CorpusError(what, "Allow this user more processes or memory.") from None
            task = self._queue.popleft()
            task.worker, task.started = worker, time.monotonic()
            self._running.add(task)
            self._free -= task.slots
            self._answers.register(worker.answers, EVENT_READ, task)
            worker.send(task.request)

    def withdraw(self) -> list[_LocalTask]:
        withdrawn = list(self._queue)
        self._queue.clear()
        return withdrawn

    def wait(self, seconds: float) -> list[_LocalTask]:
        ready: list[_LocalTask] = [key.data for key, _ in self._answers.select(seconds)]
        for task in ready:
            assert task.worker
            self._answers.unregister(task.worker.answers)
            task.answer = task.worker.answer()
            if task.worker.alive:
                self._idle.append(task.worker)
            self._running.remove(task)
            self._free += task.slots
        self._start()
        return ready

    def result(self, task: _LocalTask) -> Answer:
        assert task.answer is not None
        return task.answer

    def running_s(self, task: _LocalTask) -> float:
        return time.monotonic() - task.started if task.worker else 0.0

    def end(self, task: _LocalTask) -> None:
        if task.worker:
            task.worker.kill()
            self._free += task.slots
            task.slots = 0  # other tasks continue, even if the process hangs in the kernel
            self._start()

    def close(self, wait: bool = True) -> None:
        workers = [*self._idle, *(task.worker for task in self._running if task.worker)]
        for worker in workers:
            if wait:
                worker.finish()
            else:
                worker.kill()
        for worker in workers:
            worker.join()
        self._answers.close()


class _Worker:
    """The driver's side of a worker process (`jobs.runner.local_worker`)."""

    def __init__(self) -> None:
        self._process = local_process()
        assert self._process.stdin and self._process.stdout
        self._requests, self.answers = self._process.stdin, self._process.stdout
        self.alive = True

    def send(self, request: bytes) -> None:
        with suppress(BrokenPipeError):  # the process died while it was idle, and `answer` will notice it
            self._requests.write(request)
            self._requests.flush()

    def answer(self) -> Answer:
        """Return the answer to the request. If the process died, return a failure."""
        line = self.answers.readline()
        if line.endswith(b"\n"):
            answer: Answer = json.loads(line)
            return answer
        self.alive = False
        self.finish()
        self.join()
        code = self._process.returncode
        if code == -signal.SIGKILL:
            return {"error": "its process was killed, as Linux does if memory runs out", "kind": retries.MEMORY}
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return {"error": f"its process died: {how}", "kind": retries.CRASH}

    def kill(self) -> None:
        self._process.kill()

    def finish(self) -> None:
        """Let the process end after its task."""
        with suppress(BrokenPipeError):
            self._requests.close()

    def join(self) -> None:
        """Wait for the end of the process."""
        self.answers.read()  # the process can't end before its last answer is read
        self.answers.close()
        self._process.wait()
        self.finish()
