"""A finished run under other limits, or without what was taken down, as a run of its own: the same files that a build
would leave, from those of the run, with only the pages read again that must be.

judge the ledger anew → rewrite the pieces → compare documents → read the texts of those that come back → pack
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from corpus.digests import differences, digest
from corpus.errors import ConfigError, InputChanged, InputError, InputUnreachable, IntegrityError
from corpus.revise.ledger_replay import LedgerReplay
from corpus.revise.portion_replay import missing_texts
from corpus.revise.portions import Portion, portions_of
from corpus.run import Run
from corpus.sandbox.unit import Unit
from corpus.storage.commits import Commit, Part
from corpus.storage.store import Store
from corpus.tables.takedown import FILE, Takedown
from corpus.version import versions
from jobs.build.build import Result, complete
from jobs.build.compare_documents import Compared
from jobs.build.inputs import Input, find_inputs, plan_units
from jobs.build.plan import Job, Plan, claim_folder, open_earlier
from jobs.runner.engine import Engine, Stop, run
from jobs.runner.folder import open_folder
from jobs.runner.phases import Stopped, end_work
from jobs.runner.progress import Progress
from jobs.runner.retries import CHANGED, UNREACHABLE, Function
from jobs.runner.task_functions import commit_from_dict, fill_task, rewrite_task

_PIECES_PER_WORKER = 4
_LEAST_ROWS = 1024
"""Of a piece: with fewer, most of it is overhead."""

_PAGES_PER_TASK = 200
"""Pages whose reading takes as long as to start a page worker."""


def make_plan(old: Run, job: Job, taken: Takedown) -> Plan:
    """What decides the result: as that of a build, but that the inputs are those of the run. Raises ConfigError where
    something else than limits differs, since then the rows of the run are no longer what a build would make."""
    if not old.info["complete"]:
        raise ConfigError(
            f"The run in {old.store.where()} is not complete.", "Finish it: run its `corpus build` again."
        )
    against = open_earlier(job)
    now = {
        "resources": job.recipe.resources() | {f"module.{module.name}": module.digest for module in job.modules},
        "versions": versions(),
        "against": [one.digest for one in against],
    }
    lines = [line for key, value in now.items() for line in differences(old.info[key], value, key)]
    if lines:
        shown = "".join(f"\n  {line}" for line in lines[:20])
        raise ConfigError(
            f"{old.store.where()} was made with other code, lists or earlier runs (then → now):{shown}\n",
            "Build anew; or use that version, the same lists, and the same --against.",
        )
    inputs = old.info["inputs"]
    identity = {"recipe": job.recipe.canonical(), **now, "inputs": inputs, "removed": taken.digest}
    places = old.places()
    found = [Input(one["name"], places.get(one["name"], ""), one["bytes"], one["identity"]) for one in inputs]
    return Plan(found, identity, against)


def rewrite(old: Run, job: Job, taken: Takedown, make_engine: Callable[[], Engine], progress: Progress) -> Result:
    """Make the run `job.out` of a finished one; `job.inputs` say where its archives are, if not where they were."""
    plan = make_plan(old, job, taken)
    store = open_folder(job.out)
    if store.place == old.place:
        raise ConfigError(f"{old.store.where()} can't be written in place of itself.", "Give another folder.")
    with store.only_run(), Stop() as stop:
        if taken:
            store.put_new(FILE, taken.as_json())
        finished = claim_folder(store, plan)
        if finished is not None:
            return Result(0, finished, already_done=True)
        started = time.monotonic()
        work = Rewriting(old, job, plan, store, Archives(old, job.inputs), stop, progress, taken)
        engine = make_engine()
        try:
            commits = work.rewritten(engine)
            commits[0].about["other_records"] = old.info["other_records"]  # only their sum is told

            def fill(commits: list[Commit], compared: Compared | None) -> list[Commit]:
                filled = work.filled(engine, commits, compared)
                plan.inputs = [replace(one, path=work.archives.place(one)) for one in plan.inputs]
                return filled

            return complete(job, plan, store, engine, stop, progress, commits, [], started, fill)
        except Stopped:
            return Result(128 + stop.signal)
        finally:
            end_work(engine, stop, progress)


@dataclass
class Archives:
    """Where the archives of a run are, looked at when they are needed. Raises InputError for one that is not there."""

    run: Run
    given: list[str]
    _found: dict[str, Unit] = field(default_factory=dict)

    def place(self, item: Input) -> str:
        """Where an archive is, as far as it had to be looked for."""
        return self._found[item.name].path if item.name in self._found else item.path

    def has(self, name: str) -> bool:
        """Whether an archive is where it is said to be."""
        try:
            return bool(self.units([name]))
        except InputError:
            return False

    def units(self, names: Iterable[str]) -> dict[str, Unit]:
        """Each of these archives as one unit."""
        missing = [name for name in names if name not in self._found]
        if missing:
            places = self.given or [place for name in missing if (place := self.run.places().get(name))]
            there = {item.name: item for item in find_inputs(places)} if places else {}
            known = {item["name"]: item["identity"] for item in self.run.info["inputs"]}
            for name in missing:
                if name not in there:
                    raise InputError(f"Pages of {name} have to be read again.", "Say with --inputs where it is.")
                if there[name].identity != known[name]:
                    raise InputChanged(f"{name} is not the archive that the run read.", "Give that one with --inputs.")
                self._found[name] = _whole(there[name])
        return {name: self._found[name] for name in names}


def _whole(item: Input) -> Unit:
    return plan_units(item, 1 << 60)[0]


@dataclass
class Rewriting:
    """The two steps in which the pieces are made."""

    old: Run
    job: Job
    plan: Plan
    store: Store
    archives: Archives
    stop: Stop
    progress: Progress
    taken: Takedown

    def rewritten(self, engine: Engine) -> list[Commit]:
        """The commits of all pieces, in order."""
        new = self.taken if self.taken.digest != self.old.info["removed"] else None
        replay = LedgerReplay(self.old.info, self.job.recipe, self._signed, new)
        share = self.old.info["records"]["in"] // (_PIECES_PER_WORKER * engine.workers)
        pieces, pages = portions_of(self.old, replay, max(share, _LEAST_ROWS))
        pieces = [self._readable(one, pages) for one in pieces]
        units = self.archives.units(dict.fromkeys(one.warc for one in pieces if pages.get(one.ledger)))
        payloads = [{"piece": one.as_dict(), "archive": _as_dict(units.get(one.warc))} for one in pieces]
        return self._run(engine, "judge", rewrite_task, payloads, [pages.get(one.ledger, 0) for one in pieces])

    def _readable(self, piece: Portion, pages: dict[tuple[int, int], int]) -> Portion:
        """The piece; without further samples, where these alone would need an archive that is not there."""
        if not piece.extra or pages[piece.ledger] != len(piece.extra) or self.archives.has(piece.warc):
            return piece
        pages[piece.ledger] = 0
        return replace(piece, extra=())

    def filled(self, engine: Engine, commits: list[Commit], compared: Compared | None) -> list[Commit]:
        """The commits with every text that is to be packed."""
        pages = {}
        for number, done in enumerate(commits):
            told, box = self._told(number, compared)
            if done.about["missing"] and (wanted := int(missing_texts(self.store, done, told, box).sum())):
                pages[number] = wanted
        units = self.archives.units(dict.fromkeys(commits[number].about["unit"]["warc"] for number in pages))
        payloads = []
        for number in pages:
            told, box = self._told(number, compared)
            done = commits[number]
            own = {"commit": asdict(done), "told": asdict(told) if told else None, "box": box}
            payloads.append({**own, "archive": _as_dict(units[done.about["unit"]["warc"]])})
        made = self._run(engine, "read", fill_task, payloads, list(pages.values()))
        filled = dict(zip(pages, made, strict=True))
        return [filled.get(number, done) for number, done in enumerate(commits)]

    @staticmethod
    def _told(number: int, compared: Compared | None) -> tuple[Part | None, int]:
        """Where it lies what comparing documents said of a piece."""
        return compared.verdicts.told[number] if compared else (None, 0)

    def _run(
        self, engine: Engine, name: str, function: Function, pieces: list[dict[str, Any]], pages: list[int]
    ) -> list[Commit]:
        """The commits of all pieces, in order; `pages` says how many pages of each are read again."""
        tasks = list(_together(pages))
        payloads = [{**self._common, "pieces": [pieces[number] for number in task], "numbers": task} for task in tasks]
        self.progress.start(name, len(pieces), 0, done=0)
        made: dict[int, Commit] = {}
        for answer in run(engine, function, payloads, self.stop):
            if answer.result is None:
                self.progress.end()
                last = answer.failures[-1]
                errors = {CHANGED: InputChanged, UNREACHABLE: InputUnreachable}
                raise errors.get(last.kind, IntegrityError)(f"A piece of the run could not be rewritten: {last.reason}")
            for number, commit in zip(answer.payload["numbers"], answer.result["commits"], strict=True):
                made[number] = commit_from_dict(commit)
                self.progress.unit_done(0, made[number].about["counts"])
        self.progress.end()
        if self.stop.asked():
            raise Stopped
        return [made[number] for number in range(len(pieces))]

    @property
    def _signed(self) -> bool:
        """Whether what documents are compared by is there, or not needed."""
        return bool(self.old.parts("signatures")) or not self.old.info["compared"]

    @property
    def _common(self) -> dict[str, Any]:
        """What every task is given."""
        depends = {key: self.plan.identity[key] for key in ("recipe", "resources", "versions", "removed")}
        return {
            "store": self.store.place,
            "folder": self.old.store.place,
            "recipe": self.job.recipe.canonical(),
            "factory": self.job.factory,
            "modules": [[module.name, module.source] for module in self.job.modules],
            "guard": asdict(self.job.guard),
            "taken": bool(self.taken),
            "signed": self._signed,
            "newly_taken": self.taken.digest != self.old.info["removed"],
            "depends": digest([depends, self.old.info["fingerprint"]]),
        }


def _together(pages: list[int]) -> Iterator[list[int]]:
    """Pieces by task: those of which few pages are read go together, as a page worker costs some seconds."""
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


def _as_dict(unit: Unit | None) -> dict[str, Any] | None:
    return unit.as_dict() if unit else None
