"""What a build costs, told before any work: the requests and bytes that it would take.

To tell the cost of chosen pages, the index is read as in a build, into a folder that is removed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from corpus.net.remote import FETCH_BYTES, whole_blocks
from corpus.net.urls import is_url
from corpus.sandbox.unit import Unit
from corpus.warc.chosen import spans_of
from corpus.warc.source import START_BYTES
from jobs.build.choose import VolumeCaptures, choose
from jobs.build.plan import Job, Plan, unit_size
from jobs.build.volumes import volume_size
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import executing
from jobs.runner.folder import open_folder
from jobs.runner.progress import Progress


@dataclass(frozen=True)
class Read:
    """Bytes that are read, and the requests that this takes if a server has them."""

    requests: int
    bytes: int


@dataclass(frozen=True)
class Cost:
    """The cost of a build of chosen pages."""

    facts: Mapping[str, Any]
    """What was chosen, as in run.json."""
    row_groups: int
    """The row groups of the index whose columns were read."""
    index: Read
    """What was read of the index."""
    pages: Read
    """What is read of the archives: the start of each, and the pages with what lies between near ones."""

    def as_dict(self) -> dict[str, Any]:
        """Return the cost as plain data."""
        read = {"row_groups": self.row_groups, "requests": self.index.requests, "read": self.index.bytes}
        index = {**self.facts["index"], **read}
        return {**self.facts, "index": index, "pages": asdict(self.pages)}


def cost_of(job: Job, plan: Plan, make_engine: Callable[[], Engine], progress: Progress) -> Cost:
    """Choose pages and return what their build costs. Raises Stopped, and InputError if there are none."""
    assert job.choice is not None
    size = volume_size(plan.inputs, chosen=True)
    with TemporaryDirectory(prefix="corpus-", ignore_cleanup_errors=True) as folder, Stop() as stop:
        with executing(open_folder(Path(folder)), make_engine, stop, progress) as execution:
            chosen = choose(execution, job.choice, plan.index, plan.inputs, job.base, size)
        unit_bytes = unit_size(job, plan, chosen.bytes)
        captures = archives = requests = size = 0
        for number in sorted(chosen.volumes):
            volume = VolumeCaptures(execution.store, chosen.list, number)
            captures, archives = captures + len(volume), archives + len(volume.archives)
            for piece in volume.pieces(unit_bytes):
                places = (piece[name].to_pylist() for name in ("offset", "length"))
                own = _sums(spans_of(list(zip(*places, strict=True))))
                requests, size = requests + own[0], size + own[1]
    facts = {**chosen.facts(), "captures": captures, "archives": archives, "repeated": chosen.captures - captures}
    pages = Read(requests + archives, size + archives * START_BYTES)
    return Cost(facts, chosen.total("groups"), Read(chosen.total("requests"), chosen.total("read")), pages)


def cost_of_units(units: Iterable[Unit]) -> Read:
    """Return what it takes to read whole archives that are divided into units."""
    spans = [whole_blocks(unit.start, unit.end) for unit in units if is_url(unit.path)]
    return Read(*_sums(spans))


def _sums(spans: Iterable[tuple[int, int]]) -> tuple[int, int]:
    requests = size = 0
    for start, end in spans:
        requests += -(-(end - start) // FETCH_BYTES)
        size += end - start
    return requests, size
