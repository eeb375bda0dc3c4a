"""Replays: a finished run under other limits, or without pages that were taken down, as a run of its own.

The new run has the same files as a fresh build would have. The new files are made from the files of the old run. Only
pages whose text is missing there are read again:

judge the ledger again → replay its portions → compare documents → read texts that come back → pack
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from corpus.digests import differences, digest
from corpus.errors import ConfigError, InputError
from corpus.revise.ledger_replay import LedgerReplay
from corpus.revise.portion_replay import missing_texts
from corpus.revise.portions import Portion, portions_of
from corpus.run import Run
from corpus.storage.commits import Commit
from corpus.tables.takedown import TAKEDOWN_FILE, Takedown
from corpus.tables.verdicts import Verdicts
from corpus.version import REPLAY_ROOMS, versions
from jobs.build.archives import Archives
from jobs.build.build import carry_out, complete
from jobs.build.inputs import Input, seen_by
from jobs.build.plan import OPTIONAL, Build, Job, Plan, claim_folder, open_earlier
from jobs.runner.derived import register
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import JobResult
from jobs.runner.folder import open_folder
from jobs.runner.progress import Progress
from jobs.runner.retries import Function
from jobs.runner.task_functions import replay_task, texts_task

_PORTIONS_PER_WORKER = 4
_LEAST_ROWS = 1024
"""A portion with fewer rows is mostly overhead."""

_PAGES_PER_TASK = 200
"""Reading this many pages takes as long as starting a page worker."""


def make_plan(old: Run, job: Job, takedown: Takedown) -> Plan:
    """Return the plan, which decides the result. The plan equals that of a build with the inputs of the run.

    Raises ConfigError if anything other than limits differs, because a build would then give other rows. A takedown
    must always be possible, so it keeps the run's own versions and lists.
    """
    where = old.store.where()
    check_complete(old)
    against = open_earlier(job)
    earlier = [one.digest for one in against]
    if earlier != old.info["against"]:
        raise ConfigError(
            f"{where} was compared with {len(old.info['against'])} earlier runs, and --against names others.",
            "Name the same earlier runs.",
        )
    if takedown.digest == old.info["removed"]:
        modules = {f"module.{module.name}": module.digest for module in job.modules}
        now = {"resources": job.recipe.resources() | modules, "versions": versions()}
        lines = [line for key, value in now.items() for line in differences(old.info[key], value, key)]
        if lines:
            shown = "".join(f"\n  {line}" for line in lines[:20])
            raise ConfigError(
                f"{where} was made with other code or lists, so its rows can't be judged again (then → now):{shown}\n",
                "Build anew, or use the version and the lists that made it.",
            )
    same = {key: old.info[key] for key in ("resources", "versions")}
    same |= {key: old.info[key] for key in OPTIONAL if old.info.get(key)}
    identity = {**same, "recipe": job.recipe.canonical(), "against": earlier, "removed": takedown.digest}
    names = old.locations()
    inputs = [
        Input(one["name"], names.get(one["name"], ""), one["bytes"], one["identity"]) for one in old.info["inputs"]
    ]
    return Plan(inputs, identity, against, seen_by(old.store))


def check_complete(run: Run) -> None:
    """Raise ConfigError if units of a run were given up."""
    if not run.info["complete"]:
        where = run.store.where()
        raise ConfigError(f"The run in {where} is not complete.", "Finish it: run its `corpus build` again.")


def replay(old: Run, job: Job, takedown: Takedown, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Write the run `job.out` from a finished run. `job.inputs` name the archives if they have moved."""
    plan = make_plan(old, job, takedown)
    store = open_folder(job.out)
    if store.location == old.location:
        raise ConfigError(f"{old.store.where()} can't be written in place of itself.", "Give another folder.")
    with store.only_run(job.share), Stop() as stop:
        if takedown:
            store.put_new(TAKEDOWN_FILE, takedown.as_json())
        finished = claim_folder(store, plan)
        if takedown.digest == old.info["removed"]:  # otherwise this run will replace the old one
            for source in (old.location, *job.against):
                register(source, "run", job.out)
        if finished is not None:
            return JobResult(0, finished, already_done=True)

        def work(run: Build) -> JobResult:
            portions = _Replay(old, run, takedown, Archives(old, job.inputs))
            commits = portions.commits()
            commits[0].facts["other_records"] = old.info["other_records"]  # only the sum over all commits is written
            return complete(run, commits, [], portions.with_texts)

        return carry_out(job, plan, store, make_engine, stop, progress, work)


@dataclass
class _Replay:
    """The two steps that make the portions of a replay."""

    old: Run
    new: Build
    takedown: Takedown
    archives: Archives

    def commits(self) -> list[Commit]:
        """Return the commits of all portions, in order.

        These commits still lack the texts of documents that come back.
        """
        takedown = self.takedown if self.takedown.digest != self.old.info["removed"] else None
        judge = LedgerReplay(self.old.info, self.new.job.recipe, self._signed, takedown)
        share = self.old.info["records"]["in"] // (_PORTIONS_PER_WORKER * self.new.execution.engine.workers)
        portions, pages = portions_of(self.old, judge, max(share, _LEAST_ROWS))
        portions = [self._readable(one, pages) for one in portions]
        units = self.archives.units(dict.fromkeys(one.warc for one in portions if pages.get(one.ledger)))
        archives = {name: unit.as_dict() for name, unit in units.items()}
        own = [{"portion": one.as_dict(), "archive": archives.get(one.warc)} for one in portions]
        return self._run("judging again", replay_task, own, [pages.get(one.ledger, 0) for one in portions])

    def _readable(self, portion: Portion, pages: dict[tuple[int, int], int]) -> Portion:
        """Return the portion. If only its further samples need a missing archive, leave these samples out."""
        if portion.extra and pages[portion.ledger] == len(portion.extra):
            try:
                self.archives.units([portion.warc])
            except InputError:
                pages[portion.ledger] = 0
                return replace(portion, extra=())
        return portion

    def with_texts(self, commits: Sequence[Commit], verdicts: list[Verdicts]) -> list[Commit]:
        """Return the commits with every text that the pack phase needs."""
        store = self.new.execution.store
        boxes = [tuple(one.boxes[number] for one in verdicts) for number in range(len(commits))]
        incomplete = [number for number, done in enumerate(commits) if done.facts["missing"]]
        wanted = {number: int(missing_texts(store, commits[number], boxes[number]).sum()) for number in incomplete}
        pages = {number: count for number, count in wanted.items() if count}
        units = self.archives.units(dict.fromkeys(commits[number].facts["unit"]["warc"] for number in pages))
        own = [
            {
                "commit": commits[number].as_dict(),
                "verdicts": [box.as_dict() for box in boxes[number]],
                "archive": units[commits[number].facts["unit"]["warc"]].as_dict(),
            }
            for number in pages
        ]
        made = dict(zip(pages, self._run("reading pages again", texts_task, own, list(pages.values())), strict=True))
        plan = self.new.plan
        plan.inputs = [replace(item, path=self.archives.found.get(item.name, item).path) for item in plan.inputs]
        return [made.get(number, done) for number, done in enumerate(commits)]

    def _run(self, name: str, function: Function, portions: list[dict[str, Any]], pages: list[int]) -> list[Commit]:
        """Return the commits of all portions, in order.

        `pages` counts the pages of each portion that are read again.
        """
        depends = {key: self.new.plan.identity[key] for key in ("recipe", "resources", "removed")}
        depends["versions"] = versions(REPLAY_ROOMS)
        common = {
            **self.new.payload(),
            "folder": self.old.store.location,
            "signed": self._signed,
            "new_takedown": self.takedown.digest != self.old.info["removed"],
            "depends": digest([depends, self.old.info["fingerprint"]]),
        }
        tasks = list(_together(pages))
        payloads = [{**common, "portions": [portions[number] for number in task]} for task in tasks]
        made: dict[int, Commit] = {}
        for task, result in zip(tasks, self.new.execution.phase(name, function, payloads), strict=True):
            made |= zip(task, map(Commit.from_dict, result["commits"]), strict=True)
        return [made[number] for number in range(len(portions))]

    @property
    def _signed(self) -> bool:
        """True if the run kept the signatures of all its comparisons."""
        return all(self.old.parts(one["kind"]) for one in self.old.info["compared"].values())


def _together(pages: list[int]) -> Iterator[list[int]]:
    """Yield the portions of each task.

    Portions with few pages to read share a task, because a page worker takes seconds to start.
    """
    held: list[int] = []
    for number, count in enumerate(pages):
        if not count:
            yield [number]
            continue
        held.append(number)
        if sum(pages[one] for one in held) >= _PAGES_PER_TASK:
            yield held
            held = []
    if held:
        yield held
