"""The engine without Ray: threads of this process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from jobs.runner.retries import Answer, Function, Payload, answer_of


class LocalEngine:
    """Runs tasks in threads, each of which supervises its own page workers.

    A thread can't be ended, so only the guard watches deadlines: a unit that exceeds its deadline loses its page
    worker.
    """

    def __init__(self, workers: int) -> None:
        self.workers = self.most_slots = workers
        self.tally: dict[str, Counter[str]] = {}
        self._slots = Slots(workers)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="supervisor")

    def submit(self, function: Function, payload: Payload, slots: int) -> Future[Answer]:
        return self._pool.submit(self._run, function, payload, slots)

    def _run(self, function: Function, payload: Payload, slots: int) -> Answer:
        with self._slots.take(slots):
            return answer_of(function, payload)

    def wait(self, running: list[Future[Answer]]) -> Future[Answer] | None:
        done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
        return next(iter(done), None)

    def result(self, task: Future[Answer]) -> Answer:
        return task.result()

    def running_s(self, task: Future[Answer]) -> float:
        return 0.0  # so `run` never ends it

    def end(self, task: Future[Answer]) -> None:
        raise NotImplementedError

    def close(self, wait: bool = True) -> None:
        self._pool.shutdown(wait=wait, cancel_futures=True)


class Slots:
    """A number of slots. A thread takes several of them together."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._changed = threading.Condition()

    @contextmanager
    def take(self, number: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= number)
            self._free -= number
        try:
            yield
        finally:
            with self._changed:
                self._free += number
                self._changed.notify_all()
