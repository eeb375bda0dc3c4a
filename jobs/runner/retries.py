"""What becomes of a task that fails: the class of its failure, and by that how often it is tried, after how long, and
with how many slots, so that fewer tasks run beside it."""

from __future__ import annotations

import errno
import socket
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from corpus.errors import CorpusError, InputChanged, InputUnreachable, NoRoom, OutputError, no_room
from corpus.sandbox.guard import Overdue, WorkerError
from jobs.runner.nodes import sees

Payload = dict[str, Any]
Function = Callable[[Payload], Payload]

TASK_S = 6 * 3600.0
"""What a task may take by the clock where its payload does not say, under "wall_s": pieces of all phases are cut so as
to take minutes."""

_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Rule:
    """How often a task is tried that fails so, and how long to wait after the first time; after each further one twice
    as long."""

    tries: int
    wait_s: float = 0.5


MEMORY = "out of memory"
DEADLINE = "deadline"
CHANGED = "input changed"
UNREACHABLE = "input unreachable"
OUTPUT = "output"
"""Where the tries come to an end this ends the run: what can't write one result can write no other."""

RULES = {
    "user error": Rule(2),  # of our own code or a stage's author: likely to come again
    "crash": Rule(3, 1.0),
    MEMORY: Rule(4, 2.0),
    "node lost": Rule(10, 2.0),  # nobody's fault, and another may take minutes to come
    DEADLINE: Rule(2),
    CHANGED: Rule(1),  # it stays so
    UNREACHABLE: Rule(1),  # it was asked many times already
    OUTPUT: Rule(5, 2.0),  # one node may lack a mount or credentials that others have
}


NO_ROOM = "no room"
"""A failure that is no payload's: it ends the run at once."""


@dataclass(frozen=True)
class Failure:
    """One failed try: its class, why in words, and the place of the record that was at work, where that is known."""

    kind: str
    reason: str
    place: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


@dataclass(frozen=True)
class Try:
    """A payload with what became of it so far. It is not to run before `ready`, and takes `slots` of them."""

    payload: Payload
    failures: tuple[Failure, ...] = ()
    ready: float = 0.0
    slots: int = 1

    @property
    def wall_s(self) -> float:
        """What it may take, from its start."""
        limit: float = self.payload.get("wall_s", TASK_S)
        return limit

    def failed(self, failure: Failure, now: float, most_slots: int) -> Try:
        """The same with one failure more. After it ran out of memory it takes twice as many slots as before, at the
        last try all that a node has."""
        failures = (*self.failures, failure)
        times, rule = sum(one.kind == failure.kind for one in failures), RULES[failure.kind]
        slots = self.slots
        if failure.kind == MEMORY:
            slots = most_slots if times == rule.tries - 1 else min(2 * slots, most_slots)
        wait = min(rule.wait_s * 2 ** (times - 1), _LONGEST_WAIT_S)
        return replace(self, failures=failures, ready=now + wait, slots=slots)

    @property
    def given_up(self) -> bool:
        last = self.failures[-1].kind
        return sum(one.kind == last for one in self.failures) >= RULES[last].tries


def by_class(failures: tuple[Failure, ...]) -> dict[str, int]:
    """How many failures there were of each class."""
    return dict(sorted(Counter(one.kind for one in failures).items()))


def last_place(failures: tuple[Failure, ...]) -> tuple[int, int] | None:
    """The record that was at work when it last was known."""
    return next((one.place for one in reversed(failures) if one.place is not None), None)


_OUT_OF_MEMORY = {"error": "there was no memory for more", "kind": MEMORY}


def answer_of(function: Function, payload: Payload, mark: Sequence[str] = ()) -> Payload:
    """Call a function; what it raises becomes text. A node that joined late may lack the folder with the mark."""
    if not sees(list(mark)):
        return {"error": socket.gethostname(), "kind": "unshared"}
    try:
        return {"ok": function(payload)}
    except InputChanged as error:
        return {"error": str(error), "kind": CHANGED}
    except InputUnreachable as error:
        return {"error": str(error), "kind": UNREACHABLE}
    except WorkerError as error:
        kind = DEADLINE if isinstance(error, Overdue) else "user error"
        return {"error": str(error), "kind": kind, "place": error.place}
    except NoRoom as error:
        return {"error": error.what, "todo": error.todo, "kind": NO_ROOM}
    except OutputError as error:
        return {"error": error.what, "todo": error.todo, "kind": OUTPUT}
    except CorpusError as error:
        return {"error": str(error), "kind": "user error"}
    except MemoryError:
        return _OUT_OF_MEMORY
    except Exception as error:
        full = no_room(error, payload.get("store", "The output")) if isinstance(error, OSError) else None
        if full:
            return {"error": full.what, "todo": full.todo, "kind": NO_ROOM}
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:  # of a page worker that can't be started, say
            return _OUT_OF_MEMORY
        where = "".join(traceback.format_tb(error.__traceback__))  # a message may quote a page
        return {"error": f"{type(error).__name__} at\n{where}", "kind": "user error"}


class Tally:
    """The failed tries of all tasks that an engine ran, by function and class."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, task: str, kind: str) -> None:
        self._counts[task, kind] += 1

    def as_dict(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for (task, kind), times in sorted(self._counts.items()):
            found.setdefault(task, {})[kind] = times
        return found


class Slots:
    """So many slots, of which a thread takes some at once."""

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
