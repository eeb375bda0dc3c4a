"""Whole runs into a bucket of a real S3 server that errs, also with a driver that is killed: the bytes of a run into a
folder.

The server is SeaweedFS. A proxy in front of it answers 500, 503 and 409, breaks connections in mid-body, loses the
answers to requests that were carried out, and sends slowly.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys

import pytest

from corpus.storage.store import _object_store, open_store
from tests.jobs.build.test_build import tree
from tests.s3 import BUCKET, at_random

pytestmark = pytest.mark.slow
FAULTS = ("503", "500", "409", "lost", "reset", "slow")
KILLS = int(os.environ.get("CORPUS_BUCKET_KILLS", "12"))
RACES = 20


def corpus(*arguments, expect=0):
    """Run a verb, and return what it prints."""
    done = subprocess.run([sys.executable, "-m", "jobs.cli", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == expect, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """Two sample archives, and what builds and tokenizing make of them in folders."""
    folder = tmp_path_factory.mktemp("crawl")
    (folder / "in").mkdir()
    for seed in (1, 2):
        corpus("sample", "-o", folder / "in" / f"sample-{seed}.warc.gz", "--pages", 150, "--seed", seed)
    corpus("build", folder / "in", "-o", folder / "out", *OPTIONS)
    corpus("tokenizer", "train", folder / "out", "-o", folder / "tok", "--vocab-size", 600)
    corpus("tokenize", folder / "out", "-o", folder / "tokens", "--tokenizer", folder / "tok")
    corpus("export", folder / "out", "-o", folder / "shards", "--for", "datasets")
    return folder


OPTIONS = ("--unit-mb", "0.05", "--alarm-rate", "1")


def copied(url, folder):
    """All objects of a prefix, as files."""
    store = open_store(url)
    for key in store.keys(""):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(store.get(key))
    return folder


@pytest.fixture
def inputs(crawl, proxy):
    """The archives in the bucket, as the command line takes them."""
    store = open_store(f"s3://{BUCKET}/in")
    for path in (crawl / "in").iterdir():
        store.put_new(path.name, path.read_bytes())
    return f"s3://{BUCKET}/in/"


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(("--workers", "2"), id="alone"),
        pytest.param(("--ray", "--workers", "2"), id="ray", marks=pytest.mark.slow),
    ],
)
def test_a_run_through_faults(crawl, inputs, proxy, tmp_path, how, request, record_result):
    out = f"s3://{BUCKET}/faults-{request.node.callspec.id}"
    proxy.fault = at_random(5, 0.15, FAULTS)
    corpus("build", inputs, "-o", out, *how, *OPTIONS)
    made = dict(proxy.made)
    proxy.fault = lambda method, path: ""
    assert tree(copied(out, tmp_path / "copy")) == tree(crawl / "out")
    assert set(made) == set(FAULTS)
    record_result(
        f"bucket: a build while the server errs ({request.node.callspec.id})",
        tried=sum(made.values()),
        measured=", ".join(f"{name} {count}" for name, count in sorted(made.items())),
    )


def test_verbs_on_a_bucket(crawl, proxy, tmp_path):
    """Verbs that read a run, and verbs that make tokens and shards of it, through faults."""
    url, run = f"s3://{BUCKET}/verbs", open_store(f"s3://{BUCKET}/verbs/out")
    for path in (crawl / "out").rglob("*"):
        if path.is_file():
            run.put_new(path.relative_to(crawl / "out").as_posix(), path.read_bytes())
    proxy.fault = at_random(6, 0.1, FAULTS)
    out = f"{url}/out"
    assert "all as committed" in corpus("verify", out)
    page = corpus("diff", out, crawl / "out", "--json")
    assert page == corpus("diff", crawl / "out", crawl / "out", "--json")
    tuned = corpus("tune", out, "--set", "gopher_quality.words.min=30", "--json")
    assert tuned == corpus("tune", crawl / "out", "--set", "gopher_quality.words.min=30", "--json")
    corpus("report", out, "-o", tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert "-o" in corpus("report", out, expect=2)
    corpus("tokenize", out, "-o", f"{url}/tokens", "--tokenizer", crawl / "tok")
    corpus("export", out, "-o", f"{url}/shards", "--for", "datasets")
    corpus("remove", out, "--urls", crawl / "in", expect=2)
    proxy.fault = lambda method, path: ""
    assert tree(copied(f"{url}/tokens", tmp_path / "tokens")) == tree(crawl / "tokens")
    assert tree(copied(f"{url}/shards", tmp_path / "shards")) == tree(crawl / "shards")


def test_a_driver_that_is_killed(crawl, inputs, proxy, tmp_path, monkeypatch, record_result):
    """The driver is killed after some number of PUTs, and started again, until it comes to its end."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    drawn, kills, out = random.Random(8), 0, f"s3://{BUCKET}/killed"
    command = [sys.executable, "-m", "jobs.cli", "build", inputs, "-o", out, "--workers", "2", *OPTIONS]
    while True:
        driver = subprocess.Popen(command, stderr=subprocess.PIPE)
        left = drawn.randint(1, 16) if kills < KILLS else 1 << 60

        def count(method, path, driver=driver):
            nonlocal left
            left -= method == "PUT"
            if left == 0:
                driver.kill()
            return ""

        proxy.fault = count
        said = driver.communicate()[1].decode()
        if driver.returncode == 0:
            break
        assert driver.returncode == -9, said[-3000:]
        kills += 1
        assert left <= 0
    assert kills == KILLS
    assert tree(copied(out, tmp_path / "copy")) == tree(crawl / "out")
    assert list(temporary.glob("corpus-files-*")) == []  # the last run removed what the others left
    record_result("bucket: SIGKILL of the driver at some PUT", tried=kills)


def _race(place, number, barrier, won):
    store = open_store(place)
    for race in range(RACES):
        barrier.wait()
        if store.put_new(f"{race}.json", f"{number}".encode()):
            won.put((race, number))


def test_races_of_twelve_processes(bucket_server, monkeypatch, record_result):
    for name, value in bucket_server.environment().items():
        monkeypatch.setenv(name, value)
    _object_store.cache_clear()
    context = multiprocessing.get_context("spawn")
    barrier, won = context.Barrier(12), context.Queue()
    place = f"s3://{BUCKET}/races"
    writers = [context.Process(target=_race, args=(place, number, barrier, won)) for number in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    winners = dict(won.get() for _ in range(RACES))
    assert won.empty()
    assert winners == {race: int(open_store(place).get(f"{race}.json")) for race in range(RACES)}
    record_result("bucket: 12 processes write one key", tried=RACES, measured="one winner each time")


def test_two_runs_at_once(inputs, proxy):
    out = f"s3://{BUCKET}/twice"
    with open_store(out).only_run():
        said = corpus("build", inputs, "-o", out, *OPTIONS, expect=1)
        assert "Another run is writing to s3://" in said
        assert "is complete" not in said
    corpus("build", inputs, "-o", out, *OPTIONS)
