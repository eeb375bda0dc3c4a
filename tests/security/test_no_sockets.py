"""Pages are judged without sockets: the verdicts are the same if no socket can be opened."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.run import open_run
from filters import load_recipe
from jobs.build.build import Job, build
from jobs.runner.progress import Progress
from jobs.sample.crawl import write_sample
from tests.engines import InProcess
from tests.jobs.build.test_build import tree
from tests.security.closed import FACTORY

ROOT = Path(__file__).resolve().parents[2]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("tried", ["socket.socket()", "socket.create_connection(('127.0.0.1', 9))",
                                   "socket.getaddrinfo('x.example', 80)"])  # fmt: skip
def test_python_is_closed(tried):
    done = run(f"import socket; from tests.security import closed; closed.close_python(); {tried}")
    assert "a page worker tried socket." in done.stderr


def test_native_code_is_closed():
    done = run(
        "import ctypes, sys; from tests.security import closed\n"
        "if not closed.close_native(): sys.exit(3)\n"
        "open('/dev/null').close(); print('alive', flush=True); ctypes.CDLL(None).socket(2, 1, 0)"
    )
    if done.returncode == 3:
        pytest.skip("no seccomp here")
    assert done.stdout == "alive\n"
    assert done.returncode == -signal.SIGSYS


def test_the_sample_crawl_is_judged_without_sockets(tmp_path):
    write_sample(tmp_path / "sample.warc.gz", pages=60)
    for name, factory in (("open", "filters:recipe_from_dict"), ("closed", FACTORY)):
        job = Job(load_recipe("default"), [str(tmp_path / "sample.warc.gz")], tmp_path / name, factory=factory)
        assert build(job, lambda: InProcess(), Progress(quiet=True)).exit_code == 0
    records = open_run(tmp_path / "closed").info["records"]
    assert records["kept"] > 5
    assert set(records["failed"]) <= {"damaged"}
    assert tree(tmp_path / "closed") == tree(tmp_path / "open")
