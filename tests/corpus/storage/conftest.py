"""Fixtures for tests of stores."""

import pytest

from corpus.net.client import Client, RetryTimes
from corpus.storage.bucket import ObjectStore
from corpus.storage.store import LocalStore
from tests.s3 import BUCKET
from tests.waiting import PATIENCE_S

QUICK = RetryTimes(first_wait_s=0.001, longest_wait_s=0.01, total_s=PATIENCE_S, unreached_s=PATIENCE_S)


@pytest.fixture
def bucket(proxy, request):
    """A store under a prefix of its own."""
    with Client(QUICK, rate=10_000) as client:
        yield ObjectStore(f"s3://{BUCKET}/{abs(hash(request.node.nodeid))}/run 1%20ä", client)


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path):
    return LocalStore(tmp_path / "out") if request.param == "folder" else request.getfixturevalue("bucket")


def scratch(store, content):
    path = store.scratch()
    path.write_bytes(content)
    return path
