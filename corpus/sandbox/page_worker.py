"""The process that touches pages: `python -m corpus.sandbox.page_worker IN OUT BOARD FACTORY PARENT`.

The process reads jobs from the file descriptor IN and writes batches to OUT. A page may send the process into an
endless loop, crash it, or use up its memory. The supervisor survives, and the board shows which record was the cause.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any

from corpus.errors import InputError, class_of, traced
from corpus.imports import leave_out_unused
from corpus.net.client import Client
from corpus.net.remote import open_source, whole_blocks
from corpus.pipeline import Pipeline
from corpus.plugins import Plugin
from corpus.recipes import Recipe
from corpus.sandbox.footprint import Footprint
from corpus.sandbox.protocol import ERROR, JOB, Board, FrameReader, send_batch, write_frame
from corpus.sandbox.unit import SEVERAL, Unit, UnitOptions, run_unit
from corpus.warc.chosen import spans_of
from corpus.warc.record import Place

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Serve jobs until IN ends. IN also ends when the supervisor dies."""
    fd_in, fd_out, fd_board = map(int, argv[:3])
    die_with_parent(int(argv[4]))
    leave_no_core()
    leave_out_unused()
    with suppress(Exception):  # the first job reports the error
        importlib.import_module(argv[3].partition(":")[0])  # it may be some time until the first job comes
    board = Board(fd_board)
    pipeline: Pipeline | None = None
    own = 0
    frames = FrameReader()
    client = Client()
    while data := os.read(fd_in, 1 << 16):
        for kind, payload in frames.feed(data):
            assert kind == JOB
            job = json.loads(payload)
            try:
                if "recipe" in job:
                    pipeline = make_recipe(argv[3], job["recipe"], job["modules"]).pipeline()
                    pipeline.prepare()
                    settle()
                    own = _data_bytes()
                assert pipeline is not None
                _serve(pipeline, job, board, fd_out, own, client)
            except BrokenPipeError:
                return
            # a bug of ours, or an input that can't be opened: the supervisor reports the error
            except Exception as error:
                write_frame(fd_out, ERROR, json.dumps(_described(error)).encode())


def _serve(pipeline: Pipeline, job: dict[str, Any], board: Board, fd_out: int, own: int, client: Client) -> None:
    unit, options = Unit(**job["unit"]), UnitOptions.from_dict(job["options"])
    memory, memory_alone = own + job["memory"], own + job["memory_alone"]

    def announce(place: Place) -> None:
        board.announce(place)
        if place != SEVERAL:
            footprint.leave(place)
        if options.alone:
            _limit_memory(memory_alone if place in options.alone else memory)

    def grant(more: bool) -> None:
        _limit_memory(memory_alone if more else memory)

    grant(False)
    spans: Sequence[tuple[int, int]] | None = [whole_blocks(unit.start, unit.end)]
    if options.chosen is not None:
        spans = spans_of(options.chosen)
    elif options.only is not None:
        spans = None  # single records are not read in order
    source = open_source(unit.path, unit.warc, tag=unit.tag, spans=spans, client=client, waiting=board.waiting)
    footprint = Footprint(options.footprint)
    with closing(footprint), closing(source):
        for batch in run_unit(pipeline, source, unit, options, announce=announce, grant=grant):
            if batch.done:
                source.check()  # rows of a file that changed during the read must not be committed
            send_batch(fd_out, batch)


def _described(error: Exception) -> dict[str, str]:
    """Return an error as JSON data. The error's message is left out, because it may quote a page."""
    described = {"class": class_of(error), "traceback": traced(error)}
    if isinstance(error, InputError):
        described |= {"what": error.what, "todo": error.todo}
    return described


def settle() -> None:
    """Exempt everything loaded so far from garbage collection, and collect rarely.

    Pages make almost no reference cycles, and searching for cycles took a twentieth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def make_recipe(factory: str, data: dict[str, Any], modules: list[list[str]]) -> Recipe:
    """Return the recipe of a canonical form, made by the function that `factory` names as `module:name`."""
    module, _, name = factory.partition(":")
    make: Callable[[dict[str, Any], list[Plugin]], Recipe] = getattr(importlib.import_module(module), name)
    return make(data, [Plugin(*pair) for pair in modules])


def _data_bytes() -> int:
    """Return the size of this process's own data by the system's count.

    Allocators reserve memory in advance, so the count is higher than the memory in use.
    """
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


def _limit_memory(limit: int) -> None:
    """Make allocations fail above `limit` bytes of own data. Mapped lists don't count."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != limit and (hard == resource.RLIM_INFINITY or limit <= hard):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the thread that started it dies, even inside a C loop.

    `parent` is the process that started this one. It may have died while this one was loading its modules.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def leave_no_core() -> None:
    """Prevent a core dump if this process crashes. A core dump would hold the texts of pages."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


if __name__ == "__main__":
    main(sys.argv[1:])
