"""Recipes: one canonical form, errors that say what was meant, settings, differences."""

import pytest

from corpus.digests import differences, digest
from corpus.errors import ConfigError
from corpus.recipes import ARCHIVE_GIVES, Recipe
from corpus.stage import Limit, Stage
from filters import STAGES, load_recipe, recipe_names
from filters.gopher import GopherQuality
from filters.language import Language


class Shape(Stage):
    """Length and kind of a text."""

    name = "shape"
    chars = Limit(min=10, max=100, of=int)
    upper = Limit(max=0.5, share=True)
    kind = Limit(one_of=("prose",), of=str)

    def __init__(self, *, language: str = "en", factor: float = 1.0) -> None:
        self.language = language
        self.factor = factor

    def apply(self, doc):
        yield "chars", len(doc.text)


class Other(Shape):
    """A second stage with the same measures."""

    name = "other"


REGISTRY = {"shape": Shape, "other": Other}


def recipe(toml, *settings):
    return Recipe.from_toml(toml, REGISTRY).with_settings(settings, REGISTRY)


PLAIN = '[[stages]]\nstage = "shape"\n'


def test_canonical_form_says_defaults_and_reads_back():
    canonical = recipe(PLAIN).canonical()
    assert canonical["stages"] == [
        {
            "stage": "shape",
            "name": "shape",
            "language": "en",
            "factor": 1.0,
            "chars": {"max": 100, "min": 10},
            "upper": {"max": 0.5},
            "kind": {"one_of": ["prose"]},
        }
    ]
    assert Recipe.from_dict(canonical, REGISTRY).canonical() == canonical


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ("language extract", "language reads the text that extract sets, but comes before it. "
                             "Use this order: extract, language."),
        ("url gopher_quality pii extract language", "Use this order: url, extract, gopher_quality, pii, language"),
        ("extract url language gopher_quality", None),
        ("gopher_quality pii", None),  # for texts that are no pages
    ],
)  # fmt: skip
def test_a_stage_comes_after_the_one_that_sets_what_it_reads(order, error):
    data = {"stages": [{"stage": name} for name in order.split()]}
    if error is None:
        Recipe.from_dict(data, STAGES)
    else:
        with pytest.raises(ConfigError, match=error):
            Recipe.from_dict(data, STAGES)


def test_a_stage_for_some_languages_comes_after_the_language_stage():
    data = {"stages": [{"stage": "extract"}, {"stage": "pii", "languages": ["en"]}, {"stage": "language"}]}
    with pytest.raises(ConfigError, match="pii reads the language that language sets"):
        Recipe.from_dict(data, STAGES)


@pytest.mark.parametrize(
    ("stages", "what"),
    [
        ([{"stage": "url"}, {"stage": "gopher_quality"}], "text"),
        ([{"stage": "extract"}, {"stage": "pii", "languages": ["en"]}], "language"),
    ],
)
def test_pages_of_an_archive_need_stages_that_set_text_and_language(stages, what):
    recipe = Recipe.from_dict({"stages": stages}, STAGES)
    with pytest.raises(ConfigError, match=f"reads the {what} of a page, but no earlier stage sets the {what}"):
        recipe.check_input(ARCHIVE_GIVES)


@pytest.mark.parametrize(
    ("gives", "stages", "says"),
    [
        (
            {"text"},
            ["url", "screen", "extract"],
            "screen reads the HTML.*the recipe text.*--set screen=off --set extract=off",
        ),
        ({"text"}, ["url", "gopher_quality"], "url reads the URL of a page.*--url.*--set url=off"),
        ({"page"}, ["url", "extract"], "url reads the URL of a page"),
    ],
)
def test_documents_need_stages_that_read_what_they_have(gives, stages, says):
    recipe = Recipe.from_dict({"stages": [{"stage": name} for name in stages]}, STAGES)
    with pytest.raises(ConfigError, match=says):
        recipe.check_input(gives)
    recipe.check_input({*gives, "page", "url"})


@pytest.mark.parametrize(
    ("stage", "gives", "what", "todo"),
    [
        ("url", {"text"}, "the URL of a page, but the documents have no URL", "--set url=off"),
        ("screen", {"text", "url"}, "the HTML of a page, but the documents are texts", "the recipe text"),
        ("extract", {"text"}, "the HTML of a page, but the documents are texts", "--set extract=off"),
    ],
)
def test_documents_that_lack_what_a_stage_reads_are_refused(stage, gives, what, todo):
    recipe = Recipe.from_dict({"stages": [{"stage": stage}]}, STAGES)
    with pytest.raises(ConfigError, match=f"{stage} reads {what}") as error:
        recipe.check_input(gives)
    assert todo in error.value.todo
    recipe.check_input(ARCHIVE_GIVES)


@pytest.mark.parametrize("off", ["off", "none"])
def test_a_stage_is_switched_off(off):
    recipe = Recipe.from_dict({"stages": [{"stage": "url"}, {"stage": "extract"}]}, STAGES)
    assert [bound.name for bound in recipe.with_settings([f"url={off}"], STAGES).stages] == ["extract"]
    assert [bound.name for bound in recipe.with_settings({"url": None}, STAGES).stages] == ["extract"]
    with pytest.raises(ConfigError, match="no stages"):
        recipe.with_settings(["url=off", "extract=off"], STAGES)


def test_a_recipe_from_dict_from_python_and_from_toml_is_the_same():
    made = Recipe.of([Language(), GopherQuality().bind(words={"min": 30})], name="short")
    assert made.stages[1].limits["words"].min == 30
    assert Recipe.from_toml(made.to_toml(), STAGES) == made
    assert Recipe.from_dict(made.canonical(), STAGES) == made
    assert load_recipe({"name": "short", "stages": [{"stage": "language"}, {"stage": "gopher_quality"}]},
                       {"gopher_quality.words.min": 30}) == made  # fmt: skip
    assert load_recipe(made, {"gopher_quality.words.min": 50}) != made


@pytest.mark.parametrize("name", recipe_names())
def test_named_recipes_survive_toml(name):
    recipe = load_recipe(name)
    assert Recipe.from_toml(recipe.to_toml(), STAGES) == recipe


def test_limits_are_no_parameters():
    with pytest.raises(ConfigError, match="words is a limit of GopherQuality"):
        GopherQuality(words=30)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="no measure 'wrods'") as error:
        GopherQuality().bind(wrods={"min": 30})
    assert "words" in error.value.todo
    with pytest.raises(ConfigError, match="no bound 'least'"):
        GopherQuality().bind(words={"least": 30})


def test_a_switched_off_bound_survives_the_canonical_form():
    changed = recipe(PLAIN + 'chars = { max = "off" }')
    again = Recipe.from_dict(changed.canonical(), REGISTRY)
    assert again.stages[0].limits["chars"] == Limit(min=10, of=int)


@pytest.mark.parametrize("same", ["chars = { min = 10 }", "chars = { min = 10.0 }", "factor = 1.0", ""])
def test_what_means_the_same_has_one_digest(same):
    assert digest(recipe(PLAIN + same).canonical()) == digest(recipe(PLAIN).canonical())


@pytest.mark.parametrize(
    ("setting", "difference"),
    [
        ("shape.chars.min=30", "shape.chars.min: 10 → 30"),
        ("shape.chars.min=off", 'shape.chars.min: 10 → "off"'),
        ("shape.chars.min=none", 'shape.chars.min: 10 → "off"'),
        ("shape.upper=off", 'shape.upper.max: 0.5 → "off"'),
        ("shape.upper={ above = 0 }", "shape.upper.above: none → 0.0"),
        ("shape.upper.above=0", "shape.upper.above: none → 0.0"),
        ("shape.language=de", 'shape.language: "en" → "de"'),
        ("shape.kind.one_of=['poem']", 'shape.kind.one_of: ["prose"] → ["poem"]'),
        ("measures=first", 'measures: "all" → "first"'),
        ("output.rows_per_part=7", "output.rows_per_part: 100000 → 7"),
    ],
)
def test_settings(setting, difference):
    assert differences(recipe(PLAIN).canonical(), recipe(PLAIN, setting).canonical()) == [difference]


@pytest.mark.parametrize(
    ("toml", "settings", "message"),
    [
        ("nonsense", (), "not valid TOML"),
        ("", (), "has no stages"),
        (
            '[[stages]]\nstage = "shap"',
            (),
            "no stage 'shap'. Did you mean shape? Load your own stage with --allow-module,",
        ),
        ("[[stages]]\nname = 'x'", (), "has no `stage`"),
        (PLAIN + "char = { min = 1 }", (), "no measure or parameter 'char'. Did you mean chars?"),
        (PLAIN + "chars = { minimum = 1 }", (), "no bound 'minimum'. Did you mean min"),
        (PLAIN + "chars = { one_of = ['a'] }", (), "It takes min, max, above and below."),
        (PLAIN + "kind = { min = 1 }", (), "It takes one_of."),
        (PLAIN + "chars = { min = 'many' }", (), 'must be a number or "off"'),
        (PLAIN + "chars = { min = true }", (), 'must be a number or "off"'),
        (PLAIN + "chars = { max = inf }", (), "must be a number"),
        (PLAIN + "chars = { min = -inf }", (), "must be a number"),
        (PLAIN + "chars = { max = nan }", (), "must be a number"),
        (PLAIN, ("shape.chars.max=inf",), "must be a number"),
        (PLAIN, (f"shape.chars.max={2**63}",), "is too large"),
        (PLAIN, ("shape.chars.min=101",), "allows no value: the least is 101 and the most is 100"),
        (PLAIN, ("shape.chars.above=5", "shape.chars.below=4"), "allows no value"),
        (PLAIN, ("shape.upper.max=50",), "upper.max = 50 is not between 0 and 1"),
        (PLAIN, ("shape.upper.min=-0.1",), "upper.min = -0.1 is not between 0 and 1"),
        (PLAIN + "chars = 5", (), "is not a limit"),
        (PLAIN + "language = 5", (), "has the wrong type"),
        (PLAIN + "name = '../x'", (), "is not a valid stage name"),
        (PLAIN + PLAIN, (), "used twice"),
        ("measure = 'all'\n" + PLAIN, (), "no 'measure'. Did you mean measures"),
        ("measures = 'some'\n" + PLAIN, (), "measures = 'some' is unknown"),
        ("[output]\nrows_per_part = 0\n" + PLAIN, (), "is not a number of rows"),
        (PLAIN, ("shap.chars.min=1",), "no stage 'shap'. Did you mean shape?"),
        (PLAIN, ("shape.char.min=1",), "no measure 'char'. Did you mean chars?"),
        (PLAIN, ("shape.chars.min",), "is not a setting"),
        (PLAIN, ("shape=1",), "not a setting of the stage 'shape'"),
        (PLAIN, ("shape.chars=1",), "names no bound"),
        (PLAIN, ("shape.chars.min.x=1",), "names no limit"),
        (PLAIN, (".chars.min=1",), "is not a setting"),
    ],
)
def test_errors_say_what_was_meant(toml, settings, message):
    with pytest.raises(ConfigError, match=None) as error:
        recipe(toml, *settings)
    assert message in str(error.value)


LANGUAGES = """
[[stages]]
stage = "tongue"
[[stages]]
stage = "shape"
chars = { min = 20 }
[stages.by_language.fr]
chars = { max = "off", min = 7 }
[stages.by_language.de]
kind = { one_of = ["poem"] }
factor = 2.0
"""


class Tongue(Stage):
    """Takes the language from the first word."""

    name = "tongue"
    sets = ("language",)
    label = Limit(of=str)

    def apply(self, doc):
        doc.language = doc.text.split()[0]
        yield "label", doc.language


def tongues(toml=LANGUAGES, *settings):
    registry = {**REGISTRY, "tongue": Tongue}
    return Recipe.from_toml(toml, registry).with_settings(settings, registry)


def test_limits_and_parameters_of_a_language():
    made = tongues()
    assert Recipe.from_toml(made.to_toml(), {**REGISTRY, "tongue": Tongue}) == made
    assert list(made.canonical()["stages"][1]["by_language"]) == ["de", "fr"]
    shape = made.stages[1]
    assert shape.of_language("fr").limits["chars"] == Limit(min=7, of=int)
    assert shape.of_language("de").limits["chars"] == Limit(min=20, max=100, of=int)
    assert shape.of_language("de").stage.factor == 2.0
    assert shape.of_language(None) is shape.of_language("es") is shape
    assert [one.reason for one in made.run(["fr " + "x" * 200, "de " + "x" * 9, "fr x", "es " + "x" * 9])] == [
        "", "shape.chars: 12 < min 20", "shape.chars: 4 < min 7", "shape.chars: 12 < min 20",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("shape.chars.min=30", ["shape.chars.min: 20 → 30"]),  # a language with its own bound keeps it
        ("shape.fr.chars.min=8", ["shape.fr.chars.min: 7 → 8"]),
        ("shape.fr.chars=off", ['shape.fr.chars.min: 7 → "off"']),
        ("shape.fr.upper.max=0.2", ['shape.fr.upper: none → {"max": 0.2}']),
        ("shape.de.factor=3.0", ["shape.de.factor: 2.0 → 3.0"]),
        ("shape.kind={ one_of = ['a'] }", ['shape.kind.one_of: ["prose"] → ["a"]']),
        ("shape.fr.chars.below=50", ["shape.fr.chars.below: none → 50"]),
    ],
)
def test_settings_of_a_language(setting, found):
    assert differences(tongues().canonical(), tongues(LANGUAGES, setting).canonical()) == found


@pytest.mark.parametrize(
    ("toml", "settings", "message"),
    [
        (LANGUAGES, ("shape.fr.chars.mim=1",), "no bound 'mim'. Did you mean min?"),
        (LANGUAGES, ("shape.fr.char.min=1",), "the stage has no measure 'fr'"),
        (LANGUAGES, ("shape.frr.chars.min=1",), "'frr' is no language of the recipe. Did you mean fr?"),
        (LANGUAGES, ("shape.fr.chars.max=5",), "shape.fr.chars allows no value: the least is 7 and the most is 5"),
        (LANGUAGES, ("shape.de.chars.max=15",), "shape.de.chars allows no value: the least is 20 and the most is 15"),
        (LANGUAGES, ("shape.fr.factor=much",), "shape.fr.factor = 'much' has the wrong type"),
        (LANGUAGES + "chrs = { min = 1 }", (), "The stage 'shape.de' has no measure or parameter 'chrs'."),
        (LANGUAGES + "[stages.by_language.'d e']", (), "'d e', which is no language code"),
        (LANGUAGES + "[stages.by_language]\nes = 1", (), "by_language"),
        (LANGUAGES.replace("tongue", "other"), (), "but no stages set the language"),
        (LANGUAGES + '[[stages]]\nstage = "tongue"\nname = "again"', (), "but 2 stages set the language"),
        (PLAIN.replace("shape", "tongue") + "by_language = { de = { label = {} } }\n", ("tongue=off",), "no stages"),
    ],
)
def test_errors_about_limits_of_languages(toml, settings, message):
    with pytest.raises(ConfigError) as error:
        tongues(toml, *settings)
    assert message in str(error.value)


def test_a_language_that_the_recipe_keeps_gets_limits_by_a_setting():
    stages = load_recipe("multilingual", ["gopher_quality.en.words.min=30"]).stages
    quality = next(bound for bound in stages if bound.name == "gopher_quality")
    assert [quality.of_language(code).limits["words"].min for code in ("en", "de")] == [30, 50]
    with pytest.raises(ConfigError, match="'it' is no language of the recipe"):
        load_recipe("multilingual", ["gopher_quality.it.words.min=30"])


def test_stages_that_compare_have_no_limits_by_language():
    with pytest.raises(ConfigError, match="minhash has limits by language, but compares documents"):
        load_recipe("text", ["minhash.en.similarity.below=0.5"])


def test_order_of_stages_is_a_difference():
    one = recipe('[[stages]]\nstage = "shape"\n[[stages]]\nstage = "other"').canonical()
    two = recipe('[[stages]]\nstage = "other"\n[[stages]]\nstage = "shape"').canonical()
    assert digest(one) != digest(two)
    assert differences(one, two) == ["order: shape other → other shape"]
