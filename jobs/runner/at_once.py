"""The end of a program in which threads may still be at work."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


class AtOnce(SystemExit):
    """A second stop signal came: what is under way is not waited for."""

    code: int


def end_at_once(code: int) -> NoReturn:
    """End this process, whatever its threads do: Python itself would wait for them."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
