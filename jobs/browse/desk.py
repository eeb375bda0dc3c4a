"""The desk: an open run, perhaps another one beside it, and everything that a server keeps for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from corpus.errors import ConfigError
from corpus.storage.store import Location
from jobs.browse import limits
from jobs.browse.served_run import ServedRun
from jobs.browse.writing import Writing, command, shown
from jobs.runner.derived import register

T = TypeVar("T")
_KEPT_ANSWERS = 64


@dataclass(frozen=True)
class Given:
    """What the user gave: the runs, where their archives are now, the modules, and further options of commands."""

    place: Location
    other: Location | None = None
    inputs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    how: tuple[str, ...] = ()
    labels: Path | None = None


def open_desk(given: Given) -> Desk:
    """Open a run. Raises InputError if there is none."""
    return Desk(given, ServedRun.open(given.place))


class Answers:
    """The newest answers to questions. A question that is asked twice at the same time is answered once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, Any] = OrderedDict()
        self._asked: dict[Hashable, threading.Lock] = {}

    def get(self, question: Hashable, answer: Callable[[], T]) -> T:
        with self._lock:
            asked = self._asked.setdefault(question, threading.Lock())
        with asked:
            if question not in self._found:
                found = answer()
                with self._lock:
                    self._found[question] = found
                    while len(self._found) > _KEPT_ANSWERS:
                        self._asked.pop(self._found.popitem(last=False)[0], None)
            return self._found[question]


@dataclass
class Desk:
    """An open run."""

    given: Given
    run: ServedRun
    answers: Answers = field(default_factory=Answers)
    writing: Writing = field(default_factory=Writing)
    stopping: threading.Event = field(default_factory=threading.Event)
    slow: str = ""
    """The reason why the ledger has no copy, if there is one."""

    def start(self) -> None:
        """Copy the ledger, while questions are answered from the ledger itself."""
        threading.Thread(target=self._copy, daemon=True).start()

    def _copy(self) -> None:
        try:
            self.run.copy.make(self.stopping.is_set)
        except OSError as error:  # the ledger itself still answers
            self.slow = f"The ledger can't be copied, so answers take longer: {error.strerror}."

    def close(self) -> None:
        """End what works for this desk. A run that is being written is a process of its own, and goes on."""
        self.stopping.set()

    def overview(self) -> dict[str, Any]:
        copy = self.run.copy
        state = {"groups": len(copy.groups), "missing": copy.missing, "slow": self.slow}
        return {**limits.overview(self.run), "copy": state, "writing": self.writing.state()}

    def distribution(self, column: str) -> dict[str, Any]:
        return self.answers.get(("distribution", column), lambda: limits.distribution(self.run, column))

    def decide(self, settings: Sequence[str]) -> dict[str, Any]:
        return self.answers.get(("decide", *settings), lambda: limits.decide(self.run, settings))

    def recipe(self, settings: Sequence[str], name: str) -> dict[str, Any]:
        """Return the setting as the command that writes it, and as a recipe."""
        words = self._command(settings, name)
        return {"command": shown(words), "recipe": limits.recipe_text(self.run, settings, name)}

    def write(self, settings: Sequence[str], out: str) -> dict[str, Any]:
        """Start to write the run with these limits. Raises ConfigError for settings that are none."""
        if not out.strip() or out.startswith("-"):
            raise ConfigError("There is no name for the new run.", "Give the folder to write.")
        self.decide(settings)
        self.writing.start(self._command(settings, out), out)
        return self.writing.state()

    def _command(self, settings: Sequence[str], out: str) -> list[str]:
        modules = [word for module in self.given.modules for word in ("--allow-module", module)]
        inputs = [word for one in self.given.inputs for word in ("--inputs", one)]
        return command(str(self.given.place), settings, out, [*inputs, *modules, *self.given.how])

    def registered(self, kind: str, name: str) -> None:
        """Note in the run's folder that something was made from it, so that a takedown names it."""
        register(self.given.place, kind, name)
