"""The command line in this process."""

from __future__ import annotations

import sys
import traceback

import pytest

from jobs.cli import main
from tests.engines import InProcess


def run_command(*words: object) -> int:
    """Run `corpus` with these words and return its exit code. Its tasks run in this process, too. The traceback of a
    bug of ours goes where pytest shows it if the test fails."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["corpus", *map(str, words)])
        patched.setattr("jobs.verbs.options.LocalEngine", InProcess)
        try:
            main()
        except SystemExit as ended:
            if ended.code == 70:
                traceback.print_exception(ended, file=sys.__stderr__)
            return int(ended.code or 0)
    return 0
