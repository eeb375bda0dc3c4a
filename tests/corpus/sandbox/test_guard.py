"""The guard: a page that hangs, crashes or uses up memory costs one row, and changes no other row of the unit."""

import errno
import gc
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from corpus.revise.portion_replay import PageReader
from corpus.sandbox.footprint import read_footprint
from corpus.sandbox.guard import Guard, GuardSettings, Overdue, WorkerError
from corpus.sandbox.page_process import _memory_file
from corpus.sandbox.protocol import JOB, write_frame
from corpus.sandbox.unit import Unit, UnitOptions
from corpus.tables.ledger import add_counts, no_counts
from corpus.warc.reader import read_warc
from tests.stubs import FACTORY, recipe_from_dict
from tests.warcs import page, write_warc

SETTINGS = GuardSettings(page_cpu_s=0.3, memory_bytes=600 << 20, alone=2)


def recipe(memory=""):
    stages = [{"stage": "hostile", "memory": memory}, {"stage": "paragraphs"}]
    return recipe_from_dict({"stages": stages}).canonical()


class GuardedRun:
    """The rows and counts of a unit that ran under a guard."""

    def __init__(self, guard, path):
        self.rows, self.texts, self.exceptions = [], [], []
        self.counts, self.others = no_counts(), {}
        size = path.stat().st_size
        guard.run(Unit(path.name, str(path), "x", "members", "gzip", "warc", 0, size), self.take)

    def take(self, batch):
        self.rows += batch.tables["ledger"].to_pylist()
        self.texts += batch.tables["corpus"]["text"].to_pylist()
        self.exceptions += batch.exceptions
        add_counts(self.counts, batch.counts)
        add_counts(self.others, batch.other_records)

    @property
    def ends(self):
        return [row["rule"] or row["outcome"] for row in self.rows]


@pytest.fixture
def guard():
    made = Guard(recipe(), FACTORY, SETTINGS)
    yield made
    made.close()


def crawl(path, *acts):
    return write_warc(path, {f"http://{number}.example/?{act}": page(act) for number, act in enumerate(acts)})


KINDS = {
    "loop": "timeout", "segfault": "crash", "abort": "crash", "exit": "crash", "allocate": "memory", "raise": "error",
}  # fmt: skip


def test_a_hostile_page_costs_one_row(guard, tmp_path):
    acts = ["segfault", "a", "b", *KINDS, "c"]
    done = GuardedRun(guard, crawl(tmp_path / "w.warc.gz", *acts))
    assert done.ends == [KINDS.get(act, "kept") for act in acts]
    failed = {"timeout": 1, "crash": 4, "memory": 1, "error": 1}
    assert done.counts == {"in": 10, "kept": 3, "dropped": {}, "failed": failed, "skipped": {}}
    assert done.others == {"request": 10}
    assert done.exceptions == []
    assert "secret" not in str(done.rows)


class Clock:
    """The clock of a guard. While the guard's worker is at a certain record, it is two hours later."""

    def __init__(self, guard, place, monkeypatch):
        self.guard, self.place = guard, place
        monkeypatch.setattr("corpus.sandbox.guard.time", self)

    def monotonic(self):
        worker = self.guard._worker
        notice = worker and worker._board.read()
        return time.monotonic() + (7200 if notice and notice.place == self.place else 0)

    def clock_gettime(self, clock):
        return time.clock_gettime(clock)


def place_of(path, act):
    return next(
        (item.offset, item.inner) for item in read_warc(path) if item.url.endswith(act) and item.kind == "response"
    )


def test_a_page_that_hangs_without_computing_costs_one_row(guard, tmp_path, monkeypatch):
    path = crawl(tmp_path / "w.warc.gz", "a", "sleep", "b")
    Clock(guard, place_of(path, "sleep"), monkeypatch)
    done = GuardedRun(guard, path)
    assert done.ends == ["kept", "timeout", "kept"]
    assert done.exceptions == []


@pytest.mark.parametrize(("act", "kind"), [("segfault", "crash"), ("allocate", "memory")])
def test_a_page_that_stops_a_batch_costs_one_row_and_no_other_page_is_blamed(tmp_path, act, kind):
    stages = [{"stage": "together"}, {"stage": "paragraphs"}]
    with closing(Guard(recipe_from_dict({"stages": stages}).canonical(), FACTORY, SETTINGS)) as guard:
        run = GuardedRun(guard, crawl(tmp_path / "x.warc.gz", "good", "good", act, "good"))
    assert run.ends == ["kept", "kept", kind, "kept"]
    assert run.exceptions == []


def test_a_batch_sees_all_pages_and_a_killed_worker_changes_no_verdict(tmp_path):
    path = crawl(tmp_path / "x.warc.gz", "good", "kill-once", "good")
    rows = {}
    for flag in ("there", "new"):
        (tmp_path / "there").touch()
        stages = [{"stage": "together", "memory": str(tmp_path / flag)}, {"stage": "paragraphs"}]
        with closing(Guard(recipe_from_dict({"stages": stages}).canonical(), FACTORY, SETTINGS)) as guard:
            run = GuardedRun(guard, path)
        assert run.ends == ["kept", "kept", "kept"]
        assert run.exceptions == []
        rows[flag] = [row["together.survived"] for row in run.rows]
    assert rows["there"] == rows["new"]


def test_a_page_that_needs_more_memory_gets_it_once_and_is_listed(guard, tmp_path):
    settings = GuardSettings(memory_bytes=200 << 20, alone=3)
    hungry = Guard(recipe(), FACTORY, settings)
    done = GuardedRun(hungry, crawl(tmp_path / "w.warc.gz", "a", "hungry", "b"))
    hungry.close()
    assert done.ends == ["kept", "kept", "kept"]
    assert [entry["stopped_by"] for entry in done.exceptions] == ["memory"]
    assert done.exceptions[0]["id"] == done.rows[1]["id"]


def test_a_worker_killed_from_outside_changes_nothing(tmp_path):
    path = crawl(tmp_path / "w.warc.gz", "a", "kill-once", "b")
    killed = Guard(recipe(str(tmp_path / "flag")), FACTORY, SETTINGS)
    done = GuardedRun(killed, path)
    killed.close()
    assert (tmp_path / "flag").exists()
    assert done.ends == ["kept", "kept", "kept"]
    assert done.exceptions == []


def test_a_worker_killed_between_units_is_replaced(guard, tmp_path):
    path = crawl(tmp_path / "w.warc.gz", "a", "b")
    first = GuardedRun(guard, path)
    process = guard._worker.process.popen
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert GuardedRun(guard, path).rows == first.rows


def test_the_worker_is_kept_from_unit_to_unit(guard, tmp_path):
    path = crawl(tmp_path / "w.warc.gz", "a")
    GuardedRun(guard, path)
    pid = guard._worker.process.popen.pid
    GuardedRun(guard, path)
    assert guard._worker.process.popen.pid == pid


def test_a_unit_past_its_time_is_ended_and_its_record_named(tmp_path, monkeypatch):
    """No limit of a page ends this unit. The error names the record at work, and so does a file that outlasts all
    processes."""
    patient = Guard(recipe(), FACTORY, GuardSettings(page_wall_s=1e9))
    path = crawl(tmp_path / "w.warc.gz", "a", "sleep", "b")
    unit = Unit(path.name, str(path), "x", "members", "gzip", "warc", 0, path.stat().st_size)
    Clock(patient, place_of(path, "sleep"), monkeypatch)
    with pytest.raises(Overdue, match=r"w\.warc\.gz takes too long") as overdue:
        patient.run(unit, lambda batch: None, UnitOptions(wall_s=3600, footprint=str(tmp_path / "footprint")))
    assert patient._worker is None
    assert overdue.value.place == read_footprint(str(tmp_path / "footprint")) == place_of(path, "sleep")


def test_a_worker_that_does_not_read_its_job_is_ended_too(tmp_path, monkeypatch):
    """The job is larger than a pipe."""
    hung = tmp_path / "hung"
    hung.write_text("#!/bin/sh\nexec sleep 600\n")
    hung.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hung))
    unit = Unit("w.warc.gz", "w.warc.gz", "x", "members", "gzip", "warc", 0, 10)
    with pytest.raises(Overdue):
        options = UnitOptions(only=[(n, 0) for n in range(20_000)], wall_s=0.2)
        Guard(recipe(), FACTORY).run(unit, lambda batch: None, options)


@pytest.mark.parametrize(("form", "size"), [("members", 1 << 40), ("plain", 64 << 10)])
def test_reading_pages_again_has_a_time_limit(monkeypatch, form, size):
    """The limit depends on the number of pages, or on the archive if it must be read as a whole."""
    settings, seen = GuardSettings(page_cpu_s=1, page_wall_s=10, alone=1), []

    def run(guard, unit, take, options):
        seen.append(options.wall_s)
        raise Overdue("late")

    monkeypatch.setattr(Guard, "run", run)
    unit = Unit("w.warc.gz", "w.warc.gz", "x", form, "gzip", "warc", 0, size)
    with pytest.raises(Overdue):
        PageReader(Guard(recipe(), FACTORY, settings), unit).read([(0, 0), (9, 0), (12, 0)], ["ledger"])
    assert seen == [2 * (10 + 3)]


def test_a_unit_has_time_for_pages_that_are_all_stopped_twice():
    settings = GuardSettings(page_cpu_s=2, page_wall_s=20, alone=3)
    pages = (8 << 20) // (32 << 10)
    assert settings.unit_wall_s(8 << 20) >= pages * 2 * (1 + 3)
    assert settings.unit_wall_s(0) >= 20 * (1 + 3)


def test_a_worker_that_cannot_start_says_why(tmp_path):
    broken = Guard(recipe(), "tests.no_such_module:make", SETTINGS)
    with pytest.raises(WorkerError, match="ModuleNotFoundError"):
        GuardedRun(broken, crawl(tmp_path / "w.warc.gz", "a"))


def test_a_worker_that_cannot_be_made_leaves_nothing_open(guard, tmp_path, monkeypatch):
    def start(*arguments, **how):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    path = crawl(tmp_path / "w.warc.gz", "a")
    monkeypatch.setattr("subprocess.Popen", start)
    gc.collect()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="memory"):
        GuardedRun(guard, path)
    assert os.listdir("/proc/self/fd") == before


def test_an_input_that_vanished_is_an_error(guard, tmp_path):
    path = crawl(tmp_path / "w.warc.gz", "a")
    unit = Unit(path.name, str(path), "x", "members", "gzip", "warc", 0, path.stat().st_size)
    path.unlink()
    with pytest.raises(WorkerError, match="FileNotFoundError"):
        guard.run(unit, lambda batch: None)


def test_a_worker_whose_supervisor_died_while_it_started_does_no_work():
    """The worker has a job already, and nobody would end it. So it must find out by itself."""
    job_read, job_write = os.pipe()
    batch_read, batch_write = os.pipe()
    write_frame(job_write, JOB, b"{}")
    supervisor = (
        "import os, subprocess, sys; fds = sys.argv[1:]; "
        "command = [sys.executable, '-m', 'corpus.sandbox.page_worker']; "
        "subprocess.Popen([*command, *fds, 'tests.stubs:none', str(os.getpid())], pass_fds=[*map(int, fds)], "
        "start_new_session=True); os.kill(os.getpid(), 9)"
    )
    with _memory_file() as board:
        fds = (job_read, batch_write, board.fileno())
        subprocess.run([sys.executable, "-c", supervisor, *map(str, fds)], pass_fds=fds, stderr=subprocess.DEVNULL)
        os.close(batch_write)
        assert os.read(batch_read, 1) == b""  # no answer, and nobody is left who could write one
    for fd in (job_read, job_write, batch_read):
        os.close(fd)
