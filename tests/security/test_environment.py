"""What a page worker sees of the environment: no credential but those it needs to read its archive."""

from __future__ import annotations

import os

import pytest

from corpus.sandbox.environment import worker_environment
from corpus.sandbox.guard import Guard
from tests.corpus.sandbox.test_guard import SETTINGS, Taken, crawl, recipe
from tests.stubs import FACTORY

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "canary-aws",
    "AWS_SESSION_TOKEN": "canary-session",
    "GOOGLE_SERVICE_ACCOUNT_KEY": "canary-google",
    "AZURE_STORAGE_ACCOUNT_KEY": "canary-azure",
    "RAY_AUTH_TOKEN": "canary-ray",
    "RAY_AUTH_TOKEN_PATH": "/canary",
    "HF_TOKEN": "canary-hub",
    "https_proxy": "http://me:canary@proxy",
    "HTTP_PROXY": "http://me:canary@proxy",
    "MY_PASSWORD": "canary",
    "SSH_AUTH_SOCK": "/canary/agent",
}


@pytest.fixture
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def test_a_stage_in_a_page_worker_sees_no_credential(tmp_path, secrets) -> None:
    guard = Guard(recipe(), FACTORY, SETTINGS)
    taken = Taken(guard, crawl(tmp_path / "w.warc.gz", "environment", "a"))
    guard.close()
    assert taken.fates == ["kept", "kept"]


def test_the_stage_would_see_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CORPUS_X", "canary")  # ours, so it is passed
    guard = Guard(recipe(), FACTORY, SETTINGS)
    taken = Taken(guard, crawl(tmp_path / "w.warc.gz", "environment", "a"))
    guard.close()
    assert taken.fates == ["survived", "kept"]


@pytest.mark.parametrize(
    ("archive", "passed"),
    [
        ("/data/w.warc.gz", set()),
        ("https://host/w.warc.gz", {"https_proxy", "HTTP_PROXY"}),
        ("s3://bucket/w.warc.gz", {"https_proxy", "HTTP_PROXY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}),
        ("gs://bucket/w.warc.gz", {"https_proxy", "HTTP_PROXY", "GOOGLE_SERVICE_ACCOUNT_KEY"}),
        ("az://bucket/w.warc.gz", {"https_proxy", "HTTP_PROXY", "AZURE_STORAGE_ACCOUNT_KEY"}),
    ],
)
def test_credentials_go_only_where_the_archive_needs_them(archive, passed, secrets) -> None:
    seen = worker_environment(archive)
    assert {name for name in SECRETS if name in seen} == passed
    assert seen["PATH"] == os.environ["PATH"]


def test_a_worker_that_could_read_a_store_is_not_kept_for_local_archives(tmp_path, secrets) -> None:
    guard = Guard(recipe(), FACTORY, SETTINGS)
    path = crawl(tmp_path / "w.warc.gz", "a")
    remote = guard._ready_worker("s3://bucket/w.warc.gz")
    assert "AWS_SESSION_TOKEN" in remote.environment
    Taken(guard, path)
    assert guard._worker is not remote
    assert "AWS_SESSION_TOKEN" not in guard._worker.environment
    guard.close()
