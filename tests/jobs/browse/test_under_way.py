"""A run that has not ended: what its commits say so far."""

import json
import shutil

import pytest

from corpus.errors import InputError
from corpus.run import open_run
from corpus.storage.store import open_store
from jobs.browse.desk import Given, Served
from jobs.browse.under_way import UnderWay
from jobs.verbs.serving import is_run
from tests.browsers import Opened
from tests.commands import run_command
from tests.jobs.browse.conftest import RECIPE, html, sentences
from tests.warcs import write_warc


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a run that kept its intermediate files, without what ends a run."""
    folder = tmp_path_factory.mktemp("begun")
    pages = {f"http://a.example/{number}": html(sentences(number, 4 * number)).encode() for number in range(1, 9)}
    (folder / "r.toml").write_text(RECIPE)
    for name in "ab":
        write_warc(folder / f"{name}.warc.gz", pages)
    inputs = [folder / "a.warc.gz", folder / "b.warc.gz"]
    words = ("build", *inputs, "-o", folder / "out", "--recipe", folder / "r.toml", "--workers", 1, "--keep-work")
    assert run_command(*words) == 0
    return folder


@pytest.fixture
def stopped(begun, tmp_path):
    shutil.copytree(begun / "out", tmp_path / "out")
    (tmp_path / "out" / "run.json").unlink()
    return tmp_path / "out"


def test_all_units_done(begun, stopped):
    state = UnderWay(open_store(stopped)).state()
    records = open_run(begun / "out").info["records"]
    assert (state["done"], state["units"], state["inputs"], state["recipe"]) == (2, 2, 2, "browsed")
    assert state["records"] == records["in"]
    # the pass keeps what a comparison removes later
    assert state["kept"] == records["kept"] + records["dropped"]["minhash"]["similarity"]
    assert state["funnel"][-1]["left"] == state["kept"]
    assert state["failed"] == {}


def test_commits_are_counted_as_they_come(stopped):
    commits = sorted((stopped / ".work/commits/pass").iterdir())
    aside = [(path, path.read_bytes()) for path in commits]
    for path in commits:
        path.unlink()
    run = UnderWay(open_store(stopped))
    assert (run.state()["done"], run.state()["records"]) == (0, 0)
    for number, (path, data) in enumerate(aside, 1):
        path.write_bytes(data)
        assert run.state()["done"] == number
    first = json.loads(aside[0][1])["about"]["counts"]
    first["failed"] = {"timeout": 2}
    path, data = aside[0][0], json.loads(aside[0][1])
    data["about"]["counts"] = first
    path.write_text(json.dumps(data))
    assert UnderWay(open_store(stopped)).state()["failed"] == {"timeout": 2}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"parts": [], "about": {"counts": {"in": "x"}, "seconds": 1}}'])
def test_a_commit_that_is_damaged_is_left_out(stopped, data):
    damaged, _ = (stopped / ".work/commits/pass").iterdir()
    damaged.write_bytes(data)
    assert UnderWay(open_store(stopped)).state()["done"] == 1


def test_the_server_shows_it_until_it_ends(begun, stopped):
    served = Served(Given(stopped))
    state = served.state()
    assert (state["ended"], state["name"], state["done"]) == (False, "out", 2)
    with pytest.raises(InputError, match="has not ended"):
        served.desk()
    (stopped / "run.json").write_bytes((begun / "out" / "run.json").read_bytes())
    assert served.state() == {"ended": True}
    assert served.desk().overview()["records"] == open_run(stopped).info["records"]
    served.close()


@pytest.mark.slow
def test_the_page_shows_it_until_it_ends(browser, serving, begun, stopped):
    with serving(stopped) as made, Opened(browser, made.url) as opened:
        opened.page.wait_for_selector("#underway-said:has-text('2 of 2 units')")
        assert opened.page.text_content("#underway-said").startswith("2 of 2 units, 16 records")
        assert not opened.page.is_visible("#limits")
        assert "none" in opened.page.text_content("#underway-facts")
        (stopped / "run.json").write_bytes((begun / "out" / "run.json").read_bytes())
        opened.page.wait_for_selector("#limits[data-decided='']")
        assert not opened.page.is_visible("#underway")
        assert opened.noted == []


def test_what_is_a_run(begun, stopped, tmp_path):
    assert is_run(begun / "out")
    assert is_run(stopped)
    assert not is_run(tmp_path)
    (tmp_path / "model" / ".work").mkdir(parents=True)
    for plan in ("{}", "x", "[]", '{"tokenizer": 1}'):
        (tmp_path / "model" / ".work" / "plan.json").write_text(plan)
        assert not is_run(tmp_path / "model")
