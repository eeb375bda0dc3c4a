"""Shared parts of the fault tests: `record_result`, and the table of results at the end of a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.machine import machine_line
from tests.faults.results import FILE, Row, markdown, save

_rows: list[Row] = []


@pytest.fixture
def record_result() -> Callable[..., None]:
    """Record what a test measured, for the table in docs/reliability.md: `record_result("bit flips", tried=200, …)`.

    `fault` says what was done, `tried` how often, `survived` how often the promise held, and `lost` what was lost of
    the data that the fault did not touch. `measured` is the figure, with its unit. `limit` is what it must not exceed.
    """

    def record(
        fault: str,
        *,
        tried: int,
        survived: int | None = None,
        lost: str = "0",
        measured: str = "",
        limit: str = "",
    ) -> None:
        survived = tried if survived is None else survived
        _rows.append(
            {
                "fault": fault,
                "tried": f"{tried:,}",
                "survived": f"{survived:,}",
                "lost": lost,
                "measured": measured,
                "limit": limit,
            }
        )

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Save the rows, and print the table."""
    if _rows:
        save(_rows)
        terminalreporter.section(f"faults ({FILE.name}); {machine_line()}")
        terminalreporter.write(markdown(_rows))
