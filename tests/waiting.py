"""Waiting for an event."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 600.0
"""The seconds after which nobody waits any longer. What takes a second alone may take half a minute on a busy machine;
only what hangs takes so long."""


def wait_until(true: Callable[[], object]) -> None:
    """Wait until a function returns something true, which an event outside of this thread must cause."""
    gives_up = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < gives_up, f"what was waited for did not happen in {PATIENCE_S:.0f} s"
        time.sleep(0.005)
