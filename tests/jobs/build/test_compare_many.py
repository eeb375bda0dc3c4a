"""Comparisons among very many tasks and units: relays change no byte, and the driver holds nothing of single units."""

import contextlib
import gc

import pytest

import corpus.storage.exchange
from corpus.storage.commits import Commit, Part
from corpus.storage.gathered import Commits, as_line, gather
from corpus.storage.store import LocalStore
from corpus.tables.verdicts import VerdictBox
from jobs.build.compare import Comparison
from jobs.build.compare_documents import compare_documents, make_index
from jobs.build.compare_lines import compare_lines
from jobs.build.passed import units_of
from jobs.runner.engine import Stop
from jobs.runner.execution import Execution
from jobs.runner.progress import Progress
from tests import dedups, line_runs
from tests.engines import InProcess

LATER = {"followers", "verdicts", "cuts", "relay-sites", "sites", "signatures", "lines", "lists"}
"""The files that phases after the comparison need, or that are few and small."""


def documents(store, sizes):
    count = sum(sizes)
    signatures, texts = dedups.random_signatures(count), dedups.distinct_texts(count)
    signatures[1::3] = signatures[: len(signatures[1::3])]
    signatures[2::7, 20:] = signatures[0, 20:]
    texts[5::11], signatures[5::11] = texts[4], signatures[4]
    return dedups.write_units(store, sizes, texts, signatures, rank=range(count))


def lines(store, sizes):
    signed = [[(1 + n * k % 60, 10 + k) for k in range(n % 9)] for n in range(sum(sizes))]
    return line_runs.write_units(store, sizes, line_runs.signed_of(signed))


WAYS = {
    "documents": (documents, dedups.recipe, compare_documents),
    "lines": (lines, lambda: line_runs.recipe(chars_left={"min": 5}), compare_lines),
    "lines, none kept": (lines, lambda: line_runs.recipe(keep="none", chars_left={"min": 5}), compare_lines),
}


def compared(store, way, units, memory, progress=None, index=False):
    _, recipe, compare = WAYS[way]
    made = recipe()
    common = {
        "store": str(store.root), "recipe": made.canonical(), "factory": "filters:recipe_from_dict", "modules": [],
        "depends": "",
    }  # fmt: skip
    with contextlib.closing(InProcess()) as engine, Stop() as stop:
        execution = Execution(store, engine, stop, progress or Progress(quiet=True))
        work = Comparison(execution, made.stages[0], common, units_of(units), memory_bytes=memory)
        found = compare(work)
        if index:
            make_index(work, found)
    return found, work.costs


@pytest.mark.parametrize("way", WAYS)
def test_relays_change_no_verdict(tmp_path, monkeypatch, way):
    sizes, results = [30] * 6 + [0, 1], []
    for name, most in (("direct", 1 << 18), ("relayed", 0)):
        monkeypatch.setattr(corpus.storage.exchange, "MOST_DIRECT", most)
        store = LocalStore(tmp_path / name)
        found, costs = compared(store, way, WAYS[way][0](store, sizes), 1 << 14)
        assert any(phase.startswith("relay-") for phase in costs) == (name == "relayed")
        left = {path.parent.name for path in (store.root / ".work" / "parts").rglob("*.boxes")}
        assert left <= LATER
        results.append((found.digest, found.facts, found.rules, list(found.removed)))
    assert results[0] == results[1]
    assert sum(results[0][3])


class Census(Progress):
    """Counts what is in memory of commits when each phase starts. What was there before is left out, and so costs no
    time."""

    def __init__(self):
        super().__init__(quiet=True)
        self.seen = []
        gc.collect()
        gc.freeze()

    def start(self, phase, *given, **named):
        super().start(phase, *given, **named)
        self.look()

    def look(self):
        gc.collect()
        kinds = (Commit, Part, VerdictBox)
        self.seen.append(sum(type(one) in kinds for one in gc.get_objects()))


@pytest.mark.parametrize("way", ["documents", "lines"])
def test_the_driver_holds_no_objects_of_units(tmp_path, way):
    seen = []
    for count in (8, 40):
        store, groups = LocalStore(tmp_path / str(count)), []
        units = WAYS[way][0](store, [3] * count)
        for first in range(0, count, 8):
            gather(
                store, f".work/commits/gathered/{first}", [as_line(one.as_dict()) for one in units[first : first + 8]]
            )
            groups.append((f".work/commits/gathered/{first}", 8, ""))
        del units
        census = Census()
        found = compared(store, way, Commits(store, groups), 1 << 30, census, index=way == "documents")
        census.look()
        gc.unfreeze()
        del found
        seen.append(census.seen)
    assert seen[0] == seen[1]
    assert max(seen[0]) > 0
