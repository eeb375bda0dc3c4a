"""The comparison of lines gives the verdicts of plain rules, in any division of the work and after any kill."""

import itertools
import time

import numpy as np
import pytest

import jobs.build.compare
from corpus.errors import IntegrityError
from corpus.storage.store import LocalStore
from tests.dedups import Twice, committed
from tests.growth import assert_linear
from tests.line_runs import phases, plainly, recipe, signed_of, verdict_rows, write_units

WHOLE = 1 << 30
TIGHT = 1 << 13
"""Memory for the lines of one unit, or for 128 lines of a range."""


def made(count, seed):
    """Documents with few and many lines. Some lines are in very many documents; some documents are copies, some are
    not signed."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(1, 2**64, 10 * count, dtype=np.uint64)
    documents = []
    for number in range(count):
        kind = rng.random()
        if kind < 0.03:
            documents.append(None)
        elif kind < 0.1 and number:
            documents.append(documents[rng.integers(number)])
        else:
            own = rng.integers(0, len(hashes), rng.integers(0, 12))
            common = rng.zipf(1.2, rng.integers(0, 12)) % max(count // 2, 1)
            places = rng.permutation(np.concatenate((own, common)))
            lines = [(int(hashes[place]), int(10 + place % 90)) for place in places]
            documents.append(lines + [(0, 5)] * int(rng.integers(0, 3)))
    return documents


def of_units(count, size):
    return [size] * (count // size) + [0] + ([count % size] if count % size else [])


def facts_of(rows):
    """Return verdict rows in the form of `plainly`."""
    return [
        None
        if row is None
        else (row["rule"], row["lines_removed"], row["kept_in"] and int(row["kept_in"].rpartition(":")[2]))
        for row in rows
    ]


def expected_of(documents, **options):
    return [None if one is None else (one[0], len(one[1]), one[2]) for one in plainly(documents, **options)]


def cut_of(documents, **options):
    return [None if one is None else [] if one[0] else one[1] for one in plainly(documents, **options)]


OPTIONS = [
    ({}, {}),
    ({"documents": 4}, {"least": 4}),
    ({"keep": "none", "documents": 3}, {"keep": "none", "least": 3}),
    ({"removed_ratio": {"max": 0.3}, "chars_left": {"min": 400}}, {"ratio": 0.3, "left": 400}),
    ({"removed_ratio": {"max": "off"}, "chars_left": {"min": "off"}}, {"ratio": 1, "left": 0}),
]


@pytest.mark.parametrize(("ours", "plain"), OPTIONS)
def test_the_verdicts_are_those_of_the_rules_however_they_are_divided(tmp_path, ours, plain):
    documents = made(150, 1)
    expected = expected_of(documents, **plain)
    infos = []
    for number, (memory, sizes) in enumerate(((WHOLE, [150]), (TIGHT, of_units(150, 40)), (TIGHT * 4, [15] * 10))):
        store = LocalStore(tmp_path / str(number))
        compared = phases(store, write_units(store, sizes, signed_of(documents)), memory=memory, made=recipe(**ours))
        rows = verdict_rows(store, sizes, compared, 150)
        assert facts_of(rows) == expected
        assert [row and row["cut"] for row in rows] == cut_of(documents, **plain)
        infos.append(compared.facts)
    assert infos[0] == infos[1] == infos[2]
    dropped = sum(one is not None and one[0] is not None for one in expected)
    assert sum(infos[0]["removed"]["documents"].values()) == dropped
    assert (dropped > 5) == (plain.get("left") != 0)
    assert infos[0]["removed"]["lines"] == sum(map(len, filter(None, cut_of(documents, **plain))))


@pytest.mark.parametrize("seed", range(3))
def test_a_line_that_goes_stays_in_another_kept_document(tmp_path, seed):
    documents = made(300, seed + 10)
    store = LocalStore(tmp_path)
    rows = verdict_rows(store, [300], phases(store, write_units(store, [300], signed_of(documents))), 300)
    left = set()
    for lines, row in zip(documents, rows, strict=True):
        if lines is not None and not (row and row["removed"]):
            gone = set(row["cut"]) if row else set()
            left |= {value for number, (value, _) in enumerate(lines) if number not in gone}
    cut = {lines[number][0] for lines, row in zip(documents, rows, strict=True) if row for number in row["cut"]}
    assert len(cut) > 20
    assert cut <= left


@pytest.mark.parametrize("count", [0, 1])
def test_almost_nothing(tmp_path, count):
    store = LocalStore(tmp_path)
    compared = phases(store, write_units(store, [count], signed_of(made(count, 0))))
    assert compared.facts["removed"]["lines"] == 0
    assert verdict_rows(store, [count], compared, count) == [None] * count


@pytest.mark.slow
def test_a_million_documents_of_the_same_lines_end_with_one_quickly(tmp_path):
    count, numbers = 1_000_000, itertools.count()

    def run(lines):
        store = LocalStore(tmp_path / str(next(numbers)))
        return phases(store, write_units(store, [len(lines) // 20] * 20, lines), memory=64 << 20)

    lines = signed_of([[(number + 1, 40) for number in range(10)]])
    compared = assert_linear(lambda count: lines * count, run, count, time.process_time)
    assert compared.facts["removed"]["documents"] == {"removed_ratio": count - 1}
    assert compared.facts["removed"]["lines"] == 0


# kills


class Dies(Exception):
    pass


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a comparison that nothing stops."""
    store = LocalStore(tmp_path_factory.mktemp("whole"))
    phases(store, write_units(store, of_units(250, 50), signed_of(made(250, 2))), memory=TIGHT)
    return store.root


@pytest.mark.parametrize("phase", ["linekeys", "repeats", "losers", "keepers", "cuts"])
@pytest.mark.parametrize("after", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_killed_in_any_phase_and_taken_up(tmp_path, monkeypatch, undisturbed, phase, after):
    documents, sizes = made(250, 2), of_units(250, 50)
    store = LocalStore(tmp_path / "killed")
    units = write_units(store, sizes, signed_of(documents))
    real, calls = jobs.build.compare.compare_task, []

    def task(payload):
        if payload["phase"] == phase:
            calls.append(phase)
            if len(calls) > after:
                raise Dies
        return real(payload)

    monkeypatch.setattr(jobs.build.compare, "compare_task", task)
    with pytest.raises(IntegrityError, match=phase):
        phases(store, units, memory=TIGHT)
    monkeypatch.undo()
    before = committed(tmp_path / "killed")
    rows = verdict_rows(store, sizes, phases(store, units, memory=TIGHT), 250)
    assert facts_of(rows) == expected_of(documents)
    after_all = committed(tmp_path / "killed")
    assert before.items() <= after_all.items()  # nothing was done again
    assert after_all == committed(undisturbed)
    left = {path.name for path in (tmp_path / "killed" / ".work" / "parts").iterdir() if list(path.iterdir())}
    assert left == {"lines", "cuts", "lists"}


def test_tasks_run_twice_and_in_any_order_leave_the_same(tmp_path, monkeypatch):
    documents, sizes = made(250, 3), of_units(250, 50)

    store = LocalStore(tmp_path / "twice")
    units = write_units(store, sizes, signed_of(documents))
    rows = verdict_rows(
        store, sizes, phases(store, units, memory=TIGHT, engine=Twice(tmp_path / "twice", monkeypatch)), 250
    )
    monkeypatch.undo()
    assert facts_of(rows) == expected_of(documents)
    plain = LocalStore(tmp_path / "plain")
    phases(plain, write_units(plain, sizes, signed_of(documents)), memory=TIGHT)
    assert committed(tmp_path / "plain") == committed(tmp_path / "twice")


def test_a_damaged_file_stops_the_run(tmp_path):
    store = LocalStore(tmp_path)
    units = write_units(store, [50], signed_of(made(50, 4)))
    path = store.path(units[0].part("lines").key)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="damaged"):
        phases(store, units)
