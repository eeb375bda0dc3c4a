"""Fixtures for tests of the command line."""

import subprocess
import sys

import pytest

from tests.browsers import ARGUMENTS, CHROMIUM
from tests.commands import run_command
from tests.warcs import page, write_warc


@pytest.fixture
def corpus(capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def run(*words):
        code = run_command(*words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    archive = write_warc(
        folder / "w.warc.gz",
        {"http://good.example/a": page(), "http://xxx-videos.example/b": page(), "http://good.example/c": b""},
    )
    command = [sys.executable, "-m", "jobs.cli", "build", str(archive), "-o", str(folder / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return archive, folder / "out", done


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip("no Chromium at /usr/bin/chromium; `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS, timeout=0)
        yield opened
        opened.close()
