"""The environment of a page worker has only the credentials that its archive needs."""

from __future__ import annotations

import os
import sys

import pytest

from corpus.sandbox.environment import worker_environment

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


def test_a_worker_finds_our_modules_and_uses_one_thread(monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/ours", "/theirs"])
    seen = worker_environment("w.warc.gz")
    assert seen["PYTHONPATH"] == os.pathsep.join([os.getcwd(), "/ours", "/theirs"])
    assert seen["OMP_NUM_THREADS"] == "1"
