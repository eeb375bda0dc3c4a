"""Progress for people: short lines, and none for phases that take no time."""

import pytest

import jobs.runner.progress
from jobs.runner.progress import Progress

COUNTS = {"in": 12_345, "kept": 4_321, "dropped": {"url": {"domain": 24}, "screen": {"wanted_score": 8_000}}}


def work(progress, phase, units, **how):
    progress.start(phase, units, **how)
    for _ in range(units):
        progress.unit_done(COUNTS)
    progress.end()


def test_a_pass_ends_with_a_line_of_80_columns(capsys):
    work(Progress(), "pass", 3)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pass 3/3, ")
    assert line.endswith("/s, 12,963 kept, 24,072 dropped")
    assert len(line) < 80


def test_a_brief_phase_leaves_a_line_only_if_it_took_long(capsys, monkeypatch):
    work(Progress(), "minhash bands", 3, brief=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(jobs.runner.progress, "_PLAIN_EVERY_S", -1.0)
    work(Progress(), "minhash bands", 3, brief=True)
    assert "minhash bands 3/3" in capsys.readouterr().err


@pytest.mark.parametrize("done", [0, 2])
def test_the_time_left_counts_only_what_this_run_did(capsys, monkeypatch, done):
    monkeypatch.setattr(jobs.runner.progress, "_PLAIN_EVERY_S", -1.0)
    progress = Progress()
    progress.start("pass", 4, done=done)
    progress.unit_done()
    assert capsys.readouterr().err.startswith(f"pass {done + 1}/4, 0 s left")
