"""Inputs that tasks look up and divide, and commits that are gathered: the same bytes as with one volume for each
input, whatever happens on the way."""

from __future__ import annotations

import random

import pytest

import jobs.build.units
from corpus.errors import InputChanged, IntegrityError
from corpus.run import open_run
from jobs.build.divide import divide_task
from jobs.runner.task_functions import run_unit_task
from jobs.show.runs import remarks
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.servers import read_from, serving
from tests.warcs import WORDS, page, write_warc

NAMES = "abcdefghijk"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Archives of some units each."""
    made, rng = tmp_path_factory.mktemp("in"), random.Random(5)
    for name in NAMES:
        pages = {
            f"http://{name}{n}.example/": page(f"Page {n}", " ".join(rng.choices(WORDS.split(), k=60)))
            for n in range(12)
        }
        write_warc(made / f"{name}.warc.gz", pages)
    return made


@pytest.fixture(scope="module")
def reference(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    assert build_quietly(job([folder], out, unit_bytes=3_000)).exit_code == 0
    assert open_run(out).info["records"]["in"] == 12 * len(NAMES)
    return out


@pytest.fixture
def few(monkeypatch):
    """Only two inputs are looked up before the work, and there are at most four volumes."""
    monkeypatch.setattr("jobs.build.build.LOOKED_UP", 2)
    monkeypatch.setattr("jobs.build.volumes.MOST", 4)


@pytest.mark.parametrize(("looked_up", "volumes", "ahead"), [(0, 1, 4), (1, 4, 1), (5, 7, 100), (0, 99, 4)])
def test_the_same_bytes_however_inputs_are_divided(folder, reference, tmp_path, monkeypatch, looked_up, volumes, ahead):
    monkeypatch.setattr("jobs.build.build.LOOKED_UP", looked_up)
    monkeypatch.setattr("jobs.build.volumes.MOST", volumes)
    monkeypatch.setattr("jobs.build.units._AHEAD", ahead)
    made = job([folder], tmp_path / "out", unit_bytes=3_000)
    assert build_quietly(made).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)
    assert build_quietly(made).already_done


@pytest.mark.parametrize("at_once", [1, 5, 1000])
def test_samples_are_the_same_however_many_units_a_task_reads(folder, reference, tmp_path, monkeypatch, at_once):
    monkeypatch.setattr("jobs.build.packing.SAMPLED_AT_ONCE", at_once)
    assert build_quietly(job([folder], tmp_path / "out", unit_bytes=1_500)).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)


def half_done(folder, out, monkeypatch, of=NAMES[7:]):
    """A run of which the units of the last archives failed."""
    tried = []

    def fail(payload):
        tried.append(payload["unit"]["warc"])
        if tried[-1][0] in of:
            raise RuntimeError("not now")
        return run_unit_task(payload)

    with monkeypatch.context() as patched:
        patched.setattr(jobs.build.units, "run_unit_task", fail)
        assert build_quietly(job([folder], out, unit_bytes=3_000)).exit_code == 3
    assert {warc[0] for warc in tried} == set(NAMES)


def test_units_whose_commits_are_gathered_are_not_asked_for_again(few, folder, reference, tmp_path, monkeypatch):
    half_done(folder, tmp_path / "out", monkeypatch)
    first, divided = [], []
    monkeypatch.setattr(jobs.build.units, "run_unit_task", lambda one: first.append(one) or run_unit_task(one))
    monkeypatch.setattr(jobs.build.units, "divide_task", lambda one: divided.append(one) or divide_task(one))
    assert build_quietly(job([folder], tmp_path / "out", unit_bytes=3_000)).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)
    assert {one["unit"]["warc"][0] for one in first} == set("ghijk")  # three archives are a volume, and two are done
    assert [bool(one["gathered"]) for one in divided] == [False, False, True, True]  # volumes with work come first


@pytest.mark.parametrize("name", "ak")
def test_an_input_that_changes_between_two_runs_is_noticed(few, folder, tmp_path, monkeypatch, name):
    """Whether the driver or a task looks it up, and whether its volume is done or not."""
    for archive in folder.iterdir():
        (tmp_path / archive.name).write_bytes(archive.read_bytes())
    half_done(tmp_path, tmp_path / "out", monkeypatch)
    write_warc(tmp_path / f"{name}.warc.gz", {"http://new.example/": page("New", WORDS)})
    made = job([tmp_path], tmp_path / "out", unit_bytes=3_000)
    with pytest.raises(Exception, match=rf"{name}\.warc\.gz") as error:
        build_quietly(made)
    if name == "k":
        assert isinstance(error.value, InputChanged)
        assert "changed since the run read it" in str(error.value)
    else:
        assert "was made from another recipe, input, settings or code" in str(error.value)


def test_an_input_that_can_not_be_divided_is_quarantined_and_taken_up_later(few, folder, reference, tmp_path):
    given = tmp_path / "in"
    given.mkdir()
    for archive in folder.iterdir():
        (given / archive.name).symlink_to(archive)
    (given / "h.warc.gz").unlink()
    (given / "h.warc.gz").mkdir()  # it looks like an archive in a list of names
    named = [given / f"{name}.warc.gz" for name in NAMES]
    made = job(named, tmp_path / "out", unit_bytes=3_000)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("jobs.build.inputs._locations", lambda argument, *more: [argument])
        done = build_quietly(made)
        assert done.exit_code == 3
        assert [unit["warc"][0] for unit in done.info["quarantined"]] == ["h"]  # of a volume with g and i
        assert done.info["records"]["in"] == 12 * 10
        assert build_quietly(made).info == done.info
        assert not [line for line in remarks(open_run(tmp_path / "out").info) if "empty" in line]
        (given / "h.warc.gz").rmdir()
        (given / "h.warc.gz").symlink_to(folder / "h.warc.gz")
        assert build_quietly(made).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)


def test_gathered_commits_that_are_damaged_are_made_again_as_the_error_says(few, folder, reference, tmp_path):
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr("jobs.build.build.pack", lambda *given: (_ for _ in ()).throw(SystemExit))
        build_quietly(job([folder], out, unit_bytes=3_000))
    found = sorted((out / ".work/commits/gathered").iterdir())
    assert len(found) == 4
    content = bytearray(found[1].read_bytes())
    content[len(content) // 2] ^= 1
    found[1].write_bytes(content)
    with pytest.raises(IntegrityError, match=found[1].name):
        build_quietly(job([folder], out, unit_bytes=3_000))
    found[1].unlink()
    assert build_quietly(job([folder], out, unit_bytes=3_000)).exit_code == 0
    assert tree(out) == tree(reference)


def test_another_size_of_units_is_another_division(few, folder, reference, tmp_path, monkeypatch):
    half_done(folder, tmp_path / "out", monkeypatch)
    assert build_quietly(job([folder], tmp_path / "out", unit_bytes=9_000)).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)


def test_no_more_requests_when_tasks_look_up_inputs(few, folder, reference, tmp_path, monkeypatch):
    """The driver used to look up and divide all inputs. It also read the start of each one for a first check."""
    asked = []
    with serving(folder) as www:
        read_from(www, monkeypatch)
        www.before = lambda path: asked.append(path)
        urls = [f"{www.url}/{name}.warc.gz" for name in NAMES]
        assert build_quietly(job(urls, tmp_path / "few", unit_bytes=3_000)).exit_code == 0
        by_tasks = len(asked)
        monkeypatch.setattr("jobs.build.build.LOOKED_UP", 64)
        assert build_quietly(job(urls, tmp_path / "all", unit_bytes=3_000)).exit_code == 0
    assert tree(tmp_path / "few") == tree(tmp_path / "all") == tree(reference)
    assert by_tasks < len(asked) - by_tasks
