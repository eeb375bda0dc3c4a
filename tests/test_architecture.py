"""docs/architecture.md names every room, and the linter holds their order."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONGEST

ROOT = Path(__file__).parents[1]


def rooms():
    for package in ("corpus", "filters", "jobs"):
        for folder in sorted((ROOT / package).iterdir()):
            if (folder / "__init__.py").exists():
                yield f"{package}/{folder.name}"


@pytest.mark.parametrize("room", list(rooms()))
def test_every_room_has_its_sentence(room):
    package, name = room.split("/")
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text[text.index(f"`{package}/`") :]
    assert f"`{name}/`" in section, room
    assert (ROOT / room / "__init__.py").read_text().strip(), f"{room}/__init__.py has no sentence"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (None, ""),
        ("corpus/text/words.py", "import jobs.cli\n"),
        ("corpus/storage/store.py", "from corpus.run import open_run\n"),
        ("filters/gopher.py", "import jobs.runner.engine\n"),
        ("jobs/runner/retries.py", "import jobs.build.build\n"),
        ("corpus/outcome.py", "import corpus.stage\n"),
    ],
)
def test_an_upward_import_fails(tmp_path, file, line):
    for package in ("corpus", "filters", "jobs", "native"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if file:
        with open(tmp_path / file, "a") as source:
            source.write(line)
    lint = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))",
    ]
    done = subprocess.run(
        lint, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": ""}, capture_output=True, text=True
    )
    assert (done.returncode == 0) == (file is None), done.stdout


def test_the_test_files_that_start_first_exist():
    assert [file for file in LONGEST if not (ROOT / "tests" / file).exists()] == []
