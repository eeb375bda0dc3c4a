"""The engine on this machine: what becomes of tasks whose process dies, hangs or can't be started."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys

import pytest

from corpus.errors import CorpusError
from jobs.runner import local_process
from jobs.runner.engine import AtOnce, Stop
from jobs.runner.local_engine import LocalEngine
from jobs.runner.loop import Task, run
from jobs.runner.retries import CRASH, DEADLINE, MEMORY, POLICIES, RetryPolicy, by_class
from tests.jobs.runner.acts import act
from tests.processes import command_line, state


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    for kind, policy in list(POLICIES.items()):
        monkeypatch.setitem(POLICIES, kind, RetryPolicy(min(policy.attempts, 2), 0.0))


@pytest.fixture
def engine():
    with contextlib.closing(LocalEngine(2)) as made:
        yield made


@pytest.fixture
def fifo(tmp_path):
    """A file for which a task waits until a test opens it for writing."""
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


def test_each_stop_signal_says_what_happens(capsys):
    with pytest.raises(AtOnce) as ended, Stop("the step") as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked()
        assert capsys.readouterr().err == "\nStopping after the step. Press Ctrl-C again to stop now.\n"
        signal.raise_signal(signal.SIGINT)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "\nInterrupted. Run the same command again to continue.\n"


def play(engine, *payloads):
    with Stop() as stop:
        return list(run(engine, (Task(act, payload) for payload in payloads), stop))


def test_processes_are_kept_from_task_to_task(engine) -> None:
    pids = {one.result["pid"] for one in play(engine, *[{}] * 6)} | {one.result["pid"] for one in play(engine, {})}
    assert os.getpid() not in pids
    assert len(pids) <= 2


def test_a_process_that_was_started_early_gets_the_first_task(engine) -> None:
    local_process.start_early("filters:recipe_from_dict")
    (early,) = local_process._early
    first, *_ = play(engine, {})
    assert first.result["pid"] == early.pid
    assert not local_process._early


def test_an_early_process_without_a_task_ends_with_its_command() -> None:
    script = (
        "from jobs.runner import local_process; local_process.start_early('filters:recipe_from_dict'); "
        "print(local_process._early[0].pid)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert state(int(done.stdout)) == ""


@pytest.mark.parametrize(
    ("ill", "kind", "reason"),
    [
        ({"signal": signal.SIGSEGV}, CRASH, "its process died: signal 11"),
        ({"exit": 3}, CRASH, "its process died: exit code 3"),
        ({"signal": signal.SIGKILL}, MEMORY, "its process was killed, as Linux does if memory runs out"),
    ],
)
def test_a_task_whose_process_dies_is_given_up_and_the_rest_is_done(engine, ill, kind, reason) -> None:
    done = play(engine, {}, ill, *[{}] * 3)
    (lost,) = [one for one in done if one.result is None]
    assert by_class(lost.failures) == {kind: POLICIES[kind].attempts}
    assert lost.failures[-1].reason == reason
    assert len(done) == 5


def test_a_process_that_died_while_it_was_idle_costs_one_try(engine) -> None:
    (first,) = play(engine, {})
    os.kill(first.result["pid"], signal.SIGTERM)
    while state(first.result["pid"]) not in ("Z", ""):
        pass
    (second,) = play(engine, {})
    assert by_class(second.failures) == {CRASH: 1}
    assert second.result["pid"] != first.result["pid"]


def test_a_task_that_hangs_in_native_code_is_ended(engine, monkeypatch) -> None:
    monkeypatch.setattr("jobs.runner.loop._GRACE_S", 0.1)
    done = play(engine, {"hangs": True, "wall_s": 0.1}, {"wall_s": 100.0})
    assert [by_class(one.failures) for one in done if one.result is None] == [{DEADLINE: POLICIES[DEADLINE].attempts}]
    assert len(done) == 2


def test_what_a_library_prints_is_no_answer(engine) -> None:
    assert all(one.result for one in play(engine, *[{"prints": "{}\n"}] * 3))


def test_a_task_with_more_slots_waits_for_them_and_is_not_overtaken(engine, fifo) -> None:
    narrow, wide, last = engine.submit(act, {"waits": fifo}, 1), engine.submit(act, {}, 2), engine.submit(act, {}, 1)
    assert engine.running_s(narrow) > 0
    assert engine.wait(0.1) == []
    assert engine.running_s(wide) == engine.running_s(last) == 0
    with open(fifo, "w"):
        pass
    order = [narrow, wide, last]
    while order:
        for done in engine.wait(1):
            assert done is order.pop(0)


@pytest.mark.parametrize("workers", [1, 2])
def test_after_a_stop_signal_only_the_tasks_at_work_are_finished(tmp_path, workers, monkeypatch) -> None:
    fifos = [str(tmp_path / f"fifo{number}") for number in range(workers)]
    for fifo in fifos:
        os.mkfifo(fifo)
    with contextlib.closing(LocalEngine(workers)) as engine:
        wait, waiting = engine.wait, [*fifos]

        def stopped(seconds):
            if not stop.asked():
                signal.raise_signal(signal.SIGINT)
                return []  # the tasks work on for a second
            for fifo in [*waiting]:
                with open(fifo, "w"):
                    waiting.remove(fifo)
            return wait(seconds)

        monkeypatch.setattr(engine, "wait", stopped)
        with Stop() as stop:
            payloads = [*({"waits": fifo} for fifo in fifos), *[{}] * 5]
            done = list(run(engine, (Task(act, payload) for payload in payloads), stop))
        assert sorted(one.payload.get("waits", "") for one in done) == fifos
        monkeypatch.undo()
        assert len(play(engine, {})) == 1  # the engine goes on


def test_a_running_task_is_finished_at_the_end_even_if_its_answer_is_longer_than_a_pipe(fifo) -> None:
    engine = LocalEngine(1)
    task = engine.submit(act, {"waits": fifo, "chars": 1 << 20}, 1)
    with open(fifo, "w"):
        pass
    engine.close()
    assert task.worker._process.returncode == 0


def test_an_end_at_once_waits_for_no_task(fifo) -> None:
    engine = LocalEngine(1)
    task = engine.submit(act, {"waits": fifo}, 1)
    engine.close(wait=False)
    assert task.worker._process.returncode == -signal.SIGKILL


def test_no_process_can_be_started(engine, fifo, monkeypatch) -> None:
    """With one at work its end is waited for."""

    def refused(*command, **how):
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    first = engine.submit(act, {"waits": fifo}, 1)
    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", refused)
        second = engine.submit(act, {}, 1)
        with open(fifo, "w"):
            pass
        running = {first, second}
        while running:
            running -= {*engine.wait(1)}
        assert first.answer["ok"]["pid"] == second.answer["ok"]["pid"]
        other = LocalEngine(1)
        with pytest.raises(CorpusError, match="No process can be started: Resource temporarily unavailable"):
            other.submit(act, {}, 1)


def test_a_process_is_known_by_its_name_and_has_no_terminal(engine) -> None:
    """Ctrl-C on a terminal goes to all processes of a session's group: running tasks are to be finished."""
    (done,) = play(engine, {})
    assert "jobs.runner.local_worker" in command_line(done.result["pid"])
    assert os.getsid(done.result["pid"]) == done.result["pid"]
