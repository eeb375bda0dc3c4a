"""`corpus robots index`, and `corpus build --robots` with an index or with archives."""

import json

import pytest

from corpus.run import open_run
from tests.commands import run_command
from tests.warcs import WORDS, http, page, record, write_warc

pytest.importorskip("protego")

RULES = b"User-agent: GPTBot\nDisallow: /private\n"
BY = '<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">x</a>'


@pytest.fixture
def archives(tmp_path):
    """A crawl of three pages, and its archive of robots.txt."""
    pages = {"http://a.example/private": page(), "http://a.example/open": page(body=WORDS[::-1] + BY)}
    crawl = write_warc(tmp_path / "crawl.warc.gz", {**pages, "http://b.example/": page(body=WORDS.upper())})
    robots = tmp_path / "robots.warc.gz"
    robots.write_bytes(record("response", "http://a.example/robots.txt", http(RULES, "text/plain")))
    return crawl, robots


def build(crawl, out, *more):
    options = ("--workers", "1", "--set", "language=off", "--set", "minhash=off")
    return run_command("build", crawl, "-o", out, *options, *more)


def robots_of(out):
    rows = open_run(out).ledger(["url", "rights.robots", "rights.robots_agents"]).to_pylist()
    return {row["url"].removeprefix("http://"): (row["rights.robots"], row["rights.robots_agents"]) for row in rows}


FOUND = {"a.example/private": (1, "GPTBot"), "a.example/open": (0, ""), "b.example/": (None, None)}


def test_an_index_and_its_archives_give_the_same_ledger(archives, tmp_path, capfd):
    crawl, robots = archives
    assert run_command("robots", "index", robots, "-o", tmp_path / "index", "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["sites"] == 1
    assert build(crawl, tmp_path / "one", "--robots", tmp_path / "index") == 0
    assert build(crawl, tmp_path / "two", "--robots", robots) == 0
    assert robots_of(tmp_path / "one") == robots_of(tmp_path / "two") == FOUND
    for out in ("one", "two"):
        assert open_run(tmp_path / out).info["resources"]["rights.robots"] == facts["sha256"]
    assert build(crawl, tmp_path / "two", "--robots", robots) == 0
    assert "complete already" in capfd.readouterr().err


def test_an_index_is_not_made_again_from_other_archives(archives, tmp_path, capfd):
    crawl, robots = archives
    index = tmp_path / "index"
    assert run_command("robots", "index", robots, "-o", index) == 0
    before = (index / "sites.arrow").stat()
    assert run_command("robots", "index", robots, "-o", index) == 0
    assert (index / "sites.arrow").stat() == before
    other = tmp_path / "other.warc.gz"
    other.write_bytes(record("response", "http://b.example/robots.txt", http(RULES, "text/plain")))
    assert run_command("robots", "index", other, "-o", index) == 1
    assert "other.warc.gz" in capfd.readouterr().err
    assert run_command("robots", "index", crawl, "-o", tmp_path / "none") == 2
    assert "hold no robots.txt" in capfd.readouterr().err


def test_robots_that_keep_a_page_out_can_drop_it(archives, tmp_path):
    crawl, robots = archives
    assert build(crawl, tmp_path / "out", "--robots", robots, "--set", "rights.robots.max=0") == 0
    run = open_run(tmp_path / "out")
    assert run.info["records"]["dropped"]["rights"] == {"robots": 1}
    assert build(crawl, tmp_path / "fineweb", "--robots", robots, "--recipe", "fineweb") == 2


def test_licences_are_a_column_of_the_corpus(archives, tmp_path):
    crawl, _ = archives
    off = [f"{name}=off" for name in ("gopher_repetition", "gopher_quality", "c4", "fineweb", "pii")]
    assert build(crawl, tmp_path / "out", *(word for one in off for word in ("--set", one))) == 0
    rows = open_run(tmp_path / "out").corpus(["url", "license"]).to_pylist()
    assert {row["url"][7:]: row["license"] for row in rows} == {
        "a.example/private": None, "a.example/open": "CC-BY-4.0", "b.example/": None
    }  # fmt: skip
