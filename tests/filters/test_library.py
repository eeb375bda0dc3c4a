"""Library use: a recipe over an archive, and one stage on a string, without Ray and without files."""

import warnings

import datasets
import pandas
import polars
import pyarrow as pa
import pytest

from corpus import ConfigError, Document, read_warc
from filters import STAGES, load_recipe
from filters.gopher import GopherQuality
from tests.warcs import WORDS, page, write_warc

GOOD = (
    "The harbour master of the small town wrote down every boat that came in, and he had done so for thirty years. "
    "His daughter asked him why he never missed a day. He answered that the sea remembers nothing, so people must do "
    "it for her. When the great storm took the old pier, the insurance company wanted to know which boats had been "
    "moored there. Nobody else could say it with certainty. They found the list in a drawer, between a knife and a map "
    "of the coast, and it was complete. Since then the council pays for his paper and ink."
)


def page_html():
    return page(body=GOOD).decode()


def test_a_recipe_over_an_archive(tmp_path):
    pages = {
        "http://a.example/": page(),
        "http://xxx-videos.example/": page(),
        "http://b.example/": page(body="Too short."),
    }
    path = write_warc(tmp_path / "x.warc.gz", pages)
    outcomes = list(load_recipe("fineweb").run(read_warc(path)))
    assert [outcome.doc.url for outcome in outcomes] == list(pages)
    assert "three fishermen" in outcomes[0].text
    assert outcomes[1].reason == "url.domain: 1 > max 0 (xxx-videos.example)"
    assert outcomes[2].reason.startswith("gopher_repetition.top_2_gram")


def test_settings_are_laid_over_a_recipe(tmp_path):
    path = write_warc(tmp_path / "x.warc.gz", {"http://a.example/": page()})
    (outcome,) = load_recipe("fineweb", ["gopher_quality.words.min=5000"]).run(read_warc(path))
    assert outcome.rule == "words"
    assert outcome.limit == 5000


def test_one_stage_on_a_string():
    assert GopherQuality().check(WORDS * 2).kept
    outcome = GopherQuality().check("Too short a text.")
    assert (outcome.rule, outcome.value, outcome.limit) == ("words", 4, 50)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_check_says_what_a_stage_needs(stage):
    given = {"page": {"html": "<p>One sentence."}, "url": {"url": "https://a.example/"}, "text": {}, "language": {}}
    for what in stage.reads:
        others = {name: value for other in stage.reads if other != what for name, value in given[other].items()}
        if given[what]:
            with pytest.raises(ConfigError, match="Give it: check"):
                stage().check("One sentence.", **others)
    every = {name: value for what in stage.reads for name, value in given[what].items()}
    stage().check("One sentence.", **every)


def test_texts_dicts_and_documents():
    recipe = load_recipe("text", {"minhash": None})
    rows = [GOOD, {"text": GOOD, "id": "mine", "url": "https://a.example/"}, Document(id="d", text=GOOD)]
    found = list(recipe.run(rows))
    assert [one.doc.id for one in found] == ["0", "mine", "d"]
    assert len({one.reason for one in found}) == 1
    assert found[1].doc.url == "https://a.example/"


def test_dicts_that_hold_no_text():
    recipe = load_recipe("text", {"minhash": None})
    rows = [{"content": GOOD}, {"content": None}, {"content": 7}, {}, {"content": b"\xff"}]
    found = list(recipe.run(rows))
    assert [one.outcome == "failed" for one in found] == [False, True, True, True, True]
    assert [one.detail.split(":")[0] for one in found[1:]] == ["empty", "type", "empty", "utf-8"]
    with pytest.raises(ConfigError, match="no column of a known name for text"):
        list(recipe.run([{"title": "x"}]))
    for wrong in (GOOD, {"text": GOOD}, [7], [None]):
        with pytest.raises(ConfigError):
            list(recipe.run(wrong))


def test_html_in_dicts_is_extracted():
    (found,) = load_recipe("default", {"minhash": "off"}).run([{"html": page_html(), "url": "https://a.example/"}])
    assert "harbour master" in found.doc.text


def test_without_comparison_it_is_lazy():
    read = []

    def texts():
        for number in range(10):
            read.append(number)
            yield GOOD

    outcomes = load_recipe("text").run(texts(), dedup=False)
    assert next(outcomes).kept
    assert read == [0]
    assert all(one.kept for one in outcomes)


def test_equal_texts_are_compared_in_memory():
    found = list(load_recipe("text").run([GOOD, GOOD, GOOD + " And more of it."]))
    assert [one.kept for one in found] == [False, False, True]
    assert [one.detail for one in found if not one.kept] == ["2", "2"]
    assert found[2].measures["minhash.cluster_size"] == 3


@pytest.mark.parametrize("kind", ["dict", "pyarrow", "pandas", "polars", "datasets"])
def test_a_batch_of_any_table(kind):
    recipe = load_recipe("text")
    columns = {"n": [1, 2, 3], "text": [GOOD, "Too short.", GOOD]}
    table = {"dict": dict, "pyarrow": pa.table, "pandas": pandas.DataFrame, "polars": polars.DataFrame}.get(
        kind, datasets.Dataset.from_dict
    )(columns)
    with pytest.warns(UserWarning, match="removes no duplicates: it leaves out minhash"):
        kept = table.map(recipe.batch, batched=True) if kind == "datasets" else recipe.batch(table)
    assert type(kept) is type(table)
    assert list(kept["n"] if kind != "pyarrow" else kept["n"].to_pylist()) == [1, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recipe.batch({"text": ["said once"]})


def test_a_batch_without_rows_and_of_another_kind():
    recipe = load_recipe("text", {"minhash": "off"})
    assert recipe.batch({"text": [], "n": []}) == {"text": [], "n": []}
    with pytest.raises(ConfigError, match="type int can't be read"):
        recipe.batch(7)


def test_what_a_notebook_shows_is_escaped():
    outcome = GopherQuality().check("<script>alert(1)</script>", url="https://a.example/<b>")
    assert "<script>" not in outcome._repr_html_()
    assert "<b>" not in outcome._repr_html_().replace("<p><b>", "")
    recipe = load_recipe("text")
    assert "gopher_quality" in recipe._repr_html_()
    named = load_recipe({**recipe.canonical(), "name": "<script>"})
    assert "<script>" not in named._repr_html_()
