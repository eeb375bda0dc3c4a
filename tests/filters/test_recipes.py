"""Recipes with languages, and with stages of the user's own."""

from pathlib import Path

import pytest

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.plugins import Plugin, read_plugin, stages_of
from filters import load_recipe, registry

EXAMPLES = Path(__file__).parents[2] / "examples"
GERMAN = (
    "Die Brücke über den Fluss wurde im vergangenen Jahr gesperrt, weil man an den Pfeilern Schäden gefunden hatte. "
    "Seitdem fahren die Busse einen Umweg von zwanzig Minuten, und der Laden an der Ecke hat weniger Kunden. "
    "Der Gemeinderat möchte in der nächsten Woche entscheiden, ob das Geld für eine neue Brücke reicht oder ob man die "
    "alte noch einmal ausbessern kann. Viele im Dorf sind mit beidem nicht zufrieden und haben Briefe geschrieben. "
)


def judge_from(recipe, start, doc):
    """Judge a text with the stages of a recipe from `start` on."""
    pipeline = recipe.pipeline()
    names = [bound.name for bound in pipeline.stages]
    pipeline.stages = pipeline.stages[names.index(start) :]
    return pipeline.judge(doc)


def test_stages_go_by_language():
    recipe = load_recipe("multilingual")
    german = judge_from(recipe, "gopher_repetition", Document(text=GERMAN.strip(), language="de"))
    assert german.kept, german.reason
    assert german.measures["gopher_quality.stop_words"] >= 5
    as_english = judge_from(recipe, "gopher_repetition", Document(text=GERMAN, language="en"))
    assert (as_english.stage, as_english.rule) == ("gopher_quality", "stop_words")
    assert "c4.sentences" in as_english.measures
    assert "c4.sentences" not in german.measures
    long_words = GERMAN + "Straßenbahnhaltestellen " * 300
    for language, limit in (("de", 12), ("fr", 10)):
        found = judge_from(recipe, "gopher_quality", Document(text=long_words, language=language))
        assert (found.rule, found.limit) == ("mean_word_length", limit)


def test_languages_must_be_codes():
    with pytest.raises(ConfigError, match="is not a list of language codes"):
        load_recipe("fineweb", ["c4.languages=de"])


def test_without_permission_a_stage_is_unknown():
    with pytest.raises(ConfigError, match="no stage 'code_share'"):
        load_recipe(str(EXAMPLES / "code_share.toml"))


@pytest.mark.parametrize(
    ("source", "message"),
    [("x = 1", "defines no stage"), ("raise ValueError(1)", "does not load"), ("def", "does not load")],
)
def test_modules_that_are_none(source, message):
    with pytest.raises(ConfigError, match=message):
        stages_of([Plugin("mine", source)])


@pytest.mark.parametrize("named", ["/no/such.py", "no.such.module"])
def test_modules_that_are_not_there(named):
    with pytest.raises(ConfigError, match=r"no module|can't be read"):
        read_plugin(named)


def plugin(name, stage):
    return Plugin(name, f"from corpus.stage import Stage\n\n\nclass Own(Stage):\n    name = {stage!r}\n")


def test_a_stage_of_ones_own_takes_no_name_that_is_taken():
    with pytest.raises(ConfigError, match=r"defines a stage `pii`, which is one of ours"):
        registry([plugin("one", "pii")])
    with pytest.raises(ConfigError, match=r"Two modules define a stage `mine`"):
        registry([plugin("one", "mine"), plugin("two", "mine")])
    assert {"mine", "yours", "pii"} <= registry([plugin("one", "mine"), plugin("two", "yours")]).keys()
