"""The recipe `many` has FineWeb-2's published limits, and judges each page by those of its language."""

import pytest
import yaml

from benchmarks.recipe_many import write
from corpus.document import Document
from corpus.errors import ConfigError
from filters import load_recipe, recipe_text
from filters.language.labels import code_of
from tests.filters.test_recipes import GERMAN, judge_from


@pytest.fixture(scope="module")
def configs(shared_data):
    folder = shared_data / "fineweb2" / "configs"
    found = {code_of(path.stem): yaml.safe_load(path.read_text()) for path in folder.glob("*.yml")}
    return dict(sorted(found.items()))


def test_the_recipe_is_made_from_the_published_limits(configs):
    assert recipe_text("many") == write(configs)
    assert len(configs) == 67


def test_each_language_has_its_limits(configs):
    stages = {bound.name: bound for bound in load_recipe("many").stages}
    for code, config in configs.items():
        of = {name: bound.of_language(code) for name, bound in stages.items()}
        assert of["language"].limits["score"].bounds == {"min": config["language_score"]}
        repetition = of["gopher_repetition"].limits
        grams = {f"top_{n}_gram": limit for n, limit in config["top_n_grams"]}
        grams |= {f"dup_{n}_gram": limit for n, limit in config["dup_n_grams"]}
        assert {name: limit.max for name, limit in repetition.items() if limit.bounds} == {
            "dup_line_frac": config["dup_line_frac"], **grams,
        }  # fmt: skip
        quality = of["gopher_quality"]
        assert quality.stage.stop_list == config["stopwords"]
        assert quality.limits["alpha_ratio"].min == config["max_non_alpha_words_ratio"]
        lengths = config["min_avg_word_length"], config["max_avg_word_length"]
        assert (quality.limits["mean_word_length"].min, quality.limits["mean_word_length"].max) == lengths
        assert (quality.limits["words"].min, quality.limits["stop_words"].min) == (
            (23, None) if code == "ko" else (50, 2)
        )
        lines = of["fineweb"].limits
        assert (lines["line_punct_ratio"].min, lines["newline_ratio"].max) == (
            config["line_punct_thr"], config["new_line_ratio"],
        )  # fmt: skip


def test_a_page_is_judged_by_the_limits_of_its_language():
    pytest.importorskip("ftfy")
    recipe = load_recipe("many")
    german = judge_from(recipe, "gopher_repetition", Document(text=GERMAN, language="de"))
    assert german.kept, german.reason
    as_finnish = judge_from(recipe, "gopher_quality", Document(text=GERMAN, language="fi"))
    assert (as_finnish.rule, as_finnish.limit) == ("stop_words", 2)


def test_without_icu_the_recipe_says_what_to_install(monkeypatch):
    monkeypatch.setattr("corpus.text.words.SEGMENTER", "no-such-package")
    recipe = load_recipe("many")
    with pytest.raises(ConfigError, match="not installed: ja, km, th, zh"):
        recipe.check_input({"page", "url"})
    with pytest.raises(ConfigError, match="not installed"):
        recipe.resources()
    fewer = load_recipe("many", {"language.label.one_of": ["de", "ko", "vi"]})
    fewer.check_input({"page", "url"})
