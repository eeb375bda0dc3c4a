"""Progress for people: short lines, and none for phases that take no time."""

import io

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
    assert line.endswith(" records/s, 12,963 kept so far, 24,072 dropped")
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
    assert capsys.readouterr().err.startswith(
        f"pass {done + 1}/4, about 0 s left" if done == 0 else "pass 3/4, 1 still"
    )


@pytest.mark.parametrize(("done", "stopping", "left"), [
    (1, False, "about 0 s left"), (5, False, "about 0 s left"), (6, False, "2 still running"),
    (7, False, "1 still running"), (8, False, ""), (3, True, "stopping"), (8, True, ""),
])  # fmt: skip
def test_no_time_is_named_for_the_last_units_or_while_stopping(capsys, monkeypatch, done, stopping, left):
    monkeypatch.setattr(jobs.runner.progress, "_PLAIN_EVERY_S", -1.0)
    progress = Progress()
    progress.watch(lambda: stopping, workers=2)
    progress.start("pass", 8)
    for _ in range(done):
        progress.unit_done()
    assert capsys.readouterr().err.splitlines()[-1] == f"pass {done}/8{', ' if left else ''}{left}"


def test_a_live_line_fits_80_columns(monkeypatch):
    monkeypatch.setattr(jobs.runner.progress.Console, "is_terminal", True)
    progress = Progress()
    progress._console = jobs.runner.progress.Console(file=io.StringIO(), width=80, force_terminal=True)
    progress.start("pass", 1200)
    for _ in range(150):
        progress.unit_done({**COUNTS, "kept": 8_000})
    progress._started -= 60
    progress._bar.update(progress._task, facts=progress._facts(brief=True))
    progress._bar.refresh()
    progress.stop()
    last = progress._console.file.getvalue().rpartition("pass")[2]
    assert "150/1200" in last
    assert "kept so far" in last
