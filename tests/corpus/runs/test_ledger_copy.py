"""The copy of a ledger gives the same answers as the ledger."""

import random
import stat

import pytest

from corpus.errors import IntegrityError
from corpus.run import Run
from corpus.runs.ledger_copy import LedgerCopy
from corpus.runs.listing import PageQuery, list_pages
from tests.corpus.revise.test_what_if import OF_LANGUAGES, SETTINGS, pages
from tests.ledgers import judged, recipe, write_run

PARTS = 4


class Copied(Run):
    """A run whose ledger is read from a copy."""

    def groups(self, kind):
        return self.__dict__["copied"].groups if kind == "ledger" else super().groups(kind)


def opened(folder, copies):
    run = Copied.open(folder)
    run.__dict__["copied"] = LedgerCopy(run, copies)
    return run


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "by_language"])
def runs(request, tmp_path_factory):
    """A run, the run with its copy, and settings that it accepts."""
    folder = tmp_path_factory.mktemp("copy")
    made = recipe(by_language=request.param)
    write_run(folder / "run", made, judged(made, pages(400, 1, failing=0.02)), rows_per_part=100)
    copied = opened(folder / "run", folder / "view")
    copied.__dict__["copied"].make()
    return Run.open(folder / "run"), copied, OF_LANGUAGES if request.param else SETTINGS


@pytest.mark.parametrize("seed", range(12))
def test_a_what_if_is_the_same(runs, seed):
    run, copied, settings = runs
    rng = random.Random(seed)
    drawn = rng.sample(settings, rng.choice([1, 2, 4]))
    assert copied.copied.missing == 0
    assert copied.tune(drawn).as_dict() == run.tune(drawn).as_dict()


@pytest.mark.parametrize(
    "query",
    [
        PageQuery(),
        PageQuery(rule="first.words"),
        PageQuery(rule="last", outcome="dropped"),
        PageQuery(url="site3", outcome="kept"),
        PageQuery(domain="site2.example"),
        PageQuery(measure="first.words", least=20, most=60.5),
        PageQuery(measure="last.share", most=0.2),
        PageQuery(cluster="w.warc.gz:7"),
        PageQuery(rule="error"),
    ],
)
def test_a_list_of_pages_is_the_same(runs, query):
    run, copied, _ = runs
    listed = list(list_pages(run, query))
    assert listed == list(list_pages(copied, query))
    assert 0 < len(listed) < 400 or query == PageQuery()


def test_a_row_has_all_columns(runs):
    run, copied, _ = runs
    for one, other in zip(run.groups("ledger"), copied.groups("ledger"), strict=True):
        with one.open() as read, other.open() as read_copy:
            assert read(one.names).to_pylist() == read_copy(other.names).to_pylist()


def test_an_interrupted_copy_is_continued_and_used_before_it_is_complete(tmp_path):
    made = recipe()
    write_run(tmp_path / "run", made, judged(made, pages(200, 2)), rows_per_part=50)
    run, copied = Run.open(tmp_path / "run"), opened(tmp_path / "run", tmp_path / "view")
    asked = iter([False, False, True])
    copied.copied.make(lambda: next(asked))
    assert copied.copied.missing == PARTS - 2
    assert copied.tune(SETTINGS[:2]).as_dict() == run.tune(SETTINGS[:2]).as_dict()
    again = opened(tmp_path / "run", tmp_path / "view")
    files = {path: path.stat().st_mtime_ns for path in again.copied.folder.iterdir()}
    assert again.copied.missing == PARTS - 2
    again.copied.make()
    assert again.copied.missing == 0
    assert all(path.stat().st_mtime_ns == time for path, time in files.items())
    assert again.tune(SETTINGS[:2]).as_dict() == run.tune(SETTINGS[:2]).as_dict()


def test_only_the_owner_can_read_it_and_another_ledger_of_the_run_has_another_copy(tmp_path):
    made = recipe()
    folders = [write_run(tmp_path / f"run{seed}", made, judged(made, pages(50, seed))) for seed in (1, 2)]
    old = opened(folders[0], tmp_path / "view").copied
    old.make()
    copies = [opened(folders[1], tmp_path / "view").copied]
    assert copies[0].missing == 1
    copies[0].make()
    assert list((tmp_path / "view").iterdir()) == [copies[0].folder]
    assert stat.S_IMODE(copies[0].folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in copies[0].folder.iterdir()} == {0o600}


def test_numbers_that_need_eight_bytes_stay_whole(tmp_path):
    made = recipe()
    measured = pages(3, 1)
    for number, one in enumerate(measured):
        one |= {"door.label": "en", "door.score": 1.0, "dear.size": 9, "dear.depth": 1}
        one["first.words"] = (1 << 31) + number
    write_run(tmp_path / "run", made, judged(made, measured))
    run, copied = Run.open(tmp_path / "run"), opened(tmp_path / "run", tmp_path / "view")
    copied.copied.make()
    for setting in (f"first.words.max={(1 << 31) + 1}", "first.words.max=off"):
        assert copied.tune([setting]).as_dict() == run.tune([setting]).as_dict()
    assert copied.tune([f"first.words.max={(1 << 31) + 1}"]).rules["dropped_now"].to_pylist() == [1]


@pytest.mark.parametrize("harm", [lambda data: b"", lambda data: data[:-9], lambda data: data.replace(b"ARROW1", b"x")])
def test_a_damaged_copy_is_named(tmp_path, harm):
    made = recipe()
    write_run(tmp_path / "run", made, judged(made, pages(50, 1)))
    copied = opened(tmp_path / "run", tmp_path / "view")
    copied.copied.make()
    (file,) = copied.copied.folder.iterdir()
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(IntegrityError, match="is damaged"):
        copied.tune(SETTINGS[:1])
