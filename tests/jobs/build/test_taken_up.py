"""Runs that ended too early, and are taken up by a command with other units or other options."""

import pytest

import jobs.build.build
from corpus.run import open_run
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.warcs import WORDS, page, write_warc

STAGES = {"stages": [{"stage": "paragraphs"}, {"stage": "minhash"}]}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Two archives whose pages all have the same text, except for a few."""
    folder = tmp_path_factory.mktemp("archives")
    for name in "ab":
        pages = {f"http://{name}.example/{number}": page("One", WORDS) for number in range(30)}
        pages |= {f"http://{name}.example/other{n}": page("Other", f"Only number {n} says {name * 9}.") for n in "12"}
        write_warc(folder / f"{name}.warc.gz", pages)
    return folder


@pytest.fixture(scope="module")
def whole(archives, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    assert build_quietly(job([archives], out, STAGES, alarm_rate=1.0)).exit_code == 0
    return out


@pytest.mark.slow
def test_an_alarm_and_then_other_units(archives, whole, tmp_path):
    """The phases of dedup removed files after use, and the other units need them."""
    assert build_quietly(job([archives], tmp_path / "out", STAGES)).exit_code == 4
    again = job([archives], tmp_path / "out", STAGES, alarm_rate=1.0, unit_bytes=1_000)
    assert build_quietly(again).exit_code == 0
    assert tree(tmp_path / "out") == tree(whole)


def test_a_kill_before_the_end_and_then_no_index(archives, tmp_path, monkeypatch):
    def killed(*_args):
        raise KeyboardInterrupt

    options = {"alarm_rate": 1.0, "unit_bytes": 1 << 30}
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(jobs.build.build, "finish", killed)
        build_quietly(job([archives], tmp_path / "out", STAGES, **options))
    assert (tmp_path / "out" / "index").exists()
    assert build_quietly(job([archives], tmp_path / "out", STAGES, index=False, **options)).exit_code == 0
    open_run(tmp_path / "out").verify()
    assert not (tmp_path / "out" / "index").exists()
