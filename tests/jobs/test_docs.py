"""Documents that say what the code does are checked against it."""

import json
import os
import re
import shutil
import subprocess
import textwrap
import warnings
from pathlib import Path

import click
import pytest

from benchmarks.costs import costs
from benchmarks.quoted import DOCUMENTS, FIGURES, quoted
from corpus.plugins import Plugin, stages_of
from filters import STAGES, load_recipe, recipe_names
from jobs.cli import cli
from jobs.show import catalog
from tests.engines import InProcess
from tests.warcs import WORDS, write_warc
from tests.warcs import page as warc_page

ROOT = Path(__file__).parents[2]


def test_filters_md_is_generated():
    assert (ROOT / "docs" / "filters.md").read_text() == catalog.markdown(catalog.stages(STAGES)), "run `make docs`"


def test_a_failing_command_leaves_filters_md_as_it_was(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for age, name in enumerate(("requirements.lock", "pyproject.toml", "setup.py", "packages"), start=1):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))  # older than the stamp
    (tmp_path / "stamp").touch()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "filters.md").write_text("the old text")
    program = tmp_path / "corpus"
    program.write_text('#!/bin/sh\necho "# Stages"\nexit $STATUS\n')
    program.chmod(0o755)
    for status, text in (("1", "the old text"), ("0", "# Stages\n")):
        command = ["make", "docs", "STAMP=stamp", "PACKAGES=packages", f"BIN={tmp_path}", f"STATUS={status}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert bool(done.returncode) == (status == "1"), done.stderr
        assert (tmp_path / "docs" / "filters.md").read_text() == text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_figures_are_those_that_were_saved(path):
    assert path.read_text() == quoted(path.read_text()), "run `python -m benchmarks.quoted`"


def test_costs_follow_from_saved_figures():
    assert (FIGURES / "costs.txt").read_text().splitlines() == costs(), "run `python -m benchmarks.costs --save`"


def test_readme_names_every_recipe_and_verb():
    readme = (ROOT / "README.md").read_text()
    context = click.Context(cli)
    verbs = [name for name in cli.list_commands(context) if not isinstance(cli.get_command(context, name), click.Group)]
    assert "build" in verbs
    for name in recipe_names():
        assert f"`{name}" in readme, name
    for verb in verbs:
        assert re.search(rf"(?:^|[`/ ])corpus {verb}\b", readme, re.MULTILINE), verb


def test_the_readme_table_has_the_stages_of_our_recipes_and_no_unknown_ones():
    readme = (ROOT / "README.md").read_text()
    listed = set(re.findall(r"^\| `(\w+)` \|", readme[readme.index("| stage |") :], re.MULTILINE))
    used = {bound.stage.name for name in recipe_names() for bound in load_recipe(name).stages}
    assert used <= listed <= set(STAGES)


def test_files_that_the_readme_names_exist():
    readme = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\(([\w./-]+)\)", readme):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_python_of_the_docs_runs(tmp_path, monkeypatch, page):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jobs.python.LocalEngine", InProcess)
    write_warc(tmp_path / "x.warc.gz", {"http://a.example/": warc_page()})
    (tmp_path / "story.txt").write_text(WORDS)
    (tmp_path / "mine.toml").write_text(load_recipe("text").to_toml())
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`batch` removes no duplicates")
        for block in blocks:
            exec(compile(block, page, "exec"), {})


def snippets(language):
    """The code blocks of CONTRIBUTING.md in a language, without their indentation."""
    blocks = re.findall(r"```(\w*)\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    return [textwrap.dedent(block) for name, block in blocks if name == language]


def test_the_stage_of_contributing_works():
    snippet, *_ = snippets("python")
    ((name, stage),) = stages_of([Plugin("shouting", snippet)]).items()
    assert name == "shouting"
    assert name not in STAGES
    shouted = stage().check("HELLO WORLD")
    assert (shouted.rule, shouted.value) == ("upper_ratio", 1.0)
    assert stage().check("Hello world").kept
    assert stage().check("").kept


def test_the_build_of_contributing_shows_what_its_stage_drops(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "shouting.py").write_text(snippets("python")[0])
    (tmp_path / "shouting.toml").write_text(*snippets("toml"))
    (commands,) = [block for block in snippets("") if "shouting.toml" in block]
    for command in commands.splitlines():
        code, _, err = corpus(*command.split()[1:])
        assert code == 0, err
    assert re.search(r"shouting +-[1-9]\d* .* upper_ratio", err)


def test_the_verb_of_contributing_works(corpus, built, monkeypatch):
    _, verb, test = snippets("python")
    defined = {"__name__": "jobs.verbs.rules", "json": json}
    exec(compile(verb, "CONTRIBUTING.md", "exec"), defined)
    exec(compile(test, "CONTRIBUTING.md", "exec"), defined)
    assert "rules" not in cli.list_commands(click.Context(cli))
    monkeypatch.setitem(cli.commands, "rules", defined["rules_command"])
    defined["test_rules"](corpus, built)
    assert corpus("rules", built[1])[1].splitlines() == ["1 extract.body_bytes", "1 url.domain"]
    assert "Example: corpus rules out" in corpus("rules", "--help")[1]
