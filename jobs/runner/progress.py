"""Progress on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from corpus.tables.ledger import add_counts, no_counts, total
from jobs.runner.terminal import say

_PLAIN_EVERY_S = 10.0


class Progress:
    """A display of finished units, records per second, kept and dropped records, and the time left."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._bar: Bar | None = None

    def note(self, text: str) -> None:
        """Say something once, before any phase."""
        say(text)

    def start(self, phase: str, units: int, done: int = 0, brief: bool = False) -> None:
        """Start a phase of `units` units, of which `done` are done.

        A `brief` phase is not shown at its end unless it takes long.
        """
        self._phase, self._units, self._done, self._skipped, self._brief = phase, units, done, done, brief
        self._printed_at = -1
        self._counts = no_counts()
        self._started = self._printed = time.monotonic()
        if self._console.is_terminal and not self._quiet:
            # together with the facts of a pass, these take 76 of 80 columns
            columns = "{task.description}", BarColumn(bar_width=16), MofNCompleteColumn(), TimeRemainingColumn()
            self._bar = Bar(*columns, "{task.fields[facts]}", console=self._console, transient=brief)
            self._task = self._bar.add_task(phase, total=units, completed=done, facts="")
            self._bar.start()

    def unit_done(self, counts: Mapping[str, Any] | None = None) -> None:
        self._done += 1
        add_counts(self._counts, counts or {})
        if self._bar:
            self._bar.update(self._task, completed=self._done, facts=self._facts())
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
        here = self._done - self._skipped
        elapsed = time.monotonic() - self._started
        to_do = self._units - self._done
        left = f", {elapsed / here * to_do:.0f} s left" if here and to_do > 0 else ""
        say(f"{self._phase} {self._done}/{self._units}{left}{self._facts(', ')}")

    def _facts(self, start: str = "") -> str:
        if not self._counts["in"]:
            return ""
        rate = self._counts["in"] / max(time.monotonic() - self._started, 1e-3)
        return f"{start}{rate:.0f}/s, {self._counts['kept']:,} kept, {total(self._counts['dropped']):,} dropped"
