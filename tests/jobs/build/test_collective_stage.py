"""A user's own collective stage (examples/url_variants.py): ledger, explain, tune, report and bytes are as for ours."""

import json
import random
import shutil
from pathlib import Path

import pytest

from corpus.errors import ConfigError
from corpus.plugins import read_plugin
from corpus.run import open_run
from filters import load_recipe, recipe_from_dict
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.runner.progress import Progress
from tests.engines import engine_of
from tests.jobs.build.test_build import tree
from tests.warcs import WORDS, page, write_warc

EXAMPLES = Path(__file__).parents[3] / "examples"
MODULE, RECIPE = str(EXAMPLES / "url_variants.py"), str(EXAMPLES / "url_variants.toml")


def texts(count):
    """English texts without near-duplicates."""
    words = WORDS.split()
    rng = random.Random(5)
    return [" ".join(rng.sample(words, len(words))) + "." for _ in range(count)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Pages at variants of some addresses, each with a text of its own. One more text is at two addresses, with two
    variants each."""
    own = texts(9)
    pages = {
        "http://a.example/one?session=123": own[0],
        "http://www.a.example/one": own[1],
        "http://a.example/one": own[2],
        "http://a.example/two": own[3],
        "http://b.example/one": own[4],
        "http://b.example:8080/one": own[5],
        "http://[broken/one?x": own[6],
        "http://c.example/x": own[7],
        "http://c.example/x?y": own[8],
        "http://d.example/same?long=address": own[7],
    }
    folder = tmp_path_factory.mktemp("variants")
    return write_warc(folder / "w.warc.gz", {url: page(body=text) for url, text in pages.items()})


def run_of(archive, out, workers=1, **options):
    module = read_plugin(MODULE)
    recipe = load_recipe(RECIPE, modules=[module])
    job = Job(recipe, [str(archive)], out, modules=(module,), alarm_rate=1, **options)
    result = build(job, lambda: engine_of(workers), Progress(quiet=True))
    assert result.exit_code == 0
    return open_run(out)


@pytest.fixture(scope="module")
def built(archive, tmp_path_factory):
    """A finished run, for tests that only read it."""
    return run_of(archive, tmp_path_factory.mktemp("built") / "out")


def ends(run):
    rows = run.ledger(columns=["url", "outcome", "stage", "rule", "value", "limit", "detail"]).to_pylist()
    return {row["url"]: (row["outcome"], row["stage"], row["rule"]) for row in rows}


def test_one_page_for_each_address(built):
    run = built
    assert run.info["records"]["dropped"] == {"url_variants": {"same_address": 3}, "minhash": {"similarity": 1}}
    found = ends(run)
    gone = ("dropped", "url_variants", "same_address")
    assert found["http://a.example/one?session=123"] == found["http://www.a.example/one"] == gone
    assert found["http://c.example/x?y"] == gone
    assert found["http://a.example/one"][0] == "kept"
    assert found["http://d.example/same?long=address"] == ("dropped", "minhash", "similarity")
    assert sum(end[0] == "kept" for end in found.values()) == 6
    run.verify()


def test_the_ledger_names_the_page_that_is_kept(built):
    run = built
    (kept,) = run.find("http://a.example/one")
    (row,) = run.find("http://www.a.example/one")
    assert (row["value"], row["limit"], row["detail"]) == (1.0, 1.0, kept["id"])
    assert row["url_variants.variants"] == kept["url_variants.variants"] == 3
    assert kept["url_variants.same_address"] is None
    corpus_rows = run.corpus().to_pylist()
    assert {row["url"]: row["duplicates"] for row in corpus_rows}["http://a.example/one"] == 2
    (explained,) = run.explain("http://www.a.example/one")
    measures = {
        m["measure"]: m for stage in explained["stages"] for m in stage["measures"] if stage["stage"] == "url_variants"
    }
    assert measures["same_address"]["ended_here"]
    assert measures["variants"]["value"] == 3


@pytest.mark.parametrize(("workers", "unit_bytes", "memory"), [(2, 700, 1 << 30), (1, 1 << 20, 64 << 10)])
def test_the_same_bytes_however_it_ran(archive, built, tmp_path, workers, unit_bytes, memory):
    run_of(archive, tmp_path / "out", workers=workers, unit_bytes=unit_bytes, dedup_memory=memory)
    assert tree(tmp_path / "out") == tree(Path(built.location))


def test_every_verb_knows_it(corpus, built, tmp_path):
    out = shutil.copytree(built.location, tmp_path / "out")
    own = ("--allow-module", MODULE)
    code, found, said = corpus("tune", out, "--set", "url_variants=off", "--json")
    assert code == 2
    code, found, said = corpus("tune", out, "--set", "url_variants.same_address=off", "--json")
    assert code == 0, said
    kept = json.loads(found)["kept"]
    assert kept["least"] <= 8 <= kept["most"]
    code, _, said = corpus("tune", out, "--set", "url_variants.same_address=off", "--write", tmp_path / "off", *own,
                           "--alarm-rate", "1")  # fmt: skip
    assert code == 0, said
    assert open_run(tmp_path / "off").info["records"]["dropped"] == {"minhash": {"similarity": 1}}
    assert corpus("report", out)[0] == 0
    assert "same_address" in (out / "report.html").read_text()
    listed = tmp_path / "list.txt"
    listed.write_text("http://a.example/one\n")
    code, _, said = corpus("remove", out, "--urls", listed, *own)
    assert code == 0, said
    assert ends(open_run(out))["http://www.a.example/one"][0] == "kept"
    assert corpus("verify", out)[0] == 0


def test_what_tune_writes_is_what_a_build_makes(archive, built, tmp_path, corpus):
    own, off = ("--allow-module", MODULE), "url_variants.same_address=off"
    options = ("--recipe", RECIPE, *own, "--alarm-rate", "1")
    assert corpus("build", archive, "-o", tmp_path / "fresh", *options, "--set", off)[0] == 0
    written = ("--set", off, "--write", tmp_path / "written", *own, "--alarm-rate", "1")
    assert corpus("tune", built.location, *written)[0] == 0
    assert tree(tmp_path / "written") == tree(tmp_path / "fresh")


def test_two_that_sign_the_same_are_refused():
    module = read_plugin(MODULE)
    table = {"stage": "url_variants"}
    with pytest.raises(ConfigError, match="both compare"):
        recipe_from_dict({"stages": [table, {**table, "name": "again"}]}, (module,))
    with pytest.raises(ConfigError, match="can't have the bound 'min'"):
        recipe_from_dict({"stages": [{**table, "variants": {"min": 2}}]}, (module,))
