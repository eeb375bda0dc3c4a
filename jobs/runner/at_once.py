"""The end of a program whose threads may still be at work."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


class AtOnce(SystemExit):
    """Raised by a second stop signal. Running work is abandoned."""

    code: int


def end_at_once(code: int) -> NoReturn:
    """End this process without waiting for its threads, as Python itself would."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
