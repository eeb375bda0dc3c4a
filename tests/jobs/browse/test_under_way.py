"""A run that has not ended: what its state says so far."""

import json
import shutil
from types import SimpleNamespace

import pytest

from corpus.errors import InputError
from corpus.run import open_run
from corpus.storage.store import open_store
from corpus.tables.ledger import add_counts
from jobs.browse.desk import Given, Served
from jobs.browse.under_way import UnderWay
from jobs.runner.progress import Progress
from jobs.runner.state import State
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


def test_the_state_is_read_anew_each_time(stopped):
    file = stopped / ".work/state.json"
    state = json.loads(file.read_text())
    file.unlink()
    run = UnderWay(open_store(stopped))
    assert (run.state()["done"], run.state()["records"]) == (0, 0)
    state["phases"], state["records"]["failed"] = {"pass": [1, 2]}, {"timeout": 2}
    file.write_text(json.dumps(state))
    assert (run.state()["done"], run.state()["units"], run.state()["failed"]) == (1, 2, {"timeout": 2})


@pytest.mark.parametrize("data", ["", "{", "[]", '{"phases": {"pass": [1]}, "records": {"in": "x"}, "seconds": 1}'])
def test_a_state_that_is_damaged_says_nothing(stopped, data):
    (stopped / ".work/state.json").write_text(data)
    assert UnderWay(open_store(stopped)).state()["done"] == 0


def test_a_state_is_small_and_written_in_time(stopped, monkeypatch):
    """Not at every unit, but every five seconds, and at the end of a phase."""
    clock = [0.0]
    monkeypatch.setattr("jobs.runner.state.time", SimpleNamespace(monotonic=lambda: clock[0]))
    written = []
    progress = Progress(quiet=True)
    state = State(SimpleNamespace(replace=lambda key, data: written.append(json.loads(data))), progress)
    state.start("pass", 100_000)
    for _ in range(100_000):
        clock[0] += 0.001
        add_counts(progress.counts, {"in": 2, "dropped": {"url": {"domain": 1}}})
        state.done(0.5, 1)
    state.write()
    assert len(written) in range(19, 22)
    assert written[-1]["phases"] == {"pass": [100_000, 100_000]}
    assert written[-1]["records"]["in"] == 200_000
    assert max(len(json.dumps(one)) for one in written) < 1000


def test_a_state_that_can_not_be_written_fails_nothing(tmp_path):
    state = State(open_store(tmp_path / "nowhere"), Progress(quiet=True))
    (tmp_path / "nowhere").write_text("a file")
    state.start("pass", 1)
    state.write()


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
