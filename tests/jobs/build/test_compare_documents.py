"""The comparison of documents gives the verdicts of `tests.reference.clusters`, in any division of the work and after
any kill."""

import itertools
import time
from functools import cache

import numpy as np
import pytest

import corpus.dedup.index_writer
import corpus.dedup.layout
import jobs.build.compare
from corpus.dedup.clusters import ROUNDS
from corpus.dedup.signatures import ROWS
from corpus.errors import IntegrityError
from corpus.storage.store import LocalStore
from tests.dedups import (
    COUNT,
    Found,
    Twice,
    committed,
    distinct_texts,
    phases,
    random_signatures,
    recipe,
    verdicts,
    write_units,
)
from tests.growth import assert_linear
from tests.jobs.build.test_build import tree
from tests.reference.clusters import compare

WHOLE = 1 << 30
TIGHT = 1 << 16
"""Memory for 2,000 documents of a span, 1,000 keys or 60 members, so that everything is divided."""


def made(count, seed):
    """Documents with clusters of any size, equal texts, texts without a signature, and few ranks."""
    rng = np.random.default_rng(seed)
    signatures, texts = random_signatures(count, seed), distinct_texts(count)
    order, at = rng.permutation(count), 0
    while at < count // 2:
        members = order[at : at + int(min(rng.zipf(1.8) + 1, count // 8 + 1))]
        at += len(members)
        alike = rng.random((len(members), COUNT)) < rng.uniform(0.6, 1, (len(members), 1))
        signatures[members] = np.where(alike, signatures[members[0]], signatures[members])
        twins = members[rng.random(len(members)) < 0.3]
        signatures[twins], texts[twins] = signatures[twins[:1]], texts[twins[:1]]
    short = texts[rng.random(count) < 0.03, 0]
    signed = ~np.isin(texts[:, 0], short)
    return texts, signatures, signed, rng.integers(0, 20, count)


def hot_band(count):
    """Documents that share one band, with some equal texts: a component that the rounds do not finish."""
    signatures, texts = random_signatures(count), distinct_texts(count)
    signatures[:, :ROWS] = 1
    twins = np.arange(count) % 5 == 4
    signatures[twins], texts[twins] = signatures[np.flatnonzero(twins) - 3], texts[np.flatnonzero(twins) - 3]
    signatures[count // 2 :: 7, 20:] = signatures[3, 20:]
    return texts, signatures, None, np.random.default_rng(0).permutation(count)


def chain(count):
    """Each document has 28 new values and the rest of the one before it, in a shuffled order."""
    signatures = random_signatures(count)
    for i in range(1, count):
        old = np.setdiff1d(np.arange(COUNT), np.arange(28 * i, 28 * i + 28) % COUNT)
        signatures[i, old] = signatures[i - 1, old]
    order = np.random.default_rng(1).permutation(count)
    return distinct_texts(count), signatures[order], None, None


def one_text(count):
    texts = np.full((count, 2), 7, np.uint64)
    return texts, np.repeat(random_signatures(1), count, axis=0), None, np.arange(count)[::-1]


def one_signature(count):
    return distinct_texts(count), np.repeat(random_signatures(1), count, axis=0), None, None


def no_signature(count):
    texts = distinct_texts(count) // np.uint64(10)
    texts[:, 1] = texts[:, 0]
    return texts, random_signatures(count), np.zeros(count, np.bool_), None


def halves(count):
    """Text hashes that are equal in one half."""
    texts = distinct_texts(count)
    texts[:, 0] = 5
    return texts, random_signatures(count), None, None


CASES = {
    "nothing": (np.zeros((0, 2), np.uint64), random_signatures(0), None, None),
    "one": (distinct_texts(1), random_signatures(1), None, None),
    "made": made(3_000, 0),
    "other made": made(1_500, 1),
    "hot band": hot_band(1_200),
    "chain": chain(1_000),
    "one text": one_text(700),
    "one signature": one_signature(700),
    "no signature": no_signature(500),
    "halves": halves(300),
}


def of_units(count, size):
    return [size] * (count // size) + [0] + ([count % size] if count % size else [])


def connected(texts, signatures, signed):
    """Return which documents share a text or a key with another document."""
    signed = np.ones(len(texts), np.bool_) if signed is None else signed
    keys = recipe().stages[0].stage.keys(signatures.view(np.uint8))
    shared = np.unique(texts, axis=0, return_inverse=True, return_counts=True)
    found = shared[2][shared[1].ravel()] > 1
    for band in keys[signed].T:
        _, at, counts = np.unique(band, return_inverse=True, return_counts=True)
        found[signed] |= counts[at] > 1
    return found


@pytest.mark.parametrize("clusters", ["verified", "classic"])
@pytest.mark.parametrize("case", CASES)
def test_the_verdicts_are_those_of_one_machine_however_they_are_divided(tmp_path, case, clusters):
    texts, signatures, signed, rank = CASES[case]
    threshold = None if clusters == "classic" else 0.7
    expected = compare(texts, signatures, signed=signed, rank=rank, threshold=threshold)
    count = len(texts)
    for number, (memory, sizes) in enumerate(((WHOLE, [count]), (TIGHT, of_units(count, 500)), (TIGHT * 4, [count]))):
        found = verdicts(
            tmp_path / str(number), texts, signatures, signed=signed, rank=rank,
            sizes=sizes, memory=memory, made=recipe(clusters=clusters),
        )  # fmt: skip
        found.same_as(expected)
        assert np.array_equal(found.rows, connected(texts, signatures, signed))
    if case == "hot band" and threshold:
        assert expected.unverified > count // 2
    if case == "chain":
        assert len(expected.removed) == (count - 1 if threshold is None else expected.removed.size)


@pytest.mark.parametrize(("clusters", "kept"), [("verified", [0, 0, 2]), ("classic", [0, 0, 0])])
@pytest.mark.parametrize("memory", [WHOLE, TIGHT])
def test_a_chain_of_three(tmp_path, clusters, kept, memory):
    """A ~ B ~ C and A ≁ C: B is removed for A. C is removed only if clusters are transitive."""
    signatures = random_signatures(3)
    signatures[1, 22:] = signatures[0, 22:]
    signatures[2, :22], signatures[2, 44:] = signatures[1, :22], signatures[1, 44:]
    found = verdicts(
        tmp_path, distinct_texts(3), signatures, sizes=[1, 1, 1], memory=memory, made=recipe(clusters=clusters)
    )
    assert found.kept_doc.tolist() == kept
    assert found.similarity.tolist() == [1, round(90 / 112, 6), 1 if clusters == "verified" else round(68 / 112, 6)]


def test_unsigned_documents_are_not_compared(tmp_path):
    """A document that skips the stage by its language has no text hash."""
    store = LocalStore(tmp_path)
    texts, signatures = one_text(4)[:2]
    hashed = np.array([True, True, False, True])
    found = phases(store, write_units(store, [4], texts, signatures, signed=hashed, hashed=hashed))
    assert found.facts["compared"] == 3
    assert sum(found.removed) == 2


@pytest.mark.parametrize("texts", ["equal", "different"])
@pytest.mark.slow
def test_a_million_documents_of_one_page_end_with_one_quickly(tmp_path, texts):
    count, numbers = 1_000_000, itertools.count()

    def units(count):
        hashes = np.full((count, 2), 7, np.uint64) if texts == "equal" else distinct_texts(count)
        rank = np.ones(count)
        rank[count * 123 // 1_000] = 0
        return hashes, np.broadcast_to(random_signatures(1)[0], (count, COUNT)), rank

    def run(given):
        hashes, signatures, rank = given
        store, sizes = LocalStore(tmp_path / str(next(numbers))), [len(hashes) // 20] * 20
        return store, sizes, phases(store, write_units(store, sizes, hashes, signatures, rank=rank), memory=64 << 20)

    store, sizes, compared = assert_linear(units, run, count, time.process_time)
    assert sum(compared.removed) == count - 1
    assert compared.facts["removed"]["exact"] == (count - 1 if texts == "equal" else 0)
    assert compared.facts["largest"] == [{"id": "w.warc.gz:123000", "documents": count}]
    assert (Found(store, sizes, compared, count).kept_doc == 123_000).all()


def test_a_band_shared_by_very_many_costs_no_pairs(tmp_path):
    """Unlike documents in one component: after the last round, the rest is kept and counted."""
    count, numbers = 30_000, itertools.count()

    def signed(count):
        signatures = random_signatures(count)
        signatures[:, :ROWS] = 1
        return signatures

    def run(signatures):
        count, folder = len(signatures), tmp_path / str(next(numbers))
        return verdicts(folder, distinct_texts(count), signatures, memory=8 << 20, sizes=[count // 5] * 5)

    found = assert_linear(signed, run, count, time.process_time)
    assert found.facts["unverified"] == count - ROUNDS - 1
    assert found.facts["removed"] == {"exact": 0, "all": 0}


# kills


class Dies(Exception):
    pass


class Calls(list):
    """The calls of a function, and the function itself."""


def failing(after, monkeypatch, phase):
    """Make tasks of a phase die before they commit, from task number `after` on."""
    calls = Calls()

    def task(payload):
        if payload["phase"] == phase:
            calls.append(phase)
            if len(calls) > after:
                raise Dies
        return calls.real(payload)

    calls.real = jobs.build.compare.compare_task
    monkeypatch.setattr(jobs.build.compare, "compare_task", task)
    return calls


PHASES = (
    "bands",
    "candidates",
    "twins",
    "large-0",
    "small-0",
    "large-1",
    "labels",
    "members",
    "verify",
    "verdicts",
    "index",
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A function from the memory to the folder of a comparison that nothing stops."""

    @cache
    def run(memory):
        store = LocalStore(tmp_path_factory.mktemp("whole"))
        texts, signatures, signed, rank = made(1_000, 2)
        units = write_units(store, of_units(1_000, 250), texts, signatures, signed, rank)
        phases(store, units, memory=memory, index=True)
        return store.root

    return run


@pytest.mark.parametrize(
    ("phase", "after"),
    [
        *((phase, 1) for phase in PHASES),
        ("components", 0),  # one task, as in the next phase
        ("sites", 0),
        *(pytest.param(phase, 0, marks=pytest.mark.slow) for phase in PHASES),
    ],
)
def test_killed_in_any_phase_and_taken_up(tmp_path, monkeypatch, undisturbed, phase, after):
    memory = WHOLE if phase == "components" else TIGHT // 3  # one task finds all components, or rounds of tasks do
    monkeypatch.setattr(corpus.dedup.index_writer, "ROWS_PER_PART", 500)
    monkeypatch.setattr(corpus.dedup.layout, "_KEYS_PER_TASK", 1 << 12)
    texts, signatures, signed, rank = made(1_000, 2)
    expected = compare(texts, signatures, signed=signed, rank=rank)
    sizes = of_units(1_000, 250)
    store = LocalStore(tmp_path / "killed")
    units = write_units(store, sizes, texts, signatures, signed, rank)
    calls = failing(after, monkeypatch, phase)
    with pytest.raises(IntegrityError, match=phase):
        phases(store, units, memory=memory, index=True)
    assert len(calls) > after
    monkeypatch.setattr(jobs.build.compare, "compare_task", calls.real)
    before = committed(tmp_path / "killed")
    Found(store, sizes, phases(store, units, memory=memory, index=True), 1_000).same_as(expected)
    after_all = committed(tmp_path / "killed")
    assert before.items() <= after_all.items()  # nothing was done again
    whole = undisturbed(memory)
    assert after_all == committed(whole)
    assert tree(whole / "index") == tree(tmp_path / "killed" / "index")


def test_tasks_run_twice_and_in_any_order_leave_the_same(tmp_path, monkeypatch):
    texts, signatures, signed, rank = made(1_500, 3)
    sizes = of_units(1_500, 250)

    store = LocalStore(tmp_path / "twice")
    units = write_units(store, sizes, texts, signatures, signed, rank)
    found = Found(
        store, sizes, phases(store, units, memory=TIGHT, engine=Twice(tmp_path / "twice", monkeypatch)), 1_500
    )
    monkeypatch.undo()
    found.same_as(compare(texts, signatures, signed=signed, rank=rank))
    plain = LocalStore(tmp_path / "plain")
    phases(plain, write_units(plain, sizes, texts, signatures, signed, rank), memory=TIGHT)
    assert committed(tmp_path / "plain") == committed(tmp_path / "twice")


def test_domains_in_any_division(tmp_path):
    """Each task counts some of the domains."""
    texts, signatures, signed, rank = made(2_000, 9)
    sites = [f"{n % 700}.example" for n in range(2_000)]
    facts = []
    for number, memory in enumerate((WHOLE, TIGHT // 8)):
        store = LocalStore(tmp_path / str(number))
        units = write_units(store, [2_000], texts, signatures, signed, rank, sites)
        facts.append(phases(store, units, memory=memory).facts)
    assert facts[0] == facts[1]
    assert facts[0]["domains"]["number"] == 700
    removed = Found(store, [2_000], phases(store, units, memory=TIGHT // 8), 2_000).kept_doc != np.arange(2_000)
    expected = sorted(((removed[n::700].sum(), f"{n}.example") for n in range(700)), reverse=True)[0]
    most = facts[0]["domains"]["most_removed"]
    assert most[0]["removed"] == expected[0]
    assert len(most) == 20


def test_other_memory_is_another_division_but_not_another_result(tmp_path):
    texts, signatures, signed, rank = made(2_000, 4)
    store = LocalStore(tmp_path)
    units = write_units(store, [2_000], texts, signatures, signed, rank)
    one, two = (phases(store, units, memory=memory).facts for memory in (WHOLE, TIGHT))
    assert one == two


def test_a_damaged_signature_file_stops_the_run(tmp_path):
    texts, signatures, signed, rank = made(500, 5)
    store = LocalStore(tmp_path)
    units = write_units(store, [500], texts, signatures, signed, rank)
    path = store.path(units[0].part("signatures").key)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="damaged"):
        phases(store, units)


def test_what_a_phase_used_up_is_removed(tmp_path):
    texts, signatures, signed, rank = made(3_000, 6)
    store = LocalStore(tmp_path)
    units = write_units(store, of_units(3_000, 300), texts, signatures, signed, rank)
    phases(store, units)
    left = {path.name for path in (tmp_path / ".work" / "parts").iterdir() if list(path.iterdir())}
    assert left == {"signatures", "followers", "sites", "verdicts", "lists"}
    assert not list((tmp_path / ".work" / "tmp").iterdir())


@pytest.mark.slow
@pytest.mark.ray
def test_on_ray(tmp_path, ray_engine):
    texts, signatures, signed, rank = made(3_000, 7)
    found = verdicts(
        tmp_path, texts, signatures, signed=signed, rank=rank, sizes=of_units(3_000, 600), engine=ray_engine()
    )
    found.same_as(compare(texts, signatures, signed=signed, rank=rank))
