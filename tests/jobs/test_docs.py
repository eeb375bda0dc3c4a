"""Documents that say what the code does are checked against it."""

import re
from pathlib import Path

import click
import pytest

from benchmarks.quoted import DOCUMENTS, quoted
from filters import STAGES, recipe_names
from jobs.cli import cli
from jobs.show import catalog

ROOT = Path(__file__).parents[2]


def test_filters_md_is_generated():
    assert (ROOT / "docs" / "filters.md").read_text() == catalog.markdown(catalog.stages(STAGES)), "run `make docs`"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_figures_are_those_that_were_saved(path):
    assert path.read_text() == quoted(path.read_text()), "run `python -m benchmarks.quoted`"


def test_readme_names_every_stage_recipe_and_verb():
    readme = (ROOT / "README.md").read_text()
    verbs = [name for name, command in cli.commands.items() if not isinstance(command, click.Group)]
    for name in [*STAGES, *recipe_names()]:
        assert f"`{name}" in readme, name
    for verb in verbs:
        assert re.search(rf"(?:^|[`/ ])corpus {verb}\b", readme, re.MULTILINE), verb


def test_files_that_the_readme_names_exist():
    readme = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\(([\w./-]+)\)", readme):
        assert (ROOT / path).exists(), path


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    from tests.warcs import page, write_warc

    write_warc(tmp_path / "x.warc.gz", {"http://a.example/": page()})
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
