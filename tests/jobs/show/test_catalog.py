"""The registry and the recipes on the terminal."""

import json

import pytest
from click.testing import CliRunner

from filters import STAGES, load_recipe, recipe_names
from jobs.cli import cli
from jobs.show import catalog


def run(*arguments):
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


@pytest.mark.parametrize("name", recipe_names())
def test_a_shown_recipe_loads_as_the_same_recipe(tmp_path, name):
    file = tmp_path / "mine.toml"
    file.write_text(run("recipes", "show", name).stdout)
    assert load_recipe(str(file)).canonical() == load_recipe(name).canonical()
    assert run("recipes", "show", str(file)).stdout == file.read_text()


def test_a_shown_recipe_says_what_each_value_means():
    lines = run("recipes", "show", "default").stdout.splitlines()
    at = lines.index("words = { max = 100000, min = 50 }")
    assert lines[at - 1] == "# The number of words, without words that are all punctuation."


def test_recipes_are_listed():
    assert [recipe["name"] for recipe in json.loads(run("recipes", "--json").stdout)] == recipe_names()


def test_the_list_of_recipes_has_their_stages_and_no_limits():
    shown = run("recipes").stdout
    assert "  stages: url, screen, extract, language, " in shown
    assert not {"min", "max"} & set(shown.split())
    assert "gopher_quality, decontaminate, minhash, c4, fineweb, pii" in " ".join(shown.split())


def test_one_stage_is_shown_alone():
    (stage,) = json.loads(run("stages", "gopher_quality", "--json").stdout)
    assert stage["stage"] == "gopher_quality"
    assert len(json.loads(run("stages", "--json").stdout)) == len(STAGES)


def test_an_unknown_stage_is_named_with_the_nearest():
    with pytest.raises(Exception, match=r"no stage 'gopher_qualty'.*gopher_quality"):
        run("stages", "gopher_qualty")


def test_every_measure_and_parameter_has_a_meaning():
    for stage in catalog.stages(STAGES):
        for name in (*(measure["measure"] for measure in stage["measures"]), *stage["params"]):
            assert stage["meanings"].get(name), f"{stage['stage']}.{name} has no docstring below it"
