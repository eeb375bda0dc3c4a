"""A process of the local engine: `python -m jobs.runner.local_worker PARENT [FACTORY]`.

The process reads tasks from stdin and writes their answers to stdout, each as one line of JSON. With FACTORY, it has
been started before its first task is known, and gets ready for one that reads pages.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from corpus.sandbox.page_process import start_early

if TYPE_CHECKING:
    from jobs.runner.retries import Function

_READY_FOR = ("jobs.build.divide", "jobs.runner.task_functions")
"""The modules of the first tasks of a build."""


def main() -> None:
    """Run tasks until stdin ends. It also ends when the driver dies."""
    if len(sys.argv) > 2:
        start_early(sys.argv[2])
    # imported here, so that the page worker loads its modules at the same time
    from corpus.imports import leave_out_unused
    from corpus.sandbox.page_worker import die_with_parent, leave_no_core
    from jobs.runner.retries import answer_of

    die_with_parent(int(sys.argv[1]))
    leave_no_core()
    leave_out_unused()
    if len(sys.argv) > 2:
        for module in _READY_FOR:
            import_module(module)
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # so that text printed by a library is not taken for an answer
        for line in sys.stdin.buffer:
            module, name, payload = json.loads(line)
            function: Function = getattr(import_module(module), name)
            answers.write(json.dumps(answer_of(function, payload)).encode() + b"\n")
            answers.flush()


if __name__ == "__main__":
    main()
