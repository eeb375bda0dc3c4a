"""Footers of parquet files, looked at by a process of its own: `python -m corpus.documents.footers`.

Some harmed footers end the process that looks at them: pyarrow 26 lets errors in the sizes of a column's levels through
to C++, which aborts. That must not be the process of a run. So the process here looks first, and its end is a damaged
file. It is started once, in 0.3 s, and ends with the process that started it.
"""

from __future__ import annotations

import atexit
import os
import resource
import subprocess
import sys
from threading import Lock
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.errors import IntegrityError
from corpus.warc.source import Source

_MAGIC = b"PAR1"
_READY = b"r"
_lock = Lock()
_looking: subprocess.Popen[bytes] | None = None


def check_footer(source: Source) -> None:
    """Raise IntegrityError if the footer of a file can't be looked at."""
    end = source.read(max(0, source.size - 8), 8)
    size = int.from_bytes(end[:4], "little")
    if source.size < 12 + size or end[4:] != _MAGIC:
        raise IntegrityError(f"{source.name} has no footer.", "Restore it.")
    footer = source.read(source.size - 8 - size, size) + end
    with _lock:
        fine = _ask(footer)
    if not fine:
        raise IntegrityError(f"The footer of {source.name} is damaged.", "Restore it.")


def _ask(footer: bytes) -> bool:
    global _looking
    if _looking is None:
        command, pipe = [sys.executable, "-P", "-m", "corpus.documents.footers"], subprocess.PIPE
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))}
        # in a session of its own, as Ctrl-C is for the run
        _looking = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True, env=environment
        )
        if _looking.stdout is None or _looking.stdout.read(1) != _READY:
            raise RuntimeError("the process that looks at footers did not start")
    assert _looking.stdin is not None and _looking.stdout is not None
    try:
        _looking.stdin.write(len(footer).to_bytes(8, "little") + footer)
        _looking.stdin.flush()
        answer = _looking.stdout.read(1)
    except BrokenPipeError:
        answer = b""
    if not answer:
        end()
    return answer == b"+"


@atexit.register
def end() -> None:
    """End the process that looks at footers."""
    global _looking
    ended, _looking = _looking, None
    if ended is not None:
        ended.kill()
        ended.communicate()


def look(given: IO[bytes], answers: IO[bytes]) -> None:
    """Answer for each footer, until there are no more."""
    answers.write(_READY)
    answers.flush()
    while head := given.read(8):
        footer = given.read(int.from_bytes(head, "little"))
        try:
            found = pq.read_metadata(pa.BufferReader(_MAGIC + footer))
            for index in range(found.num_row_groups):
                group = found.row_group(index)
                for number in range(group.num_columns):
                    group.column(number)
            fine = True
        except (pa.ArrowException, OSError):
            fine = False
        answers.write(b"+" if fine else b"-")
        answers.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # an abort is expected here
    look(sys.stdin.buffer, sys.stdout.buffer)
