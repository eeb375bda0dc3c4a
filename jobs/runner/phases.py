"""A phase of a job: one function over many payloads, and what comes out, in order."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.errors import IntegrityError
from corpus.storage.commits import Commit
from jobs.runner.engine import Engine, Stop, run
from jobs.runner.progress import Progress
from jobs.runner.retries import Function, Payload
from jobs.runner.task_functions import close_guards, commit_from_dict, end_guards


class Stopped(Exception):
    """A stop signal came."""


def run_phase(
    name: str, function: Function, payloads: Sequence[Payload], engine: Engine, stop: Stop, progress: Progress
) -> list[Payload]:
    """Run a phase to its end. Raises Stopped, and IntegrityError where a piece was given up."""
    places = {id(payload): place for place, payload in enumerate(payloads)}
    made: list[Payload] = [{}] * len(payloads)
    progress.start(name, len(payloads), 0, done=0)
    for answer in run(engine, function, payloads, stop):
        if answer.result is None:
            reason = answer.failures[-1].reason
            raise IntegrityError(f"{name} failed: {reason}", "Mend that, and run the same command again.")
        made[places[id(answer.payload)]] = answer.result
        progress.unit_done(0, {})
    progress.end()
    if stop.asked():
        raise Stopped
    return made


def run_commits(
    name: str, function: Function, payloads: Sequence[Payload], engine: Engine, stop: Stop, progress: Progress
) -> list[Commit]:
    """The same where each piece of work leaves a commit."""
    return [commit_from_dict(result) for result in run_phase(name, function, payloads, engine, stop, progress)]


def end_work(engine: Engine, stop: Stop, progress: Progress) -> None:
    """The end of all phases, however they ended: what is under way is waited for, unless all is to end at once."""
    progress.stop()
    if stop.at_once:
        end_guards()
        engine.close(wait=False)
    else:
        engine.close()
        close_guards()
