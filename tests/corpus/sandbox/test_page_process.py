"""A page worker that was started early serves the first unit if it has the environment of this unit."""

from contextlib import closing

import pytest

from corpus.sandbox import page_process
from corpus.sandbox.environment import worker_environment
from corpus.sandbox.guard import Guard
from corpus.sandbox.unit import Unit
from tests.processes import state
from tests.stubs import FACTORY, recipe_from_dict
from tests.warcs import page, write_warc


@pytest.fixture
def early():
    page_process.start_early(FACTORY)
    (early,) = page_process._early
    yield early
    early.close()


def test_the_first_unit_is_read_by_the_early_process(early, tmp_path):
    path = write_warc(tmp_path / "w.warc.gz", {"http://a.example/": page("a", "a text")})
    unit = Unit(path.name, str(path), "x", "members", "gzip", "warc", 0, path.stat().st_size)
    rows = []
    with closing(Guard(recipe_from_dict({"stages": [{"stage": "paragraphs"}]}).canonical(), FACTORY)) as guard:
        guard.run(unit, lambda batch: rows.extend(batch.tables["ledger"].to_pylist()))
        assert guard._worker.process is early
        assert not page_process._early
    assert [row["outcome"] for row in rows] == ["kept"]


@pytest.mark.parametrize(
    ("factory", "archive"), [(FACTORY, "s3://bucket/w.warc.gz"), ("tests.stubs:other", "w.warc.gz")]
)
def test_an_early_process_with_another_environment_or_factory_is_ended(early, factory, archive, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "only for the bucket")
    with closing(page_process.page_process(factory, worker_environment(archive))) as process:
        assert process is not early
        assert state(early.popen.pid) == ""
        assert not page_process._early


def test_if_no_process_can_be_started_early_a_later_one_is_tried(monkeypatch):
    def none(*_, **__):
        raise OSError

    monkeypatch.setattr("subprocess.Popen", none)
    page_process.start_early(FACTORY)
    assert not page_process._early
