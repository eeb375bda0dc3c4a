"""Library use: a recipe over an archive, and one stage on a string, without Ray and without files."""

import pickle
import warnings
from datetime import datetime

import datasets
import pandas
import polars
import pyarrow as pa
import pytest

from corpus import ConfigError, Document, Limit, Recipe, Stage, read_warc
from filters import STAGES, extract_text, load_recipe
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
            with pytest.raises(ConfigError, match="Call check"):
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


def test_items_that_hold_no_text():
    recipe = load_recipe("text", {"minhash": None})
    rows = [{"content": GOOD}, {"content": None}, {"content": 7}, {}, {"content": b"\xff"}, None, 7, b"\xff", GOOD]
    found = list(recipe.run(rows))
    assert [one.outcome == "failed" for one in found] == [False, *[True] * 7, False]
    told = ["empty: no content", "type: content is of type int", "empty: no content", "utf-8: content is not UTF-8",
            "empty: no text", "type: text is of type int", "utf-8: text is not UTF-8"]  # fmt: skip
    for one, detail in zip(found[1:-1], told, strict=True):
        assert one.detail.startswith(detail)
    assert [one.doc.id for one in found] == [str(number) for number in range(9)]


WRONG = [GOOD, GOOD.encode(), {"text": GOOD}, [{"title": "x"}]]
WRONG += [frame({"text": [GOOD]}) for frame in (pandas.DataFrame, polars.DataFrame)]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: type(one).__name__)
def test_what_is_no_list_of_documents(wrong):
    with pytest.raises(ConfigError):
        list(load_recipe("text").run(wrong))


@pytest.mark.parametrize("item", [GOOD, {"text": GOOD}, Document(text=GOOD), Document(text=GOOD, url="https://a.example/")],
                         ids=["text", "dict", "document", "document with a URL"])  # fmt: skip
@pytest.mark.parametrize("name", ["default", "fineweb"])
def test_recipes_for_pages_refuse_texts_in_every_form(name, item):
    with pytest.raises(ConfigError, match="reads the HTML of a page, but the documents are texts"):
        list(load_recipe(name).run([item]))
    with pytest.raises(ConfigError, match="reads the text of a page"):
        list(load_recipe("text").run([{"html": page_html()}]))
    with pytest.raises(ConfigError, match="reads the HTML of a page"):
        load_recipe(name).batch({"text": [GOOD]})


def test_lone_surrogates_and_dates():
    (found,) = load_recipe("text", {"minhash": "off"}).run(
        [{"text": GOOD.replace("sea", "s\ud800a"), "date": datetime(2024, 1, 2)}]
    )
    assert found.kept
    assert b"s?a" in found.text.encode()
    assert found.doc.date == "2024-01-02T00:00:00"


class Broken(Stage):
    """A stage with a fault."""

    name = "broken"
    share = Limit(max=1)

    def apply(self, doc):
        yield "shair", 0.5


def test_the_fault_of_a_stage_is_told():
    recipe = Recipe.of([Broken()])
    (found,) = recipe.run(["text"])
    assert (found.outcome, found.detail) == ("failed", "UndeclaredMeasure")
    assert "shair is not declared. Did you mean share?" in found.traceback
    with pytest.warns(UserWarning, match="(?s)broken failed on 2 of 2 documents.*shair is not declared"):
        assert recipe.batch({"text": ["a", "b"]}) == {"text": []}


def test_a_recipe_is_the_same_after_use():
    recipe = load_recipe("text", {"minhash": "off"})
    before = pickle.dumps(recipe)
    list(recipe.run([GOOD]))
    recipe.batch({"text": [GOOD]})
    assert pickle.dumps(recipe) == before
    assert hash(recipe) == hash(load_recipe("text", {"minhash": "off"}))
    assert len(repr(recipe)) < 200


def test_a_stage_of_ones_own_in_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from corpus import Limit, Stage\n\nclass Long(Stage):\n    name = 'long'\n    chars = Limit(min=5, of=int)\n\n"
        "    def apply(self, doc):\n        yield 'chars', len(doc.text)\n"
    )
    recipe = load_recipe({"name": "own", "stages": [{"stage": "long"}]}, modules=[tmp_path / "mine.py"])
    assert [one.kept for one in recipe.run(["abcdef", "abc"])] == [True, False]
    (tmp_path / "own.toml").write_text(recipe.to_toml())
    assert load_recipe(str(tmp_path / "own.toml"), modules=[tmp_path / "mine.py"]).canonical() == recipe.canonical()


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"text": [1, 2]}, "text is of type int"),
        ({"text": GOOD}, "a single str"),
        ({"text": [GOOD], "n": [1, 2]}, "different lengths"),
        ({"title": [GOOD]}, "no column with a known name for text"),
        (pandas.Series([GOOD]), "type Series can't be read"),
        (polars.DataFrame({"text": [GOOD]}).lazy(), "type LazyFrame can't be read"),
        (7, "type int can't be read"),
    ],
    ids=str,
)
def test_tables_that_are_none(table, what):
    with pytest.raises(ConfigError, match=what):
        load_recipe("text", {"minhash": "off"}).batch(table)


def test_a_frame_keeps_its_index_and_types():
    frame = pandas.DataFrame(
        {"text": [GOOD, "Too short.", GOOD], "n": pandas.array([1, None, 3], "Int64")}, index=["a", "b", "c"]
    )
    kept = load_recipe("text", {"minhash": "off"}).batch(frame)
    assert list(kept.index) == ["a", "c"]
    assert kept["n"].dtype == frame["n"].dtype
    assert list(frame.columns) == list(kept.columns)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"minhash": False}, "False is not a setting of the stage 'minhash'"),
        ({"gopher_quality": {"words": {"min": 3}}}, "not a setting of the stage 'gopher_quality'"),
        ({"language.label": ["de", "en"]}, r"language\.label\.one_of=…"),
        ("minhash", "'minhash' is not a setting"),
    ],
    ids=str,
)
def test_wrong_settings(wrong, what):
    with pytest.raises(ConfigError, match=what) as error:
        load_recipe("text", wrong)
    assert not str(error.value).endswith("Did you mean minhash?")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Recipe.of(["gopher_quality"]),
        lambda: Recipe.of([GopherQuality]),
        lambda: load_recipe({"stages": ["gopher_quality"]}),
        lambda: GopherQuality().bind(words=3),
        lambda: GopherQuality().check(None),
        lambda: extract_text(None),
        lambda: extract_text(["<p>"]),
    ],
)  # fmt: skip
def test_wrong_arguments_are_sentences(make):
    with pytest.raises(ConfigError):
        make()


def test_limits_of_ones_own_in_check():
    assert GopherQuality().bind(words={"min": 3}).check("Too short a text.").rule != "words"


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


@pytest.mark.parametrize(
    "column",
    [
        pandas.Series,
        polars.Series,
        pa.array,
        lambda texts: pa.chunked_array([texts]),
        lambda texts: datasets.Dataset.from_dict({"text": texts})["text"],
    ],
    ids=["pandas", "polars", "array", "chunked array", "datasets"],
)
def test_the_column_of_a_table_is_a_list_of_texts(column):
    recipe = Recipe.of([GopherQuality()])
    found = list(recipe.run(column([GOOD, "Too short.", None])))
    assert [one.outcome for one in found] == ["kept", "dropped", "failed"]


@pytest.mark.parametrize("table", [pandas.DataFrame, polars.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"])
def test_a_table_is_no_list_of_texts(table):
    with pytest.raises(ConfigError, match=r"is not a list of documents.*run\(table\['text'\]\)"):
        list(Recipe.of([GopherQuality()]).run(table({"text": [GOOD]})))


def test_a_batch_without_rows():
    assert load_recipe("text", {"minhash": "off"}).batch({"text": [], "n": []}) == {"text": [], "n": []}


def test_what_a_notebook_shows_is_escaped():
    outcome = GopherQuality().check("<script>alert(1)</script>", url="https://a.example/<b>")
    assert "<script>" not in outcome._repr_html_()
    assert "<b>" not in outcome._repr_html_().replace("<p><b>", "")
    recipe = load_recipe("text")
    assert "gopher_quality" in recipe._repr_html_()
    named = load_recipe({**recipe.canonical(), "name": "<script>"})
    assert "<script>" not in named._repr_html_()
