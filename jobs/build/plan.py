"""The plan of a build: the job as the user asked for it, its inputs and units, and the folder bound to them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from corpus.dedup.contract import DocumentComparison
from corpus.dedup.index import EarlierRun, check_comparable, open_index
from corpus.dedup.layout import MEMORY_BYTES
from corpus.digests import differences, digest
from corpus.documents.columns import Columns
from corpus.errors import ConfigError
from corpus.json_data import parse_json
from corpus.net.urls import is_url
from corpus.plugins import Plugin
from corpus.recipes import ARCHIVE_GIVES, Recipe
from corpus.sandbox.guard import GuardSettings
from corpus.sandbox.unit import Seen
from corpus.stage import BoundStage
from corpus.storage.store import Location, Store, open_store
from corpus.tables.takedown import TAKEDOWN_FILE, Takedown, takedown_of
from corpus.version import CHOICE_ROOMS, code_digest, versions
from jobs.build.choice import Choice
from jobs.build.choose import check_index, find_index
from jobs.build.compare import ALARM_RATE
from jobs.build.contents import find_columns
from jobs.build.inputs import Input, find_inputs
from jobs.runner.execution import Execution
from jobs.runner.folder import claim

UNIT_BYTES = 8 << 20
"""Some 250 pages of a Common Crawl WARC, a few seconds of work. A crash costs at most this much work."""

REMOTE_UNIT_BYTES = 32 << 20
"""The size for remote inputs. Each unit costs some requests to plan, and one MiB that is read twice."""

SMALL_UNIT_BYTES = 256 << 10
"""Small inputs get smaller units, so that all workers have units. Below this size a unit is mostly overhead."""

UNITS_PER_WORKER = 4

_UNITS = ".work/units.json"


@dataclass(frozen=True)
class Job:
    """A build as the user asked for it.

    `factory` names the function that makes a recipe from its canonical form. `modules` are the plugins that the user
    allowed, and `against` names earlier runs to compare documents with. Without `unit_bytes`, the first run into a
    folder chooses a size, and later runs keep this size.
    """

    recipe: Recipe
    inputs: list[str]
    out: Location
    unit_bytes: int | None = None
    workers: int = 1
    keep_work: bool = False
    guard: GuardSettings = field(default_factory=GuardSettings)
    factory: str = "filters:recipe_from_dict"
    modules: tuple[Plugin, ...] = ()
    limit: int | None = None
    """The number of inputs to read."""
    sample: int | None = None
    """The number of inputs to draw at random."""
    choice: Choice | None = None
    """The conditions on pages of crawls. Only pages in the inputs are chosen."""
    seed: int = 0
    base: str | None = None
    """The location where crawls are looked up."""
    columns: dict[str, str] = field(default_factory=dict)
    """The columns of documents that the user named, by part: text, html, id, url, date, language."""
    keep_columns: tuple[str, ...] = ()
    """Other columns of documents to copy to the corpus."""
    against: tuple[str, ...] = ()
    index: bool = True
    """If True, the run writes an index, so that later runs can compare with it."""
    dedup_memory: int = MEMORY_BYTES
    """The memory for the rows that one task of a comparison holds."""
    unit_seconds: float | None = None
    """The deadline of a unit. The default is the time that its pages may take together
    (`GuardSettings.unit_wall_s`)."""
    share: bool = False
    """If True, the umask decides who may read samples, index and intermediate files. Otherwise only the owner may."""
    alarm_rate: float = ALARM_RATE
    """The run stops before it is packed if a comparison removes a larger share of the run or of one archive."""

    @property
    def indexed(self) -> BoundStage | None:
        """The stage whose signatures later runs can compare with, if there is one."""
        for bound in self.recipe.stages:
            if isinstance(bound.stage, DocumentComparison) and bound.stage.indexed:
                return bound
        return None


@dataclass
class Plan:
    """The inputs of a build, and the identity of everything that decides its result.

    The tasks that divide inputs look up those that the driver has not looked up.
    """

    inputs: list[Input]
    identity: dict[str, Any]
    """Everything that decides the result, but the inputs."""
    against: list[EarlierRun] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    """The parts of the archives that an earlier run saw, if this run is a replay."""
    index: list[Input] = field(default_factory=list)
    """The files of the index by which pages are chosen."""

    @property
    def columns(self) -> Columns | None:
        """The columns of documents; None if the inputs are archives."""
        return columns_of(self.identity)

    @property
    def known(self) -> list[Input]:
        """The inputs that were looked up."""
        return [item for item in self.inputs if item.identity]

    def whole(self) -> dict[str, Any]:
        """Return the identity with the inputs. Of an input that was not looked up, only the name is known."""
        inputs = [
            {"name": item.name, **({"bytes": item.size, "identity": item.identity} if item.identity else {})}
            for item in self.inputs
        ]
        return {**self.identity, "inputs": inputs}

    def bound(self) -> dict[str, Any]:
        """Return what the folder is bound to. If pages are chosen, the archives with such pages follow from the choice,
        and are not known before."""
        return self.whole() if "choice" not in self.identity else _without_result(self.whole())

    @property
    def fingerprint(self) -> str:
        return digest(self.whole())


@dataclass
class Build:
    """A build that is running."""

    job: Job
    plan: Plan
    execution: Execution
    started: float = field(default_factory=time.monotonic)
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """The time and memory of each phase of a comparison."""

    def payload(self) -> dict[str, Any]:
        """Return the data for every task: the folder of the run, the recipe, and the settings of page workers."""
        job, store = self.job, self.execution.store
        modules = [[module.name, module.source] for module in job.modules]
        recipe = {"recipe": job.recipe.canonical(), "factory": job.factory, "modules": modules}
        where = {"store": store.location, "takedown": store.size(TAKEDOWN_FILE) is not None}
        return {**where, **recipe, "guard": asdict(job.guard)}

    @property
    def keeps_signatures(self) -> bool:
        """True if the run keeps its signatures. A signature is no longer true once its document loses lines."""
        return self.job.index and all(stage.compares == "documents" for stage in self.job.recipe.pipeline().collective)


def make_plan(job: Job, most: int | None = None) -> Plan:
    """Find the inputs and everything that decides the result. With `most`, only so many inputs are looked up. Raises
    CorpusError before any work starts."""
    index = find_index(job.inputs, job.base) if job.choice else []
    most = most if job.choice is None else 0  # most archives have no chosen page
    inputs = find_inputs(job.inputs, job.limit, job.base, job.sample, job.seed, most, whole=bool(index))
    columns = find_columns(inputs, job.columns, job.keep_columns)
    job.recipe.check_input(ARCHIVE_GIVES if columns is None else columns.gives)
    against = open_earlier(job)
    checked = job.recipe.checked()
    identity = {
        "recipe": job.recipe.canonical(),
        "resources": job.recipe.resources() | {f"module.{module.name}": module.digest for module in job.modules},
        "versions": versions(),
        "against": [one.digest for one in against],
        "removed": takedown_of(open_store(job.out)).digest,
        **({"documents": columns.as_dict()} if columns is not None else {}),
        **({"checked": checked} if checked else {}),
    }
    if job.choice is not None:
        check_index(job.choice, index[0])
        lists = {"index": digest([item.name for item in index]), "archives": digest([item.name for item in inputs])}
        given = {"crawls": sorted({*job.inputs}), **job.choice.as_dict()}
        identity["choice"] = {**given, **lists, "code": code_digest(CHOICE_ROOMS)}
    return Plan(inputs, identity, against, index=index)


OPTIONAL = ("documents", "checked", "choice", "chosen")
"""The parts of an identity that only some runs have: the columns of documents, what stages look for in pages, by which
conditions pages were chosen, and what was chosen."""


def columns_of(info: Mapping[str, Any]) -> Columns | None:
    """Return the columns of a run's documents, from its run.json or plan, or None if the run read archives."""
    return Columns.from_dict(info["documents"]) if info.get("documents") else None


def open_earlier(job: Job) -> list[EarlierRun]:
    """Return the indexes of the earlier runs. Raises ConfigError if the recipe can't use the indexes, and InputError if
    an index can't be opened."""
    if job.against and any(stage.compares == "lines" for stage in job.recipe.pipeline().collective):
        raise ConfigError(
            "Lines are compared within one run, so this recipe can't be built against an earlier one.",
            "Leave out --against, or the stage that compares lines.",
        )
    against = [open_index(folder) for folder in job.against]
    bound = job.indexed
    for one in against:
        stage = bound.stage if bound else None
        if bound is None or not isinstance(stage, DocumentComparison) or bound.limits[stage.rule].below is None:
            raise ConfigError(
                "The recipe compares no documents with those of an earlier run.",
                "Leave out --against, or add such a stage, for example minhash.",
            )
        check_comparable(stage, one)
    return against


def unit_size(job: Job, plan: Plan, size: int | None = None) -> int:
    """Return the size of units in bytes. `size` has the bytes to read, by default those of all inputs. Inputs that were
    not looked up count as large as the others."""
    if job.unit_bytes is not None:
        return job.unit_bytes
    if size is None:
        size = sum(item.size for item in plan.known) * len(plan.inputs) // max(len(plan.known), 1)
    most = REMOTE_UNIT_BYTES if any(is_url(item.path) for item in plan.inputs) else UNIT_BYTES
    return min(max(size // (UNITS_PER_WORKER * job.workers), SMALL_UNIT_BYTES), most)


def first_size(job: Job, plan: Plan, store: Store, size: int | None = None) -> int:
    """Return the size of units that the first run into this folder took, so that its commits count. `size` is as in
    `unit_size`."""
    if job.unit_bytes is not None:
        return job.unit_bytes
    store.put_new(_UNITS, json.dumps({"unit_bytes": unit_size(job, plan, size)}).encode())
    return int(parse_json(store.get(_UNITS) or b"")["unit_bytes"])


def claim_folder(store: Store, plan: Plan) -> dict[str, Any] | None:
    """Bind the folder to this plan (see `claim`). Return the run.json of the folder if a run has ended there."""
    return claim(store, plan.bound(), "run.json", _identity_of, _differences, beside={TAKEDOWN_FILE})


def _identity_of(info: dict[str, Any]) -> dict[str, Any]:
    """Return the identity in a run.json. Raises KeyError and TypeError if it has none."""
    found = {key: info[key] for key in ("recipe", "resources", "versions", "against", "removed")}
    found |= {key: info[key] for key in OPTIONAL if info.get(key)}
    found["inputs"] = [{key: item[key] for key in ("name", "bytes", "identity")} for item in info["inputs"]]
    return found if "choice" not in found else _without_result(found)


def _without_result(identity: dict[str, Any]) -> dict[str, Any]:
    """Return an identity without what was chosen."""
    return {key: value for key, value in identity.items() if key != "chosen"} | {"inputs": []}


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    lines = [line for key in ("recipe", "resources", "versions") for line in differences(old[key], new[key])]
    theirs, ours = ({item["name"]: item.get("identity", "") for item in side["inputs"]} for side in (old, new))
    lines += [f"input {line}" for line in differences(theirs, ours)]
    for key in ("against", "documents", "choice"):
        lines += differences(old.get(key, {}), new.get(key, {}), key)
    if old["removed"] != new["removed"]:
        none = Takedown().digest
        where = "from this folder" if new["removed"] == none else "from the other run"
        how = "other pages were removed" if none not in (old["removed"], new["removed"]) else "pages were removed"
        lines.append(f"{how} {where} with `corpus remove`")
    return lines
