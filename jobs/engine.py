"""The seam to Ray: run one function over many payloads, here or on a cluster. Ray is imported in this file only.

Functions take and give plain data (JSON types). What they raise comes back as text, so nothing of ours is unpickled.
Ray's own retries are off: `run` counts attempts by kind of failure, and gives up on a payload with a reason.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from corpus.errors import ConfigError, CorpusError, InputChanged, InputUnreachable
from corpus.store import Location
from jobs.nodes import Mark, check_node, look_around, require_token, sees, unshared

Payload = dict[str, Any]
Function = Callable[[Payload], Payload]

ATTEMPTS = {"error": 2, "crash": 3, "memory": 3, "node": 10, "changed": 1, "unreachable": 1}
"""Tries per kind of failure: an error of our own code is likely to come again, the loss of a node is not. An input
that changed stays so, and one that a server does not give was asked for many times already."""


@dataclass(frozen=True)
class Done:
    """A payload with its result, or with the reasons why it was given up."""

    payload: Payload
    result: Payload | None
    failures: tuple[str, ...] = ()


class Stop:
    """Ctrl-C and SIGTERM: the first one takes no new work, a second one ends at once."""

    def __init__(self, promise: str = "units under way are finished and committed.") -> None:
        self.signal = 0
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
            raise KeyboardInterrupt
        self.signal = number
        print(f"\nStopping: {self._promise} Once more to stop at once.", file=sys.stderr)


class Engine(Protocol):
    """Something that runs a function over payloads, some at a time."""

    workers: int

    def submit(self, function: Function, payload: Payload) -> Any: ...

    def wait(self, running: list[Any]) -> Any | None:
        """One finished task, or None after about a second."""

    def result(self, task: Any) -> Payload:
        """{"ok": …} or {"error": text, "kind": kind}."""

    def close(self) -> None: ...


def run(engine: Engine, function: Function, payloads: Iterable[Payload], stop: Stop) -> Iterator[Done]:
    """Run `function` over all payloads, at most two per worker submitted at a time; yield them as they end.

    After a stop signal nothing new is submitted and what runs is waited for.
    """
    todo: deque[tuple[Payload, tuple[str, ...]]] = deque((payload, ()) for payload in payloads)
    running: dict[Any, tuple[Payload, tuple[str, ...]]] = {}
    while todo or running:
        while todo and len(running) < 2 * engine.workers and not stop.asked():
            payload, failures = todo.popleft()
            running[engine.submit(function, payload)] = (payload, failures)
        if not running:
            return
        task = engine.wait(list(running))
        if task is None:
            continue
        payload, failures = running.pop(task)
        answer = engine.result(task)
        if "ok" in answer:
            yield Done(payload, answer["ok"], failures)
            continue
        kind = answer["kind"]
        failures = (*failures, f"{kind}: {answer['error']}")
        if sum(failure.startswith(f"{kind}:") for failure in failures) < ATTEMPTS[kind]:
            todo.append((payload, failures))
        else:
            yield Done(payload, None, failures)


def _answer(function: Function, payload: Payload, mark: Sequence[str] = ()) -> Payload:
    """Call a function; what it raises becomes text. A node that joined late may lack the folder with the mark."""
    if not sees(list(mark)):
        return {"error": socket.gethostname(), "kind": "unshared"}
    try:
        return {"ok": function(payload)}
    except InputChanged as error:
        return {"error": str(error), "kind": "changed"}
    except InputUnreachable as error:
        return {"error": str(error), "kind": "unreachable"}
    except CorpusError as error:
        return {"error": str(error), "kind": "error"}
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))  # a message may quote a page
        return {"error": f"{type(error).__name__} at\n{where}", "kind": "error"}


class LocalEngine:
    """Threads of this process: each one supervises page workers of its own."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="supervisor")

    def submit(self, function: Function, payload: Payload) -> Future[Payload]:
        return self._pool.submit(_answer, function, payload)

    def wait(self, running: list[Future[Payload]]) -> Future[Payload] | None:
        done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
        return next(iter(done), None)

    def result(self, task: Future[Payload]) -> Payload:
        return task.result()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


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
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        if not address:
            _sweep()
            self._temp = Path(tempfile.mkdtemp(dir=_private_folder()))
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
            with _signals_kept():
                if address:
                    ray.init(address=address, **common)
                    self.workers = workers or int(ray.cluster_resources().get("CPU", 1))
                else:
                    self.workers = workers or os.cpu_count() or 1
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
        self._remote: dict[Function, Any] = {}
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

    def submit(self, function: Function, payload: Payload) -> Any:
        if function not in self._remote:
            self._remote[function] = self._ray.remote(_answer).options(max_retries=0, num_cpus=1)
        return self._remote[function].remote(function, payload, self._mark.told if self._mark else [])

    def wait(self, running: list[Any]) -> Any | None:
        done, _ = self._ray.wait(running, num_returns=1, timeout=1)
        return done[0] if done else None

    def result(self, task: Any) -> Payload:
        errors = self._ray.exceptions
        try:
            answer: Payload = self._ray.get(task)
        except errors.OutOfMemoryError:
            return {"error": "Ray's memory monitor ended the task", "kind": "memory"}
        except errors.WorkerCrashedError:
            return {"error": "the Ray worker died", "kind": "crash"}
        except errors.RayError as error:
            return {"error": type(error).__name__, "kind": "node"}
        if answer.get("kind") == "unshared":
            raise unshared(answer["error"])
        return answer

    def close(self) -> None:
        self._ray.shutdown()
        if self._mark:
            self._mark.remove()
        if self._temp:
            shutil.rmtree(self._temp, ignore_errors=True)


_ANSWER_S = 120.0
"""How long a node may take to answer: the first task on a node starts a process and imports."""

_START_S = 900.0
"""How long the first node of a cluster that has none may take to come."""


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put the handlers of signals back that Ray replaces as it starts: at SIGTERM its own one aborts the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


_TEMP = "corpus-ray-"


@cache
def _private_folder() -> Path:
    """This process's folder for clusters of its own, with the token without which nobody else may talk to them.

    One token per process: Ray reads it once.
    """
    # short, for socket paths end at 107 characters; private, for who writes there runs code as us
    folder = Path(tempfile.mkdtemp(prefix=f"{_TEMP}{os.getpid()}-", dir="/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    return folder


def _sweep() -> None:
    """Remove the session folders of drivers that were killed."""
    for folder in Path("/tmp").glob(f"{_TEMP}*"):
        pid = folder.name.removeprefix(_TEMP).split("-")[0]
        with contextlib.suppress(OSError, ValueError):
            if folder.stat().st_uid == os.getuid() and not Path(f"/proc/{int(pid)}").exists():
                shutil.rmtree(folder, ignore_errors=True)
