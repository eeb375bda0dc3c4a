"""A phase of a job: one function over many payloads, and the commits that come out, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpus.commits import Commit
from corpus.errors import IntegrityError
from jobs.dedup_phases import Stopped
from jobs.engine import Engine, Stop, run
from jobs.progress import Progress
from jobs.retries import Function
from jobs.tasks import commit_from_dict


def run_phase(
    name: str, function: Function, payloads: Sequence[dict[str, Any]], engine: Engine, stop: Stop, progress: Progress
) -> list[Commit]:
    """Run a phase to its end. Raises Stopped, and IntegrityError where a piece was given up."""
    made: dict[int, Commit] = {}
    progress.start(name, len(payloads), 0, done=0)
    for answer in run(engine, function, ({**payload, "place": at} for at, payload in enumerate(payloads)), stop):
        if answer.result is None:
            reason = answer.failures[-1].reason
            raise IntegrityError(f"{name} failed: {reason}", "Mend that, and run the same command again.")
        made[answer.payload["place"]] = commit_from_dict(answer.result)
        progress.unit_done(0, {})
    progress.end()
    if stop.asked():
        raise Stopped
    return [made[at] for at in range(len(payloads))]
