"""A finished run under other limits, or without what was taken down, as a run of its own: the same files that a build
would leave, from those of the run, with only the pages read again that must be.

judge the ledger anew → rewrite the pieces → compare documents → read the texts of those that come back → pack
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from corpus.digests import differences, digest
from corpus.errors import ConfigError, InputChanged, InputError, InputUnreachable, IntegrityError
from corpus.revise.fates import Rejudge
from corpus.revise.portions import pieces_of
from corpus.revise.replay import Piece, lacking
from corpus.run import Run
from corpus.sandbox.unit import Unit
from corpus.storage.commits import Commit
from corpus.tables.takedown import FILE, Takedown
from corpus.tables.verdicts import Verdicts
from corpus.version import versions
from jobs.build.build import Build, Result, carry_out, complete
from jobs.build.inputs import Input, find_inputs, plan_units
from jobs.build.plan import Job, Plan, claim_folder, open_earlier
from jobs.runner.engine import Engine, Stop, run
from jobs.runner.execution import Execution, Stopped
from jobs.runner.folder import open_folder
from jobs.runner.progress import Progress
from jobs.runner.retries import CHANGED, UNREACHABLE, Function
from jobs.runner.task_functions import fill_task, rewrite_task

_PIECES_PER_WORKER = 4
_LEAST_ROWS = 1024
"""Of a piece: with fewer, most of it is overhead."""

_PAGES_PER_TASK = 200
"""Pages whose reading takes as long as to start a page worker."""


def make_plan(old: Run, job: Job, taken: Takedown) -> Plan:
    """Return what decides the result: the same as for a build, with the inputs of the run.

    Raises ConfigError if something else than limits differs, since a build would then give other rows. A takedown must
    always be possible, so it keeps the run's own versions and lists.
    """
    where = old.store.where()
    if not old.info["complete"]:
        raise ConfigError(f"The run in {where} is not complete.", "Finish it: run its `corpus build` again.")
    against = open_earlier(job)
    earlier = [one.digest for one in against]
    if earlier != old.info["against"]:
        raise ConfigError(
            f"{where} was compared with {len(old.info['against'])} earlier runs, and --against names others.",
            "Name the same earlier runs.",
        )
    if taken.digest == old.info["removed"]:
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
    inputs = old.info["inputs"]
    identity = {"recipe": job.recipe.canonical(), **same, "against": earlier, "inputs": inputs, "removed": taken.digest}
    places = old.places()
    found = [Input(one["name"], places.get(one["name"], ""), one["bytes"], one["identity"]) for one in inputs]
    return Plan(found, identity, against, job.indexed.name if job.indexed else "")


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

        def work(run: Build) -> Result:
            replay = Rewriting(old, job, plan, run.execution, Archives(old, job.inputs), taken)
            commits = replay.rewritten()
            commits[0].facts["other_records"] = old.info["other_records"]  # only their sum is written

            def fill(commits: list[Commit], verdicts: list[Verdicts]) -> list[Commit]:
                filled = replay.filled(commits, verdicts)
                plan.inputs = [replace(one, path=replay.archives.place(one)) for one in plan.inputs]
                return filled

            return complete(run, commits, [], fill)

        return carry_out(job, plan, store, make_engine, stop, progress, work)


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
    execution: Execution
    archives: Archives
    taken: Takedown

    def rewritten(self) -> list[Commit]:
        """The commits of all pieces, in order."""
        new = self.taken if self.taken.digest != self.old.info["removed"] else None
        rejudge = Rejudge(self.old.info, self.job.recipe, self._signed, new)
        share = self.old.info["records"]["in"] // (_PIECES_PER_WORKER * self.execution.engine.workers)
        pieces, pages = pieces_of(self.old, rejudge, max(share, _LEAST_ROWS))
        pieces = [self._readable(one, pages) for one in pieces]
        units = self.archives.units(dict.fromkeys(one.warc for one in pieces if pages.get(one.ledger)))
        payloads = [{"piece": one.as_dict(), "archive": _as_dict(units.get(one.warc))} for one in pieces]
        return self._run("judge", rewrite_task, payloads, [pages.get(one.ledger, 0) for one in pieces])

    def _readable(self, piece: Piece, pages: dict[tuple[int, int], int]) -> Piece:
        """The piece; without further samples, where these alone would need an archive that is not there."""
        if not piece.extra or pages[piece.ledger] != len(piece.extra) or self.archives.has(piece.warc):
            return piece
        pages[piece.ledger] = 0
        return replace(piece, extra=())

    def filled(self, commits: list[Commit], verdicts: list[Verdicts]) -> list[Commit]:
        """The commits with every text that is to be packed."""
        store, pages = self.execution.store, {}
        boxes = [tuple(one.boxes[number] for one in verdicts) for number in range(len(commits))]
        for number, done in enumerate(commits):
            if done.facts["missing"] and (wanted := int(lacking(store, done, boxes[number]).sum())):
                pages[number] = wanted
        units = self.archives.units(dict.fromkeys(commits[number].facts["unit"]["warc"] for number in pages))
        payloads = []
        for number in pages:
            done = commits[number]
            own = {"commit": done.as_dict(), "verdicts": [box.as_dict() for box in boxes[number]]}
            payloads.append({**own, "archive": _as_dict(units[done.facts["unit"]["warc"]])})
        made = self._run("read", fill_task, payloads, list(pages.values()))
        filled = dict(zip(pages, made, strict=True))
        return [filled.get(number, done) for number, done in enumerate(commits)]

    def _run(self, name: str, function: Function, pieces: list[dict[str, Any]], pages: list[int]) -> list[Commit]:
        """The commits of all pieces, in order; `pages` says how many pages of each are read again."""
        tasks = list(_together(pages))
        payloads = [{**self._common, "pieces": [pieces[number] for number in task], "numbers": task} for task in tasks]
        progress = self.execution.progress
        progress.start(name, len(pieces), 0, done=0)
        made: dict[int, Commit] = {}
        for answer in run(self.execution.engine, function, payloads, self.execution.stop):
            if answer.result is None:
                progress.end()
                last = answer.failures[-1]
                errors = {CHANGED: InputChanged, UNREACHABLE: InputUnreachable}
                raise errors.get(last.kind, IntegrityError)(f"A piece of the run could not be rewritten: {last.reason}")
            for number, commit in zip(answer.payload["numbers"], answer.result["commits"], strict=True):
                made[number] = Commit.from_dict(commit)
                progress.unit_done(0, made[number].facts["counts"])
        progress.end()
        if self.execution.stop.asked():
            raise Stopped
        return [made[number] for number in range(len(pieces))]

    @property
    def _signed(self) -> bool:
        """Whether what documents are compared by is there, or not needed."""
        return all(self.old.parts(one["kind"]) for one in self.old.info["compared"].values())

    @property
    def _common(self) -> dict[str, Any]:
        """What every task is given."""
        depends = {key: self.plan.identity[key] for key in ("recipe", "resources", "versions", "removed")}
        return {
            "store": self.execution.store.place,
            "folder": self.old.store.place,
            **self.job.recipe_payload(),
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
