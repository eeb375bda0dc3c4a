"""The classes of failures of tasks. The class decides how often, when and with how many slots a task is tried again.

The more slots a task takes, the fewer tasks run next to it.
"""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from corpus.errors import (
    CorpusError,
    InputChanged,
    InputUnreachable,
    NoRoom,
    OutputError,
    ServerDown,
    no_room,
    traced,
)
from corpus.sandbox.guard import Overdue, WorkerError
from jobs.runner.nodes import sees_mark

Payload = dict[str, Any]
"""A JSON object. `run` reads `wall_s`, the deadline, and `footprint`, a file that names the current record."""

Function = Callable[[Payload], Payload]

TASK_S = 6 * 3600.0
"""The deadline of a task without `wall_s`. All phases divide their work so that a task takes only minutes."""

_LONGEST_WAIT_S = 60.0


class Answer(TypedDict, total=False):
    """The result of an attempt: `ok` with a value, or `error` with its class `kind`."""

    ok: Payload
    error: str
    kind: str
    todo: str
    """The advice of an OutputError."""
    place: Sequence[int] | None
    """The record that was being processed."""
    node: str
    """The id of the Ray node."""


@dataclass(frozen=True)
class RetryPolicy:
    """The number of attempts, and the wait after the first one. Each further wait is twice as long."""

    attempts: int
    wait_s: float = 0.5


USER_ERROR = "user error"
CRASH = "crash"
MEMORY = "out of memory"
NODE_LOST = "node lost"
DEADLINE = "deadline"
CHANGED = "input changed"
UNREACHABLE = "input unreachable"
SERVER_DOWN = "server down"
OUTPUT = "output"
"""A failure that ends the run after the last attempt, because other results can't be written either."""

POLICIES = {
    USER_ERROR: RetryPolicy(2),  # an error in our code or in a plugin, which will probably happen again
    CRASH: RetryPolicy(3, 1.0),
    MEMORY: RetryPolicy(4, 2.0),
    NODE_LOST: RetryPolicy(10, 2.0),  # the task is not to blame, and a new node may take minutes to start
    DEADLINE: RetryPolicy(2),
    CHANGED: RetryPolicy(1),  # the input stays changed
    UNREACHABLE: RetryPolicy(1),  # the client already tried many times
    SERVER_DOWN: RetryPolicy(3, 10.0),  # each try takes the client 5 minutes, so 15 minutes are waited for
    OUTPUT: RetryPolicy(5, 2.0),  # a node may lack a mount or credentials that other nodes have
}

NO_ROOM = "no room"
"""A failure that ends the run at once, because a full disk is not the fault of a payload."""

UNSHARED = "unshared"
"""A failure that ends the run at once: the node does not have the output folder."""


@dataclass(frozen=True)
class Failure:
    """A failed attempt: its class, the reason in words, and the place of the current record, if known."""

    kind: str
    reason: str
    place: tuple[int, int] | None = None


@dataclass(frozen=True)
class PendingTask:
    """A function and a payload, with the failed attempts so far.

    The task must not start before the time `ready`, and takes `slots` slots.
    """

    function: Function
    payload: Payload
    failures: tuple[Failure, ...] = ()
    ready: float = 0.0
    slots: int = 1
    second: bool = False
    """True for a second attempt beside a first one."""

    @property
    def wall_s(self) -> float:
        """The deadline in seconds, counted from the start of an attempt."""
        return float(self.payload.get("wall_s", TASK_S))

    def failed(self, failure: Failure, now: float, most_slots: int) -> PendingTask:
        """Return the task after another failed attempt.

        Each time the task runs out of memory, it gets twice as many slots. For the last attempt, it gets all slots of a
        node.
        """
        failures = (*self.failures, failure)
        times, policy = sum(one.kind == failure.kind for one in failures), POLICIES[failure.kind]
        slots = self.slots
        if failure.kind == MEMORY:
            slots = most_slots if times == policy.attempts - 1 else min(2 * slots, most_slots)
        wait = min(policy.wait_s * 2 ** (times - 1), _LONGEST_WAIT_S)
        return replace(self, failures=failures, ready=now + wait, slots=slots, second=False)

    @property
    def sent(self) -> Payload:
        """The payload for the engine. A second attempt beside a first one has a footprint of its own."""
        footprint = self.payload.get("footprint") if self.second else ""
        return {**self.payload, "footprint": f"{footprint}-2"} if footprint else self.payload

    @property
    def given_up(self) -> bool:
        last = self.failures[-1].kind
        return sum(one.kind == last for one in self.failures) >= POLICIES[last].attempts


def by_class(failures: tuple[Failure, ...]) -> dict[str, int]:
    """Return the number of failures of each class."""
    return dict(sorted(Counter(one.kind for one in failures).items()))


def last_place(failures: tuple[Failure, ...]) -> tuple[int, int] | None:
    """Return the last known place of a current record."""
    return next((one.place for one in reversed(failures) if one.place is not None), None)


_KINDS: dict[type[CorpusError], str] = {
    InputChanged: CHANGED,
    InputUnreachable: UNREACHABLE,
    ServerDown: SERVER_DOWN,
}
_OUT_OF_MEMORY: Answer = {"error": "there was no memory for more", "kind": MEMORY}


def answer_of(function: Function, payload: Payload, mark: Sequence[str] = ()) -> Answer:
    """Call a function and return its result as an answer. Exceptions become text.

    A node that joined late may lack the output folder, so each task looks for the mark in the folder.
    """
    if not sees_mark(mark):
        return {"error": socket.gethostname(), "kind": UNSHARED}
    try:
        return {"ok": function(payload)}
    except WorkerError as error:
        kind = DEADLINE if isinstance(error, Overdue) else USER_ERROR
        return {"error": str(error), "kind": kind, "place": error.place}
    except OutputError as error:
        return {"error": error.what, "todo": error.todo, "kind": NO_ROOM if isinstance(error, NoRoom) else OUTPUT}
    except CorpusError as error:
        kinds: dict[type[CorpusError], str] = {
            InputChanged: CHANGED,
            InputUnreachable: UNREACHABLE,
            ServerDown: SERVER_DOWN,
        }
        return {"error": str(error), "kind": kinds.get(type(error), USER_ERROR)}
    except MemoryError:
        return _OUT_OF_MEMORY
    except Exception as error:
        full = no_room(error, payload.get("store", "The output")) if isinstance(error, OSError) else None
        if full:
            return {"error": full.what, "todo": full.todo, "kind": NO_ROOM}
        # for example, a page worker that can't be started
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return _OUT_OF_MEMORY
        return {"error": f"{type(error).__name__} at\n{traced(error)}", "kind": USER_ERROR}
