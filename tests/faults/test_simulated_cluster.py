"""What goes wrong on a large cluster, simulated: the run ends with the same bytes as without."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from tests.faults.kills import ROOT
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.warcs import WORDS, page, write_warc


def make(folder, archives, pages):
    """Archives, and what a run on one machine makes of them."""
    rng = random.Random(5)
    for number in range(archives):
        texts = {
            f"http://{number}-{n}.example/": page(f"Page {n}", " ".join(rng.choices(WORDS.split(), k=60)))
            for n in range(pages)
        }
        write_warc(folder / "in" / f"{number:03}.warc.gz", texts)
    assert build_quietly(job([folder / "in"], folder / "whole", unit_bytes=3_000)).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    (folder / "in").mkdir()
    return make(folder, 12, 24)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    (folder / "in").mkdir()
    return make(folder, 60, 120)


def runs(folder, out, *faults):
    """Run the build in one process after the other. Return the exit codes, and what the last one counted."""
    command = [sys.executable, "-m", "tests.faults.simulated_run", str(folder / "in"), str(out)]
    done = subprocess.run([*command, *map(json.dumps, faults)], capture_output=True, text=True, cwd=ROOT)
    lines = done.stdout.splitlines()
    codes = [int(line) for line in lines if line.lstrip("-").isdecimal()]
    assert codes[-1:] == [0], done.stdout + done.stderr
    assert tree(out) == tree(folder / "whole")
    return codes, json.loads(lines[-2])


def test_nothing_goes_wrong(small, tmp_path):
    _, counted = runs(small, tmp_path / "out", {"seed": 1})
    assert (counted["tally"], counted["ended"]) == ({}, 0)


def test_tasks_fail_and_nodes_leave(small, tmp_path):
    _, counted = runs(small, tmp_path / "out", {"seed": 1, "failing": 0.05, "leaving": 2.0})
    assert {"crash", "out of memory", "node lost"} <= counted["tally"]["run_unit_task"].keys()


def test_slow_tasks_are_done_by_second_attempts(small, tmp_path):
    """Half of the first attempts do their work nevertheless, after the second ones."""
    _, counted = runs(small, tmp_path / "out", {"seed": 5, "slow": 0.05})
    assert 1 < counted["ended"] <= counted["slow"]
    assert counted["tally"] == {}


def test_a_store_that_is_silent_for_ten_minutes(small, tmp_path):
    _, counted = runs(small, tmp_path / "out", {"seed": 1, "silent": 130.0})
    assert counted["tally"]["run_unit_task"].keys() == {"output", "server down"}
    assert counted["seconds"] > 730


def all_at_once(folder, out, chance, share):
    """Ten kills of the driver while everything else goes wrong, too."""
    faults = {"failing": 0.01, "slow": 0.01, "leaving": 0.05, "silent": 130.0}
    kills = [{**faults, "seed": seed, "killed": chance.randint(1, share)} for seed in range(10)]
    codes, counted = runs(folder, out, *kills, {**faults, "seed": 99})
    assert codes == [-9] * 10 + [0]
    return counted


def test_the_driver_is_killed_ten_times_while_all_of_this_happens(small, tmp_path):
    all_at_once(small, tmp_path / "out", random.Random(3), 15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_same_with_many_units(large, tmp_path, seed, record_result):
    counted = all_at_once(large, tmp_path / "out", random.Random(seed), 400)
    record_result(
        "simulated cluster: 1% of tasks fail, 1% are slow, 5% of nodes leave an hour, silent store, driver killed",
        tried=10,
        measured=f"{counted['answers']} tasks in the last process",
    )
