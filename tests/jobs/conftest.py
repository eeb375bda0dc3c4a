"""Fixtures for tests of the command line."""

import subprocess
import sys

import pytest

from jobs.cli import main
from tests.browsers import ARGUMENTS, CHROMIUM
from tests.documents import write_documents
from tests.warcs import page, write_warc


@pytest.fixture
def corpus(monkeypatch, capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["corpus", *map(str, args)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def builds():
    """What `built` has made, since a test with a parameter would make it once more."""
    return {}


@pytest.fixture(scope="module")
def built(request, builds, tmp_path_factory):
    """An archive of three pages, or a table of them, the folder of its run, and how the build ended."""
    kind = getattr(request, "param", "archives")
    if kind not in builds:
        folder = tmp_path_factory.mktemp("cli")
        pages = {"http://good.example/a": page(), "http://xxx-videos.example/b": page(), "http://good.example/c": b""}
        if kind == "archives":
            archive = write_warc(folder / "w.warc.gz", pages)
        else:
            rows = [{"html": body, "url": url, "id": f"{url[-1]}-1"} for url, body in pages.items()]
            archive = write_documents(folder / "w.parquet", rows)
        command = [sys.executable, "-m", "jobs.cli", "build", str(archive), "-o", str(folder / "out"), "--json"]
        builds[kind] = archive, folder / "out", subprocess.run(command, capture_output=True, text=True, check=True)
    return builds[kind]


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip("no Chromium at /usr/bin/chromium; `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS, timeout=0)
        yield opened
        opened.close()
