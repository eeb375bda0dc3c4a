"""Recipes: one canonical form, errors that say what was meant, settings, differences."""

import pytest

from corpus.digests import differences, digest
from corpus.errors import ConfigError
from corpus.recipe import Recipe
from corpus.stage import Limit, Stage


class Shape(Stage):
    """Length and kind of a text."""

    name = "shape"
    chars = Limit(min=10, max=100, of=int)
    upper = Limit(max=0.5)
    kind = Limit(one_of=("prose",), of=str)

    def __init__(self, *, language: str = "en", factor: float = 1.0) -> None:
        self.language = language
        self.factor = factor

    def apply(self, doc):
        yield "chars", len(doc.text)


class Other(Shape):
    """The same again."""

    name = "other"


REGISTRY = {"shape": Shape, "other": Other}


def recipe(toml, *settings):
    return Recipe.from_toml(toml, REGISTRY, settings)


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
        ('[[stages]]\nstage = "shap"', (), "no stage 'shap'. Did you mean shape?"),
        ("[[stages]]\nname = 'x'", (), "has no `stage`"),
        (PLAIN + "char = { min = 1 }", (), "no measure or parameter 'char'. Did you mean chars?"),
        (PLAIN + "chars = { minimum = 1 }", (), "no bound 'minimum'. Did you mean min"),
        (PLAIN + "chars = { one_of = ['a'] }", (), "It can have min, max, above, below."),
        (PLAIN + "kind = { min = 1 }", (), "It can have one_of."),
        (PLAIN + "chars = { min = 'many' }", (), 'must be a number or "off"'),
        (PLAIN + "chars = { min = true }", (), 'must be a number or "off"'),
        (PLAIN + "chars = 5", (), "is not a limit"),
        (PLAIN + "language = 5", (), "has the wrong type"),
        (PLAIN + "name = '../x'", (), "is not a valid stage name"),
        (PLAIN + PLAIN, (), "used twice"),
        ("measure = 'all'\n" + PLAIN, (), "no 'measure'. Did you mean measures"),
        ("measures = 'some'\n" + PLAIN, (), "measures = 'some' is unknown"),
        ("[output]\nrows_per_part = 0\n" + PLAIN, (), "is no count of rows"),
        (PLAIN, ("shap.chars.min=1",), "no stage 'shap'. Did you mean shape?"),
        (PLAIN, ("shape.char.min=1",), "no measure 'char'. Did you mean chars?"),
        (PLAIN, ("shape.chars.min",), "is not a setting"),
        (PLAIN, ("shape=1",), "no stage 'shape'"),
        (PLAIN, ("shape.chars=1",), "names no bound"),
        (PLAIN, ("shape.chars.min.x=1",), "names no limit"),
        (PLAIN, (".chars.min=1",), "is not a setting"),
    ],
)
def test_errors_say_what_was_meant(toml, settings, message):
    with pytest.raises(ConfigError, match=None) as error:
        recipe(toml, *settings)
    assert message in str(error.value)


def test_order_of_stages_is_a_difference():
    one = recipe('[[stages]]\nstage = "shape"\n[[stages]]\nstage = "other"').canonical()
    two = recipe('[[stages]]\nstage = "other"\n[[stages]]\nstage = "shape"').canonical()
    assert digest(one) != digest(two)
    assert differences(one, two) == ["order: shape other → other shape"]
