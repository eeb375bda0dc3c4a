"""Tasks that fail, on an engine that plays a script by a clock of its own."""

from __future__ import annotations

import errno
import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pytest

from corpus.errors import NoRoom, OutputError
from corpus.sandbox.footprint import Footprint
from jobs.runner.local_engine import LocalEngine
from jobs.runner.loop import _GRACE_S, Task, run
from jobs.runner.retries import MEMORY, OUTPUT, POLICIES, answer_of, by_class, last_place
from tests.growth import assert_linear

HANG = 1e9


def test_a_process_that_finds_no_memory_is_out_of_memory(monkeypatch) -> None:
    def start(*arguments, **how):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr("subprocess.Popen", start)
    assert answer_of(lambda payload: subprocess.Popen(["true"]), {})["kind"] == MEMORY


@dataclass(eq=False)
class Act:
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

    def __init__(self, script, can_end=True, spread=False) -> None:
        self.script = {name: list(acts) for name, acts in script.items()}
        self.clock, self.spread = 0.0, spread
        self.tally = {}
        self.tries, self.beside, self.ended = [], [], []
        self._queue: list[Act] = []
        self._can_end = can_end

    def submit(self, function, payload, slots):
        acts = self.script.get(payload["name"], [(1, {"ok": {}})])
        seconds, answer = acts.pop(0) if len(acts) > 1 else acts[0]
        task = Act(payload, slots, answer, seconds)
        self._queue.append(task)
        self.tries.append((payload["name"], self.clock, slots))
        assert sum(one.slots for one in self._queue) <= 2 * self.workers + slots - 1
        return task

    def now(self):
        return self.clock

    def withdraw(self):
        return []

    def wait(self, seconds):
        until = self.clock + seconds + 0.001
        while True:
            for task in self._queue:  # in the order in which they were submitted
                busy = sum(one.slots for one in self._queue if one.started is not None)
                if task.started is None and busy + task.slots <= self.workers:
                    task.started, task.ends = self.clock, self.clock + task.seconds
            going = [one for one in self._queue if one.started is not None]
            first = min(going, key=lambda one: one.ends, default=None)
            if first is None or first.ends > until:
                self.clock = until
                return []
            self.clock = max(self.clock, first.ends)
            self._queue.remove(first)
            self.beside.append((first.payload["name"], len(going) - 1))
            return [first]

    def result(self, task):
        return task.answer

    def running_s(self, task):
        return 0.0 if task.started is None else self.clock - task.started

    def end(self, task) -> None:
        self.ended.append((task.payload["name"], self.clock - task.started))
        if self._can_end:
            task.ends, task.answer = self.clock, {"error": "ended", "kind": "crash"}

    def close(self) -> None: ...


def noop(payload):
    return {}


class Never:
    @staticmethod
    def asked() -> bool:
        return False


def play(engine, names, **more):
    payloads = [{"name": name, **more.get(name, {})} for name in names]
    return {done.payload["name"]: done for done in run(engine, (Task(noop, payload) for payload in payloads), Never())}


def failing(kind, seconds=1.0):
    return (seconds, {"error": "why", "kind": kind})


OK = (1.0, {"ok": {"made": 1}})


@pytest.mark.parametrize("kind", [kind for kind in POLICIES if kind != OUTPUT])
def test_a_poison_task_is_given_up_after_its_tries_and_the_rest_is_done(kind) -> None:
    engine = Scripted({"bad": [failing(kind)]})
    done = play(engine, ["a", "bad", *"bcdefghij"])
    assert len(done) == 11
    assert [name for name, one in done.items() if one.result is None] == ["bad"]
    assert by_class(done["bad"].failures) == {kind: POLICIES[kind].attempts}
    assert engine.tally == {"noop": {kind: POLICIES[kind].attempts}}
    times = [at for name, at, _ in engine.tries if name == "bad"]
    waits = [after - before - 1 for before, after in pairwise(times)]
    assert all(wait >= min(60, POLICIES[kind].wait_s * 2**n) for n, wait in enumerate(waits))
    assert all(wait <= 62 for wait in waits)


def test_classes_are_counted_apart() -> None:
    script = ["crash", MEMORY, "crash", "node lost", "user error", "deadline", MEMORY]
    engine = Scripted({"ill": [*map(failing, script), OK]})
    done = play(engine, ["ill"])["ill"]
    assert done.result == {"made": 1}
    assert by_class(done.failures) == dict(sorted(Counter(script).items()))
    script = ["crash", "user error", "crash", "node lost", "crash"]
    engine = Scripted({"ill": [*map(failing, script), OK]})
    assert play(engine, ["ill"])["ill"].result is None


def test_out_of_memory_takes_more_and_more_slots_until_it_is_alone() -> None:
    engine = Scripted({"large": [failing(MEMORY, 3.0)]})
    play(engine, ["large", *(f"small{n}" for n in range(60))])
    assert [slots for name, _, slots in engine.tries if name == "large"] == [1, 2, 4, 4]
    beside = [others for name, others in engine.beside if name == "large"]
    assert beside[0] == 3
    assert beside[-1] == 0


def test_a_deadline_counts_from_the_start_not_from_the_submission() -> None:
    """Four slots are taken for 90 s. The tasks that wait for a slot may take 20 s each."""
    script = {f"slow{n}": [(90.0, {"ok": {}})] for n in range(4)} | {f"late{n}": [(15.0, {"ok": {}})] for n in range(4)}
    engine = Scripted(script)
    more = {name: {"wall_s": 20.0 if "late" in name else 100.0} for name in script}
    assert all(one.result is not None for one in play(engine, list(script), **more).values())
    assert engine.ended == []


def test_what_hangs_is_ended_tried_again_and_given_up() -> None:
    engine = Scripted({"hangs": [(HANG, {})]})
    done = play(engine, ["hangs", "a"], hangs={"wall_s": 20.0})
    assert done["a"].result is not None
    assert by_class(done["hangs"].failures) == {"deadline": 2}
    assert [name for name, _ in engine.ended] == ["hangs"] * 2
    assert all(20 + _GRACE_S < after <= 20 + _GRACE_S + 2 for _, after in engine.ended)


def test_what_can_not_be_ended_is_left_alone() -> None:
    engine = Scripted({"hangs": [(HANG, {}), OK]}, can_end=False)
    done = play(engine, ["hangs", "a"], hangs={"wall_s": 20.0})
    assert done["hangs"].result == {"made": 1}
    assert by_class(done["hangs"].failures) == {"deadline": 1}


def test_tasks_are_taken_only_when_there_is_room() -> None:
    taken = []

    def tasks():
        for number in range(1000):
            taken.append(number)
            yield Task(noop, {"name": str(number)})

    for done, _ in enumerate(run(Scripted({}), tasks(), Never()), 1):
        assert len(taken) <= done + 2 * Scripted.workers
    assert len(taken) == done == 1000


def test_a_task_may_wait_for_the_result_of_another_one() -> None:
    """Each of 20 tasks makes a second one. None says that the second ones are not known yet."""
    made = []

    def tasks():
        yield from (Task(noop, {"name": str(number)}) for number in range(20))
        for _ in range(20):
            while not made:
                yield None
            yield Task(noop, {"name": f"after {made.pop()}"})

    names = []
    for done in run(Scripted({"3": [(50.0, {"ok": {}})]}), tasks(), Never()):
        names.append(done.payload["name"])
        if "after" not in names[-1]:
            made.append(names[-1])
    assert sorted(names) == sorted([str(n) for n in range(20)] + [f"after {n}" for n in range(20)])
    assert names[-2:] == ["3", "after 3"]


SLOW = {"slow": [(400.0, {"ok": {"from": "first"}}), (5.0, {"ok": {"from": "second"}})]}
FAST = [f"fast{number}" for number in range(40)]


@pytest.mark.parametrize(("spread", "winner", "until"), [(True, "second", 50), (False, "first", 401)])
def test_a_slow_task_gets_a_second_attempt_where_another_machine_may_do_it(spread, winner, until) -> None:
    engine = Scripted(SLOW, spread=spread)
    done = play(engine, ["slow", *FAST])
    assert done["slow"].result == {"from": winner}
    assert len(done) == 41
    assert engine.clock <= until
    assert [name for name, _ in engine.ended] == ["slow"] * spread
    assert engine.tally == {}


def test_no_second_attempt_while_tasks_wait_or_all_take_as_long() -> None:
    engine = Scripted(SLOW, spread=True)
    done = play(engine, ["slow", *(f"fast{number}" for number in range(1300))])
    assert done["slow"].result == {"from": "first"}  # the others take 433 s
    engine = Scripted({f"slow{number}": [(100.0, {"ok": {}})] for number in range(61)}, spread=True)
    play(engine, [f"slow{number}" for number in range(61)])
    assert len(engine.tries) == 61


@pytest.mark.parametrize("first", [failing("crash", 400.0), (HANG, {})])
def test_either_of_two_attempts_may_fail(first) -> None:
    """If the second attempt fails, the first one goes on. If both fail, the task is tried again."""
    engine = Scripted({"slow": [(100.0, {"ok": {"from": "first"}}), failing("crash", 5.0)]}, spread=True)
    done = play(engine, ["slow", *FAST])["slow"]
    assert (done.result, by_class(done.failures)) == ({"from": "first"}, {"crash": 1})
    engine = Scripted({"slow": [first, failing("node lost", 5.0), OK]}, spread=True)
    done = play(engine, ["slow", *FAST], slow={"wall_s": 300.0})["slow"]
    assert done.result == {"made": 1}
    assert done.failures[0].kind == "node lost"


def test_two_attempts_have_two_footprints(tmp_path) -> None:
    engine = Scripted(SLOW, spread=True)
    sent = []
    submit = engine.submit
    engine.submit = lambda function, payload, slots: sent.append(payload) or submit(function, payload, slots)
    done = play(engine, ["slow", *FAST], slow={"footprint": str(tmp_path / "f")})
    assert [one["footprint"] for one in sent if "footprint" in one] == [str(tmp_path / "f"), str(tmp_path / "f-2")]
    assert done["slow"].payload["footprint"] == str(tmp_path / "f")


def test_an_answer_costs_the_same_however_many_tasks_run() -> None:
    class Wide(Scripted):
        """An engine whose tasks all end at once, in the order in which they were submitted."""

        def __init__(self, workers) -> None:
            super().__init__({})
            self.workers = workers

        def submit(self, function, payload, slots):
            self._queue.append(task := Act(payload, slots, {"ok": {}}, 1, started=0.0))
            return task

        def wait(self, seconds):
            ended, self._queue = self._queue[:100], self._queue[100:]
            return ended

    def work(engine):
        tasks = (Task(noop, {"name": ""}) for _ in range(4 * engine.workers))
        assert sum(1 for _ in run(engine, tasks, Never())) == 4 * engine.workers

    assert_linear(Wide, work, 16_000)


def test_the_record_is_named_by_the_task_or_by_its_footprint(tmp_path) -> None:
    file = tmp_path / "footprint"
    trace = Footprint(str(file))
    trace.leave((123, 4))
    trace.leave((7, 0))
    trace.close()
    engine = Scripted({"bad": [failing("crash")]})
    (failed,) = play(engine, ["bad"], bad={"footprint": str(file)}).values()
    assert [one.place for one in failed.failures] == [(7, 0), None, None]
    assert last_place(failed.failures) == (7, 0)
    assert not file.exists()
    engine = Scripted({"bad": [(1.0, {"error": "why", "kind": "user error", "place": [5, 1]})]})
    (failed,) = play(engine, ["bad"], bad={"footprint": str(file)}).values()
    assert last_place(failed.failures) == (5, 1)


def test_a_full_disk_ends_the_run_and_is_no_tasks_fault() -> None:
    engine = Scripted({"any": [(1.0, {"error": "full", "todo": "Make room.", "kind": "no room"})]})
    with pytest.raises(NoRoom, match=r"full Make room\."):
        play(engine, ["any"])
    assert engine.tally == {}


def refused(payload):
    raise OutputError("The bucket can't be used.", "Check the credentials.")


def test_an_output_that_no_try_can_write_ends_the_run() -> None:
    refusal = (1.0, answer_of(refused, {}))
    engine = Scripted({"any": [refusal, refusal, OK]})
    assert play(engine, ["any"])["any"].result == {"made": 1}
    engine = Scripted({"any": [refusal]})
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
        one.payload["name"]: one
        for one in run(engine, (Task(hungry, {"name": n}) for n in ("large", "a", "b")), Never())
    }
    engine.close()
    assert by_class(done["large"].failures) == {MEMORY: 4}
    assert done["a"].result == done["b"].result == {}
