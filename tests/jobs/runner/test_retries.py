"""Tasks that fail, on an engine that plays a script by a clock of its own."""

from __future__ import annotations

import errno
import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace

import pytest

from corpus.errors import NoRoom, OutputError
from corpus.sandbox.footprint import Footprint
from jobs.runner.engine import _GRACE_S, run
from jobs.runner.local_engine import LocalEngine
from jobs.runner.retries import MEMORY, OUTPUT, POLICIES, answer_of, by_class, last_place

HANG = 1e9


def test_a_process_that_finds_no_memory_is_out_of_memory(monkeypatch) -> None:
    def start(*arguments, **how):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr("subprocess.Popen", start)
    assert answer_of(lambda payload: subprocess.Popen(["true"]), {})["kind"] == MEMORY


@dataclass(eq=False)
class Task:
    payload: dict
    slots: int
    answer: dict
    seconds: float
    started: float | None = None
    ends: float = 0.0


class Scripted:
    """An engine with 4 slots that plays `script[name]`, a list of (seconds, answer). The last entry repeats for
    ever."""

    workers = most_slots = 4

    def __init__(self, script, monkeypatch, can_end=True) -> None:
        self.script = {name: list(acts) for name, acts in script.items()}
        self.now = 0.0
        self.tally = {}
        self.tries, self.beside, self.ended = [], [], []
        self._queue: list[Task] = []
        self._can_end = can_end
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep)
        monkeypatch.setattr("jobs.runner.engine.time", clock)

    def _sleep(self, seconds) -> None:
        self.now += seconds + 0.001

    def submit(self, function, payload, slots):
        acts = self.script.get(payload["name"], [(1, {"ok": {}})])
        seconds, answer = acts.pop(0) if len(acts) > 1 else acts[0]
        task = Task(payload, slots, answer, seconds)
        self._queue.append(task)
        self.tries.append((payload["name"], self.now, slots))
        assert sum(one.slots for one in self._queue) <= 2 * self.workers + slots - 1
        return task

    def wait(self, running):
        until = self.now + 1
        while True:
            for task in self._queue:  # in the order in which they were submitted
                busy = sum(one.slots for one in self._queue if one.started is not None)
                if task.started is None and busy + task.slots <= self.workers:
                    task.started, task.ends = self.now, self.now + task.seconds
            going = [one for one in self._queue if one.started is not None]
            first = min(going, key=lambda one: one.ends)
            if first.ends > until:
                self.now = until
                return None
            self.now = max(self.now, first.ends)
            self._queue.remove(first)
            self.beside.append((first.payload["name"], len(going) - 1))
            return first

    def result(self, task):
        return task.answer

    def running_s(self, task):
        return 0.0 if task.started is None else self.now - task.started

    def end(self, task) -> None:
        self.ended.append((task.payload["name"], self.now - task.started))
        if self._can_end:
            task.ends, task.answer = self.now, {"error": "ended", "kind": "crash"}

    def close(self) -> None: ...


def noop(payload):
    return {}


class Never:
    @staticmethod
    def asked() -> bool:
        return False


def play(engine, names, **more):
    payloads = [{"name": name, **more.get(name, {})} for name in names]
    return {done.payload["name"]: done for done in run(engine, noop, payloads, Never())}


def failing(kind, seconds=1.0):
    return (seconds, {"error": "why", "kind": kind})


OK = (1.0, {"ok": {"made": 1}})


@pytest.mark.parametrize("kind", [kind for kind in POLICIES if kind != OUTPUT])
def test_a_poison_task_is_given_up_after_its_tries_and_the_rest_is_done(monkeypatch, kind) -> None:
    engine = Scripted({"bad": [failing(kind)]}, monkeypatch)
    done = play(engine, ["a", "bad", *"bcdefghij"])
    assert len(done) == 11
    assert [name for name, one in done.items() if one.result is None] == ["bad"]
    assert by_class(done["bad"].failures) == {kind: POLICIES[kind].attempts}
    assert engine.tally == {"noop": {kind: POLICIES[kind].attempts}}
    times = [at for name, at, _ in engine.tries if name == "bad"]
    waits = [after - before - 1 for before, after in pairwise(times)]
    assert all(wait >= min(60, POLICIES[kind].wait_s * 2**n) for n, wait in enumerate(waits))
    assert all(wait <= 62 for wait in waits)


def test_classes_are_counted_apart(monkeypatch) -> None:
    script = ["crash", MEMORY, "crash", "node lost", "user error", "deadline", MEMORY]
    engine = Scripted({"ill": [*map(failing, script), OK]}, monkeypatch)
    done = play(engine, ["ill"])["ill"]
    assert done.result == {"made": 1}
    assert by_class(done.failures) == dict(sorted(Counter(script).items()))
    script = ["crash", "user error", "crash", "node lost", "crash"]
    engine = Scripted({"ill": [*map(failing, script), OK]}, monkeypatch)
    assert play(engine, ["ill"])["ill"].result is None


def test_out_of_memory_takes_more_and_more_slots_until_it_is_alone(monkeypatch) -> None:
    engine = Scripted({"large": [failing(MEMORY, 3.0)]}, monkeypatch)
    play(engine, ["large", *(f"small{n}" for n in range(60))])
    assert [slots for name, _, slots in engine.tries if name == "large"] == [1, 2, 4, 4]
    beside = [others for name, others in engine.beside if name == "large"]
    assert beside[0] == 3
    assert beside[-1] == 0


def test_a_deadline_counts_from_the_start_not_from_the_submission(monkeypatch) -> None:
    """Four slots are taken for 90 s. The tasks that wait for a slot may take 20 s each."""
    script = {f"slow{n}": [(90.0, {"ok": {}})] for n in range(4)} | {f"late{n}": [(15.0, {"ok": {}})] for n in range(4)}
    engine = Scripted(script, monkeypatch)
    more = {name: {"wall_s": 20.0 if "late" in name else 100.0} for name in script}
    assert all(one.result is not None for one in play(engine, list(script), **more).values())
    assert engine.ended == []


def test_what_hangs_is_ended_tried_again_and_given_up(monkeypatch) -> None:
    engine = Scripted({"hangs": [(HANG, {})]}, monkeypatch)
    done = play(engine, ["hangs", "a"], hangs={"wall_s": 20.0})
    assert done["a"].result is not None
    assert by_class(done["hangs"].failures) == {"deadline": 2}
    assert [name for name, _ in engine.ended] == ["hangs"] * 2
    assert all(20 + _GRACE_S < after <= 20 + _GRACE_S + 2 for _, after in engine.ended)


def test_what_can_not_be_ended_is_left_alone(monkeypatch) -> None:
    engine = Scripted({"hangs": [(HANG, {}), OK]}, monkeypatch, can_end=False)
    done = play(engine, ["hangs", "a"], hangs={"wall_s": 20.0})
    assert done["hangs"].result == {"made": 1}
    assert by_class(done["hangs"].failures) == {"deadline": 1}


def test_the_record_is_named_by_the_task_or_by_its_footprint(monkeypatch, tmp_path) -> None:
    file = tmp_path / "footprint"
    trace = Footprint(str(file))
    trace.leave((123, 4))
    trace.leave((7, 0))
    trace.close()
    engine = Scripted({"bad": [failing("crash")]}, monkeypatch)
    (failed,) = play(engine, ["bad"], bad={"footprint": str(file)}).values()
    assert [one.place for one in failed.failures] == [(7, 0), None, None]
    assert last_place(failed.failures) == (7, 0)
    assert not file.exists()
    engine = Scripted({"bad": [(1.0, {"error": "why", "kind": "user error", "place": [5, 1]})]}, monkeypatch)
    (failed,) = play(engine, ["bad"], bad={"footprint": str(file)}).values()
    assert last_place(failed.failures) == (5, 1)


def test_a_full_disk_ends_the_run_and_is_no_tasks_fault(monkeypatch) -> None:
    engine = Scripted({"any": [(1.0, {"error": "full", "todo": "Make room.", "kind": "no room"})]}, monkeypatch)
    with pytest.raises(NoRoom, match=r"full Make room\."):
        play(engine, ["any"])
    assert engine.tally == {}


def refused(payload):
    raise OutputError("The bucket can't be used.", "Check the credentials.")


def test_an_output_that_no_try_can_write_ends_the_run(monkeypatch) -> None:
    refusal = (1.0, answer_of(refused, {}))
    engine = Scripted({"any": [refusal, refusal, OK]}, monkeypatch)
    assert play(engine, ["any"])["any"].result == {"made": 1}
    engine = Scripted({"any": [refusal]}, monkeypatch)
    with pytest.raises(OutputError, match=r"^The bucket can't be used\. Check the credentials\.$"):
        play(engine, ["any", "other"])
    assert engine.tally == {"noop": {OUTPUT: POLICIES[OUTPUT].attempts}}


def hungry(payload):
    if payload["name"] == "large":
        raise MemoryError
    return {}


def test_a_supervisor_without_memory_is_no_user_error(monkeypatch) -> None:
    monkeypatch.setitem(POLICIES, MEMORY, type(POLICIES[MEMORY])(4, 0.01))
    engine = LocalEngine(2)
    done = {
        one.payload["name"]: one for one in run(engine, hungry, [{"name": n} for n in ("large", "a", "b")], Never())
    }
    engine.close()
    assert by_class(done["large"].failures) == {MEMORY: 4}
    assert done["a"].result == done["b"].result == {}
