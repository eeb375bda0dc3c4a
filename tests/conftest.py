"""Fixtures that all tests share."""

from __future__ import annotations

import atexit
import functools
import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Threads that spin while they wait for each other make small models ten times as slow on a busy machine. torch reads
# this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Each of some hundred processes would compile our code again, which is a quarter of what it takes to start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A busy machine makes an example slow, not wrong. So no property test fails by the clock.
settings.register_profile("corpus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("corpus")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, None, None]:
    """Spare garbage collection the search through 5,000 tests and their libraries, which are there to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # nanobind looks for leaks when Python ends
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let the tests of a file run in one process, and all files that need Ray in the same process, which starts Ray
    once. (With pytest 9.2, marks of xdist 3.8 group nothing.)"""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # files with most tests first would end with long ones of few tests

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "ray" if needs_ray(config.rootpath / file) else file

    return ByFile(config, log)


LONGEST = [
    "jobs/build/test_build.py",  # and with it all that needs Ray
    "jobs/ablate/test_ablate.py",
    "filters/extract/test_precision_mode.py",
    "filters/pii/test_findings.py",
    "jobs/assistant/test_finetune.py",
    "faults/test_damaged_archives.py",
    "corpus/text/test_words.py",
    "jobs/build/test_choose.py",
    "jobs/browse/test_browser.py",
    "faults/test_simulated_cluster.py",
    "jobs/browse/test_server.py",
    "jobs/build/test_volumes.py",
    "security/test_page_text.py",
]
"""The files that take longest. They start first, so that no process is left alone with one at the end. Those that
compute come before those that wait for other programs, since Ray waits at the beginning too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {Path(__file__).parent / file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


@functools.cache
def needs_ray(file: Path) -> bool:
    return "pytest.mark.ray" in file.read_text()


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """Leave out `fsync`, which took more than half of the time of tests that write many files. It matters when the
    power fails, which no test tries: a process that is killed loses nothing that it wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda file: None)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data (WARCs, reference verdicts), which is no part of the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CORPUS_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CORPUS_SHARED_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def ray_engine():
    """A function that gives the session's one Ray engine, which stays up when a build closes it."""
    from jobs.runner.ray_engine import RayEngine

    class Kept(RayEngine):
        def close(self, wait: bool = True) -> None:
            pass

    engine = Kept(2)
    yield lambda: engine
    RayEngine.close(engine)


@pytest.fixture(scope="module")
def bucket_server(tmp_path_factory):
    """A real S3 server with an empty bucket."""
    from tests.s3 import s3_server

    with s3_server(tmp_path_factory.mktemp("s3")) as made:
        yield made


@pytest.fixture
def proxy(bucket_server, monkeypatch):
    """A proxy in front of that server, which makes faults. The environment names it as the place of the bucket."""
    from corpus.storage.store import _object_store
    from tests.s3 import fault_proxy

    with fault_proxy(bucket_server.port) as made:
        for name, value in bucket_server.environment(made.url).items():
            monkeypatch.setenv(name, value)
        _object_store.cache_clear()  # stores keep the endpoint that they were made with
        yield made
