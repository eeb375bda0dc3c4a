"""The seam to Ray: run one function over many payloads, here or on a cluster. Ray is imported in this file only.

Functions take and give plain data (JSON types). What they raise comes back as text, so nothing of ours is unpickled.
Ray's own retries are off: `run` counts failed tries by class (`retries`), and gives up on a payload with reasons.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from corpus.cpus import usable_cpus
from corpus.errors import ConfigError, NoRoom, OutputError
from corpus.sandbox.footprint import read_footprint
from corpus.storage.store import Location
from jobs.runner.at_once import AtOnce
from jobs.runner.nodes import Mark, check_node, look_around, require_token, unshared
from jobs.runner.progress import say
from jobs.runner.ray_folder import ray_folder, signals_kept
from jobs.runner.retries import (
    DEADLINE,
    MEMORY,
    NO_ROOM,
    OUTPUT,
    Failure,
    Function,
    Payload,
    Slots,
    Tally,
    Try,
    answer_of,
)

_GRACE_S = 60.0
"""How long after its deadline a task that watches its own (under "wall_s") may still take to say so; and how long one
that was ended may take to be gone, before it is left alone."""


@dataclass(frozen=True)
class Done:
    """A payload with its result, or without one where it was given up, and the tries that failed."""

    payload: Payload
    result: Payload | None
    failures: tuple[Failure, ...] = ()


class Stop:
    """Ctrl-C and SIGTERM: the first one takes no new work, a second one raises AtOnce."""

    def __init__(self, promise: str = "units under way are finished and committed.") -> None:
        self.signal = 0
        self.at_once = False
        self._promise = promise

    def asked(self) -> bool:
        return self.signal != 0

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked():
            self.at_once = True
            raise AtOnce(128 + number)
        self.signal = number
        say(f"\nStopping: {self._promise} Once more to stop at once.")


class Engine(Protocol):
    """Something that runs a function over payloads, some at a time."""

    workers: int
    tally: Tally

    @property
    def most_slots(self) -> int:
        """How many slots a task may take."""

    def submit(self, function: Function, payload: Payload, slots: int) -> Any: ...

    def wait(self, running: list[Any]) -> Any | None:
        """One finished task, or None after about a second."""

    def result(self, task: Any) -> Payload:
        """{"ok": …} or {"error": text, "kind": class}, and "place" or "todo" where that is known."""

    def running_s(self, task: Any) -> float:
        """How long a task has been running, 0 while it waits for a slot or where it can't be ended."""

    def end(self, task: Any) -> None:
        """End a running task, whatever it does."""

    def close(self, wait: bool = True) -> None:
        """End it, and what it runs, after that has come to its end or, where it can be, at once."""


def run(engine: Engine, function: Function, payloads: Iterable[Payload], stop: Stop) -> Iterator[Done]:
    """Run `function` over all payloads, with at most two slots per worker submitted at a time; yield them as they end.

    A payload may say under "wall_s" how long it may take, and under "footprint" where a file says which record is at
    work. After a stop signal nothing new is submitted and what runs is waited for. Raises NoRoom, and OutputError where
    no try could write.
    """
    fresh = deque(Try(payload) for payload in payloads)
    again: list[Try] = []
    running: dict[Any, Try] = {}
    ended: dict[Any, float] = {}
    while fresh or again or running:
        room = 2 * engine.workers - sum(one.slots for one in running.values())
        while room > 0 and not stop.asked() and (due := _next(fresh, again)):
            running[engine.submit(function, due.payload, due.slots)] = due
            room -= due.slots
        if not running:
            if stop.asked():
                return
            time.sleep(max(0.0, min(1.0, min(one.ready for one in again) - time.monotonic())))
            continue
        task = engine.wait(list(running))
        for late, one in running.items():
            if late is not task and late not in ended and engine.running_s(late) > one.wall_s + _GRACE_S:
                engine.end(late)
                ended[late] = time.monotonic()
        if task is not None:
            answer = engine.result(task)
        elif lost := [late for late, since in ended.items() if time.monotonic() - since > _GRACE_S]:
            task, answer = lost[0], {}  # it can't be ended: its node is not to be reached, or its storage hangs
        else:
            continue
        one = running.pop(task)
        if "ok" in answer:
            ended.pop(task, None)
            yield Done(one.payload, answer["ok"], one.failures)
        elif answer.get("kind") == NO_ROOM:
            raise NoRoom(answer["error"], answer["todo"])
        else:
            if ended.pop(task, None) is not None:
                answer = {"error": f"it took more than {one.wall_s:,.0f} s", "kind": DEADLINE}
            failed = one.failed(_failure(answer, one.payload), time.monotonic(), engine.most_slots)
            engine.tally.add(function.__name__, failed.failures[-1].kind)
            if failed.given_up and answer["kind"] == OUTPUT:
                raise OutputError(answer["error"], answer["todo"])
            if failed.given_up:
                yield Done(one.payload, None, failed.failures)
            else:
                again.append(failed)


def _next(fresh: deque[Try], again: list[Try]) -> Try | None:
    """What is to be tried next: again, once its time has come; else for the first time."""
    now = time.monotonic()
    due = next((one for one in again if one.ready <= now), None)
    if due is not None:
        again.remove(due)
        return due
    return fresh.popleft() if fresh else None


def _failure(answer: Payload, payload: Payload) -> Failure:
    """The failure that an answer tells of, with the record that the task itself or its footprint names."""
    footprint = payload.get("footprint", "")
    told = answer.get("place") or read_footprint(footprint)
    if footprint:
        Path(footprint).unlink(missing_ok=True)  # it is no other try's
    return Failure(answer["kind"], answer["error"], (told[0], told[1]) if told else None)


class LocalEngine:
    """Threads of this process: each one supervises page workers of its own. A thread can't be ended, so that only the
    guard watches over deadlines: a unit that goes on after it loses its page worker."""

    def __init__(self, workers: int) -> None:
        self.workers = self.most_slots = workers
        self.tally = Tally()
        self._slots = Slots(workers)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="supervisor")

    def submit(self, function: Function, payload: Payload, slots: int) -> Future[Payload]:
        return self._pool.submit(self._run, function, payload, slots)

    def _run(self, function: Function, payload: Payload, slots: int) -> Payload:
        with self._slots.take(slots):
            return answer_of(function, payload)

    def wait(self, running: list[Future[Payload]]) -> Future[Payload] | None:
        done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
        return next(iter(done), None)

    def result(self, task: Future[Payload]) -> Payload:
        return task.result()

    def running_s(self, task: Future[Payload]) -> float:
        return 0.0  # so that `run` never asks to end it

    def end(self, task: Future[Payload]) -> None:
        raise NotImplementedError

    def close(self, wait: bool = True) -> None:
        self._pool.shutdown(wait=wait, cancel_futures=True)


@dataclass(eq=False)
class _Task:
    """A Ray task: a stream of a mark that it has started, and of its answer."""

    stream: Any
    started: float = 0.0
    answer: Any = None


def _stream(function: Function, payload: Payload, mark: str) -> Iterator[Payload]:
    """What runs as a Ray task. That it has started is said at once: Ray tells only when it was submitted."""
    import ray

    yield {}
    yield {**answer_of(function, payload, mark), "node": ray.get_runtime_context().get_node_id()}


class RayEngine:
    """Ray tasks: on a cluster at `address`, or on one of our own with `workers` processes on this machine.

    A cluster must have a token unless `insecure`, our code, and the folder `shared`: all nodes are asked before any
    work starts. Raises ConfigError and OutputError.
    """

    def __init__(
        self, workers: int | None, address: str | None = None, shared: Location | None = None, insecure: bool = False
    ) -> None:
        self._temp: Path | None = None
        self._mark: Mark | None = None
        self._unable: set[str] = set()
        """Nodes that could not write: what is submitted from then on goes to others, where these have room."""
        self.tally = Tally()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        if not address:
            self._temp = Path(tempfile.mkdtemp(dir=ray_folder()))
        elif insecure:
            os.environ["RAY_AUTH_MODE"] = "disabled"
        else:
            require_token(address)
        import ray  # only now: it reads the token mode when it is imported
        import ray.exceptions

        self._ray = ray
        # Workers must import what the driver imports, wherever it was started.
        env = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}
        common: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "runtime_env": env}
        try:
            with signals_kept():
                if address:
                    ray.init(address=address, **common)
                    self.workers = workers or int(ray.cluster_resources().get("CPU", 1))
                else:
                    self.workers = workers or usable_cpus()
                    ray.init(
                        address="local",
                        num_cpus=self.workers,
                        include_dashboard=False,
                        object_store_memory=100 << 20,  # results are small: rows go to files
                        _temp_dir=str(self._temp),
                        **common,
                    )
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise ConfigError(f"Ray does not start: {error}.", "Check --address, or build with --no-ray.") from None
        self._remote = ray.remote(_stream)
        if address:
            try:
                self._mark = Mark(shared) if shared else None
                self._ask_nodes(insecure)
            except BaseException:
                self.close()
                raise

    def _ask_nodes(self, insecure: bool) -> None:
        """Ask every node that takes work whether it can."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        mark = self._mark.told if self._mark else []
        nodes = [node["NodeID"] for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        ask = self._ray.remote(look_around)
        asked = {}
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            asked[ask.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(mark, node)] = node
        if not nodes:  # one is started where there is something to do
            asked[ask.options(num_cpus=1, max_retries=0).remote(mark, "first")] = "first"
        patience = _ANSWER_S if nodes else _START_S
        done, late = self._ray.wait(list(asked), num_returns=len(asked), timeout=patience)
        if late:
            raise ConfigError(f"{len(late)} of {len(asked)} nodes do not answer.", "Look at `ray status`.")
        for one in done:
            try:
                told = self._ray.get(one)
            except self._ray.exceptions.RayTaskError as error:
                raise ConfigError(
                    f"A node can't run our code: {type(error.cause).__name__}.", "Install the same on all machines."
                ) from None
            except self._ray.exceptions.RayError:
                continue  # it is gone
            check_node(told, asked[one], self._mark, insecure)

    @property
    def most_slots(self) -> int:
        nodes = self._ray.nodes()
        return int(max((node["Resources"].get("CPU", 1) for node in nodes if node["Alive"]), default=1))

    def submit(self, function: Function, payload: Payload, slots: int) -> _Task:
        mark = self._mark.told if self._mark else []
        where = self._elsewhere()
        task = self._remote.options(max_retries=0, num_returns="streaming", num_cpus=slots, scheduling_strategy=where)
        return _Task(task.remote(function, payload, mark))

    def _elsewhere(self) -> Any:
        """What Ray is to be told of where a task may run."""
        from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

        if not self._unable:
            return None
        return NodeLabelSchedulingStrategy({}, soft={"ray.io/node-id": NotIn(*self._unable)})

    def wait(self, running: list[_Task]) -> _Task | None:
        tasks = {task.stream: task for task in running}
        until = time.monotonic() + 1
        while True:
            ready, _ = self._ray.wait(list(tasks), num_returns=1, timeout=max(0.0, until - time.monotonic()))
            if not ready:
                return None
            task = tasks[ready[0]]
            task.answer = next(task.stream)
            if task.started or self._failed(task.answer):
                return task
            task.started = time.monotonic()

    def _failed(self, answer: Any) -> bool:
        try:
            self._ray.get(answer)
        except self._ray.exceptions.RayError:
            return True
        return False

    def running_s(self, task: _Task) -> float:
        return time.monotonic() - task.started if task.started else 0.0

    def end(self, task: _Task) -> None:
        # by force at once: after a gentle try Ray does not end what hangs in native code
        self._ray.cancel(task.stream, force=True)

    def result(self, task: _Task) -> Payload:
        errors = self._ray.exceptions
        try:
            answer: Payload = self._ray.get(task.answer)
        except errors.OutOfMemoryError:
            return {"error": "Ray's memory monitor ended the task", "kind": MEMORY}
        except errors.WorkerCrashedError:
            return {"error": "the Ray worker died", "kind": "crash"}
        except errors.OutOfDiskError:
            return {"error": "The disk that Ray keeps its files on is full.", "todo": _FREE_TMP, "kind": NO_ROOM}
        except errors.RayTaskError as error:
            return {"error": f"{type(error.cause).__name__} in Ray", "kind": "user error"}
        except errors.RayError as error:
            return {"error": type(error).__name__, "kind": "node lost"}
        if answer.get("kind") == "unshared":
            raise unshared(answer["error"])
        if answer.get("kind") == OUTPUT:
            self._unable.add(answer["node"])
        return answer

    def close(self, wait: bool = True) -> None:
        self._ray.shutdown()
        if self._mark:
            self._mark.remove()
        if self._temp:
            shutil.rmtree(self._temp, ignore_errors=True)


_FREE_TMP = "Make room in its temporary folder (/tmp), and run the same command again."

_ANSWER_S = 120.0
"""How long a node may take to answer: the first task on a node starts a process and imports."""

_START_S = 900.0
"""How long the first node of a cluster that has none may take to come."""
