"""The run that the page writes is the run that the command writes, whatever happens to the server."""

import os
import shutil
import signal
import subprocess
import sys

import httpx2
import pytest

from corpus.storage.commits import sha256_of
from jobs.browse.commands import Started, shown
from jobs.web.requests import BadRequest
from tests.browsers import Opened
from tests.waiting import wait_until

SETTINGS = ["gopher_quality.words.min=30", "c4.sentences.min=3", "minhash.similarity.below=0.9"]


def files(folder):
    """The digests of all files of a run but its timings."""
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "timings.json"}  # fmt: skip


def test_a_command_is_shown_as_a_person_types_it():
    words = ["tune", "a run", "--set", 'door.label.one_of=["en", "de"]', "--write", "out"]
    assert shown(words) == "corpus tune 'a run' --set 'door.label.one_of=[\"en\", \"de\"]' --write out"


def test_a_command_that_fails_says_why_and_only_one_runs(tmp_path):
    started = Started()
    assert started.state()["code"] is None
    started.start(["tune", str(tmp_path), "--set", "x.y=1", "--write", "z"], "z")
    with pytest.raises(BadRequest, match="z is still being made"):
        started.start(["stages"], "y")
    wait_until(lambda: started.state()["code"] is not None)
    assert started.state()["code"] == 1
    wait_until(lambda: any("holds no finished run" in line for line in started.state()["lines"]))


@pytest.fixture(scope="module")
def expected(run_folder, tmp_path_factory):
    """The run that the command line writes."""
    out = tmp_path_factory.mktemp("expected") / "out"
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, "-m", "jobs.cli", "tune", run_folder, *settings, "--write", out]
    subprocess.run(command, check=True, capture_output=True)
    return files(out)


@pytest.mark.slow
def test_the_page_writes_the_same_run(browser, browsed, expected, tmp_path):
    out = tmp_path / "written"
    with Opened(browser, browsed.url) as opened:
        page = opened.page
        page.wait_for_selector("#limits[data-decided='']")
        for setting in SETTINGS:
            path, _, value = setting.partition("=")
            measure, _, bound = path.rpartition(".")
            page.fill(f"input[aria-label='{measure} {bound}']", value)
            page.keyboard.press("Tab")
        page.wait_for_selector(f"#limits[data-decided='{' '.join(SETTINGS)}']")
        page.fill("#setting-name", str(out))
        page.click("#write")
        page.wait_for_selector("#writing-said:has-text('is written.')")
        assert page.input_value("#setting-name") == str(out)
        assert page.evaluate("document.getElementById('writing-bar').position") == 1
        assert opened.noted == []
    assert browsed.served.desk().writing.state()["units"]
    assert files(out) == expected


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_server_that_ends_while_it_writes(run_folder, expected, tmp_path, sign):
    """The command goes on without its server, or is interrupted with it. Then the same command completes the run."""
    out = tmp_path / "written"
    serve = [sys.executable, "-m", "jobs.cli", "serve", run_folder, "--port", "0", "--labels", tmp_path / "labels"]
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True, start_new_session=True) as server:
        url = next(word for line in server.stderr for word in line.split() if word.startswith("http"))
        httpx2.post(f"{url}write", json={"set": SETTINGS, "out": str(out)}, timeout=None)
        wait_until(lambda: (out / ".work" / "plan.json").exists() or (out / "run.json").exists())
        if sign == signal.SIGKILL:
            server.kill()
        else:
            os.killpg(server.pid, sign)
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, "-m", "jobs.cli", "tune", run_folder, *settings, "--write", out]

    def written():
        return subprocess.run(command, capture_output=True, text=True).returncode == 0

    wait_until(written)  # "Another run is writing" as long as the first command goes on
    assert files(out) == expected
    shutil.rmtree(out)
