"""The engine on Ray. No other file imports Ray, except for Ray Train in `jobs/model/train_ray.py`.

Ray's own retries are off: `loop.run` retries failed tasks. A cluster on this machine has a private folder, which is
removed even if the driver is killed.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from corpus.cpus import usable_cpus
from corpus.errors import ConfigError, CorpusError
from corpus.sandbox.environment import python_path
from corpus.storage.private_folder import private_folder
from corpus.storage.store import Location
from jobs.runner import retries
from jobs.runner.nodes import INSTALL, Mark, check_node, describe_node, require_answer, require_token, unshared
from jobs.runner.retries import Answer, Function, Payload, answer_of
from jobs.runner.terminal import say

_ANSWER_S = 120.0
"""The longest time, in seconds, that a node may take to answer.

The first task on a node starts a process and imports our code.
"""

_STARTS = 3
"""The number of attempts to start Ray.

Ray's node ends itself if one of its processes needs 15 s to start, which may happen on a busy machine.
"""

_START_S = 900.0
"""The longest time, in seconds, that the first node of an empty cluster may take to start."""


_SHARE = 20
_SHARE_S = 0.5
"""With more than 20 tasks, `wait` returns once a twentieth of them have moved, or after half a second."""


@dataclass(eq=False)
class _RayTask:
    """A Ray task. Its stream has two items: a mark that it has started, and its answer."""

    stream: Any
    started: float = 0.0
    answer: Any = None


def _stream(function: Function, payload: Payload, mark: list[str]) -> Iterator[Answer]:
    """Run the body of a Ray task. The task reports its own start, because Ray reports only when it was submitted."""
    import ray

    yield {}
    yield {**answer_of(function, payload, mark), "node": ray.get_runtime_context().get_node_id()}


@contextmanager
def signals_kept() -> Iterator[None]:
    """Restore the signal handlers that Ray replaces when it starts. Ray's SIGTERM handler would abort the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


@cache
def ray_folder() -> Path:
    """Return the folder for Ray clusters of this process. Access to the clusters needs the token in this folder.

    There is one token per process, because Ray reads the token only once.
    """
    folder = _short_folder()
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    return folder


def _short_folder() -> Path:
    """Make a private folder, because anyone who can write there can run code as this user.

    The private folder is in the folder for temporary files. If that has too long a path for Ray's sockets, it is
    elsewhere.
    """
    wanted = tempfile.gettempdir()
    for parent in (wanted, "/tmp", "/var/tmp", "/dev/shm"):
        if len(os.fsencode(parent)) <= _LONGEST_PARENT:
            with suppress(OSError):
                folder = private_folder(_PREFIX, parent)
                if parent != wanted:
                    say(f"Ray's files go to {parent}: {wanted} is not writable, or too long for paths of sockets.")
                return folder
    what = f"Ray needs a folder that can be written to, with a path of at most {_LONGEST_PARENT} characters."
    raise ConfigError(what, "Name one in TMPDIR.")


@contextmanager
def _loopback_alone() -> Iterator[None]:
    """Make the processes of a cluster that starts now listen only on 127.0.0.1.

    Ray does so on Windows and macOS. On Linux it does so only if this variable is set; an IP address in the options
    changes nothing. Ray reads the variable once in each process. It is unset again, because this process may join
    another cluster later.
    """
    from ray._private import ray_constants

    name = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    before = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        os.environ.pop(name)
        if before[0] is not None:
            os.environ[name] = before[0]
        ray_constants.ENABLE_RAY_CLUSTER = before[1]


_PREFIX = "corpus-ray-"
_clusters = itertools.count(1)
"""The numbers in the names of this process's cluster folders."""

_LONGEST_PARENT = (104 if sys.platform == "darwin" else 108) - len(
    f"/{_PREFIX}12345678/99/session_2026-01-01_00-00-00_000000_{2**22}/sockets/plasma_store\0"
)
"""The longest path of a folder for Ray.

The system limits the paths of sockets. Ray's paths contain a date and the process number, which is below 2^22 on Linux.
"""


@contextmanager
def _native_code_silent() -> Iterator[None]:
    """Drop text that native code prints on stderr, such as a line for each step of a failing connection."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    before, sys.stderr = (
        sys.stderr,
        os.fdopen(os.dup(kept), "w", encoding=sys.stderr.encoding, errors="backslashreplace"),
    )
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        sys.stderr.close()
        sys.stderr = before
        os.close(kept)
        os.close(nowhere)


class RayEngine:
    """An engine that runs Ray tasks, on the cluster at `address` or on a cluster of its own with `workers` processes.

    The own cluster runs on this machine. A cluster must have a token unless `insecure` is true, and each node must have
    our code and the folder `shared`. All nodes are checked before any work starts. Raises ConfigError and OutputError.
    """

    def __init__(
        self, workers: int | None, address: str | None = None, shared: Location | None = None, insecure: bool = False
    ) -> None:
        self._temp: Path | None = None
        self._mark: Mark | None = None
        self._address: list[str] = []
        """The address of the mark."""
        self._unable: set[str] = set()
        """The nodes that could not write. New tasks avoid them if other nodes have room."""
        self.tally: dict[str, Counter[str]] = {}
        self.spread = bool(address and address != "local")
        self._running: dict[Any, _RayTask] = {}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        if address == "local":  # Ray's name for a cluster on this machine
            address = None
        if address:
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")  # each try takes 40 s, and Ray would make 20
            say(f"Joining the Ray cluster at {address}…")
            if insecure:
                os.environ["RAY_AUTH_MODE"] = "disabled"
            else:
                require_token(address)
            require_answer(address)
        else:
            ray_folder()
            say("Starting Ray…")
        import ray  # imported here, because Ray reads the token mode when it is imported
        import ray.exceptions

        self._ray = ray
        env = {"env_vars": {"PYTHONPATH": python_path()}}
        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "runtime_env": env}
        if not address:
            options |= {"num_cpus": workers or usable_cpus(), "include_dashboard": False}
            options["object_store_memory"] = 100 << 20  # results are small, because rows are written to files
        cpus = self._init(address, options)
        self.workers = workers or cpus
        self._remote = ray.remote(_stream)
        if address:
            try:
                if shared:
                    self._mark = Mark(shared)
                    self._address = self._mark.address
                self._check_nodes(insecure)
            except BaseException:
                self.close()
                raise

    def _init(self, address: str | None, options: dict[str, Any]) -> int:
        """Join a cluster, or start a cluster in a new folder. Return the number of its CPUs."""
        for start in range(1 if address else _STARTS):
            if start:
                say("Ray did not start. Starting it once more…")
            if not address:
                self._temp = ray_folder() / str(next(_clusters))
                self._temp.mkdir()
                options["_temp_dir"] = str(self._temp)
            try:
                with signals_kept(), _native_code_silent(), nullcontext() if address else _loopback_alone():
                    self._ray.init(address=address or "local", **options)
                    return int(self._ray.cluster_resources().get("CPU", 1))
            except Exception as error:  # Ray raises errors of all kinds, even a plain Exception
                failed = error
        raise self._not_started(failed, address) from None

    def _not_started(self, error: Exception, address: str | None) -> CorpusError:
        why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        if self._temp is None:
            todo = "Check the address and the token, or run without --address."
            return ConfigError(f"The Ray cluster at {address} can't be joined: {why}.", todo)
        logs = Path(tempfile.mkdtemp(prefix="corpus-logs-of-ray-")) / "logs"
        with suppress(OSError):  # Ray may have stopped before it made this folder
            shutil.copytree(self._temp / "session_latest" / "logs", logs)
        todo = f"Run without Ray, which one machine does not need, or look at Ray's logs in {logs}"
        return CorpusError(f"Ray does not start: {why}.", todo)

    def _check_nodes(self, insecure: bool) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        nodes = [node["NodeID"] for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        ask = self._ray.remote(describe_node)
        asked = {}
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            asked[ask.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(self._address, node)] = node
        if not nodes:  # an autoscaler starts the first node only when there is a task
            asked[ask.options(num_cpus=1, max_retries=0).remote(self._address, "first")] = "first"
        done, late = self._ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_S if nodes else _START_S)
        if late:
            raise ConfigError(f"{len(late)} of {len(asked)} nodes do not answer.", "Look at `ray status`.")
        for one in done:
            try:
                facts = self._ray.get(one)
            except self._ray.exceptions.RayTaskError as error:
                raise ConfigError(f"A node can't run our code: {type(error.cause).__name__}.", INSTALL) from None
            except self._ray.exceptions.RayError:
                continue  # the node is gone
            check_node(facts, asked[one], self._address, insecure)

    @property
    def most_slots(self) -> int:
        nodes = self._ray.nodes()
        return int(max((node["Resources"].get("CPU", 1) for node in nodes if node["Alive"]), default=1))

    def submit(self, function: Function, payload: Payload, slots: int) -> _RayTask:
        from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

        where = None
        if self._unable:
            where = NodeLabelSchedulingStrategy({}, soft={"ray.io/node-id": NotIn(*self._unable)})
        task = self._remote.options(max_retries=0, num_returns="streaming", num_cpus=slots, scheduling_strategy=where)
        made = _RayTask(task.remote(function, payload, self._address))
        self._running[made.stream] = made
        return made

    def withdraw(self) -> list[_RayTask]:
        return []  # Ray may be starting any task at this moment, and canceling it then would lose its work

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> list[_RayTask]:
        """A call of Ray's `wait` takes 1 to 2 µs for each task. So it waits for a share of the tasks, or half a second,
        and an answer costs the same however many tasks run."""
        until = time.monotonic() + seconds
        while self._running:
            share, left = -(-len(self._running) // _SHARE), max(0.0, until - time.monotonic())
            pause = left if share == 1 else min(left, _SHARE_S)
            ready, _ = self._ray.wait(list(self._running), num_returns=share, timeout=pause)
            if finished := [task for task in map(self._running.__getitem__, ready) if self._moves(task)]:
                for task in finished:
                    del self._running[task.stream]
                return finished
            if time.monotonic() >= until:
                return []
        time.sleep(seconds)
        return []

    def _moves(self, task: _RayTask) -> bool:
        """Take the next item of a task's stream. Return True if it is the answer, False if it is the start."""
        task.answer = next(task.stream)
        if task.started or self._failed(task.answer):
            return True
        task.started = time.monotonic()
        return False

    def _failed(self, answer: Any) -> bool:
        try:
            self._ray.get(answer)
        except self._ray.exceptions.RayError:
            return True
        return False

    def running_s(self, task: _RayTask) -> float:
        return time.monotonic() - task.started if task.started else 0.0

    def end(self, task: _RayTask) -> None:
        # Always by force. After a gentle try, Ray does not end a task that hangs in native code.
        self._ray.cancel(task.stream, force=True)

    def result(self, task: _RayTask) -> Answer:
        errors = self._ray.exceptions
        try:
            answer: Answer = self._ray.get(task.answer)
        except errors.OutOfMemoryError:
            return {"error": "Ray's memory monitor ended the task", "kind": retries.MEMORY}
        except errors.WorkerCrashedError:
            return {"error": "the Ray worker died", "kind": retries.CRASH}
        except errors.OutOfDiskError:
            todo = "Make room in Ray's temporary folder (TMPDIR), and run the same command again."
            return {"error": "The disk that Ray keeps its files on is full.", "todo": todo, "kind": retries.NO_ROOM}
        except errors.RayTaskError as error:
            return {"error": f"{type(error.cause).__name__} in Ray", "kind": retries.USER_ERROR}
        except errors.RayError as error:
            return {"error": type(error).__name__, "kind": retries.NODE_LOST}
        if answer.get("kind") == retries.UNSHARED:
            raise unshared(answer["error"])
        if answer.get("kind") == retries.OUTPUT:
            self._unable.add(answer["node"])
        return answer

    def close(self, wait: bool = True) -> None:
        self._ray.shutdown()
        if self._mark:
            self._mark.remove()
        if self._temp:
            shutil.rmtree(self._temp, ignore_errors=True)
