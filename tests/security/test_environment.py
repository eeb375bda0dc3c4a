"""A page worker's environment has only the credentials that it needs to read its archive."""

from __future__ import annotations

from corpus.sandbox.guard import Guard
from tests.corpus.sandbox.test_environment import secrets  # noqa: F401
from tests.corpus.sandbox.test_guard import SETTINGS, GuardedRun, crawl, recipe
from tests.stubs import FACTORY


def test_a_stage_in_a_page_worker_sees_no_credential(tmp_path, secrets) -> None:  # noqa: F811
    guard = Guard(recipe(), FACTORY, SETTINGS)
    done = GuardedRun(guard, crawl(tmp_path / "w.warc.gz", "environment", "a"))
    guard.close()
    assert done.ends == ["kept", "kept"]


def test_the_stage_would_see_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CORPUS_X", "canary")  # our own prefix, so it is passed
    guard = Guard(recipe(), FACTORY, SETTINGS)
    done = GuardedRun(guard, crawl(tmp_path / "w.warc.gz", "environment", "a"))
    guard.close()
    assert done.ends == ["survived", "kept"]


def test_a_worker_that_could_read_a_store_is_not_kept_for_local_archives(tmp_path, secrets) -> None:  # noqa: F811
    guard = Guard(recipe(), FACTORY, SETTINGS)
    path = crawl(tmp_path / "w.warc.gz", "a")
    remote = guard._ready_worker("s3://bucket/w.warc.gz")
    assert "AWS_SESSION_TOKEN" in remote.process.environment
    GuardedRun(guard, path)
    assert guard._worker is not remote
    assert "AWS_SESSION_TOKEN" not in guard._worker.process.environment
    guard.close()
