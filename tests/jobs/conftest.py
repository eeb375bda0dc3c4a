"""Fixtures for tests of the command line."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from tests.browsers import ARGUMENTS, CHROMIUM
from tests.commands import run_command
from tests.documents import write_documents
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
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            code = run_command("build", archive, "-o", folder / "out", "--json")
        assert code == 0, err.getvalue()
        done = subprocess.CompletedProcess("build", code, out.getvalue(), err.getvalue())
        builds[kind] = archive, folder / "out", done
    return builds[kind]


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other make small models slow on a busy machine. A test of a command may have set
    another number."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokens_folder(tmp_path_factory):
    from tests.tiny_tokens import make_tokens

    return make_tokens(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="session")
def base_folder(tokens_folder, tmp_path_factory):
    """A small base model, with a window of 96 tokens."""
    import torch

    from corpus.tokens.token_folder import open_tokens
    from jobs.model.pretraining import Pretraining
    from jobs.model.train import train
    from jobs.model.train_settings import Settings, TrainWorker

    settings = Settings(depth=1, window=96, batch=8, steps=20, lr=0.01, seed=0, precision="fp32", eval_every=1000,
                        eval_tokens=100)  # fmt: skip
    folder = tmp_path_factory.mktemp("base") / "base"
    torch.set_num_threads(1)
    train(folder, Pretraining(open_tokens(tokens_folder), settings), TrainWorker())
    return folder


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip("no Chromium at /usr/bin/chromium; `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS, timeout=0)
        yield opened
        opened.close()
