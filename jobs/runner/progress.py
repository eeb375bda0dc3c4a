"""Progress on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.text import Text

from corpus.tables.ledger import add_counts, no_counts, total
from jobs.runner.terminal import say

_PLAIN_EVERY_S = float(os.environ.get("CORPUS_PROGRESS_S", "10"))
"""Seconds between plain lines. `corpus serve` sets the variable for the commands that it starts."""
_MINUTES_FROM_S = 120.0


class _Left(ProgressColumn):
    """The column of what is left of a phase."""

    def __init__(self, left: Callable[[], str]) -> None:
        super().__init__()
        self._left = left

    def render(self, task: Task) -> Text:
        return Text(self._left())


class Progress:
    """A display of finished units, records per second, kept and dropped records, and the time left."""

    _workers = 1
    _stopping: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._bar: Bar | None = None
        self.counts = no_counts()
        """The records of the phase."""

    def note(self, text: str) -> None:
        """Say something once, before any phase."""
        say(text)

    def watch(self, stopping: Callable[[], bool], workers: int) -> None:
        """Tell how many units run at the same time, and how to ask if a signal has stopped the job."""
        self._stopping, self._workers = stopping, workers

    def start(self, phase: str, units: int, done: int = 0, brief: bool = False) -> None:
        """Start a phase of `units` units, of which `done` are done.

        A `brief` phase is not shown at its end unless it takes long.
        """
        self._phase, self._units, self._done, self._skipped, self._brief = phase, units, done, done, brief
        self._printed_at = -1
        self.counts = no_counts()
        self._started = self._printed = time.monotonic()
        if self._console.is_terminal and not self._quiet:
            # together with the facts of a pass, these take 78 of 80 columns
            columns = "{task.description}", BarColumn(bar_width=8), MofNCompleteColumn(), _Left(self._left)
            self._bar = Bar(*columns, "{task.fields[facts]}", console=self._console, transient=brief)
            self._task = self._bar.add_task(phase, total=units, completed=done, facts="")
            self._bar.start()

    def expect(self, units: int) -> None:
        """Set the number of units of the phase, which was only an estimate."""
        if self._bar and units != self._units:
            self._bar.update(self._task, total=units)
        self._units = units

    def unit_done(self, counts: Mapping[str, Any] | None = None, units: int = 1) -> None:
        self._done += units
        add_counts(self.counts, counts or {})
        if self._bar:
            self._bar.update(self._task, completed=self._done, facts=self._facts(brief=True))
        elif time.monotonic() - self._printed > _PLAIN_EVERY_S:
            self._printed = time.monotonic()
            self._line()

    def stop(self) -> None:
        """Release the terminal. Call this method after an error, too."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def end(self) -> None:
        self.stop()
        over = time.monotonic() - self._started > _PLAIN_EVERY_S
        if self._printed_at != self._done and (over or not self._brief):
            self._line()

    def _line(self) -> None:
        if self._quiet:
            return
        self._printed_at = self._done
        left = f", {left}" if (left := self._left()) else ""
        say(f"{self._phase} {self._done}/{self._units}{left}{self._facts(', ')}")

    def _left(self) -> str:
        """Return what is left of the phase. While the last units run this is no time, because one may take long."""
        to_do, here = self._units - self._done, self._done - self._skipped
        if to_do > 0 and self._stopping():
            return "stopping"
        if to_do <= 0 or not here:
            return ""
        if to_do <= self._workers:
            return f"{to_do} still running"
        seconds = (time.monotonic() - self._started) / here * to_do
        return f"about {seconds:.0f} s left" if seconds < _MINUTES_FROM_S else f"about {seconds / 60:.0f} min left"

    def _facts(self, start: str = "", brief: bool = False) -> str:
        """Return the counts of the phase. A later phase may still drop what is kept so far."""
        if not self.counts["in"]:
            return ""
        rate = self.counts["in"] / max(time.monotonic() - self._started, 1e-3)
        dropped = "" if brief else f", {total(self.counts['dropped']):,} dropped"
        return f"{start}{rate:,.0f} records/s, {self.counts['kept']:,} kept so far{dropped}"
