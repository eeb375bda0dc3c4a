"""Training with several workers."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from jobs.model.curve import read_metrics
from jobs.model.train_ray import _worker
from jobs.model.train_settings import TrainWorker
from tests.jobs.model.runs import SETTINGS, command, wait_for_step


@pytest.fixture
def worker(tokens_folder, tmp_path, monkeypatch):
    """Runs one of two workers, of which the other fails or not. Returns the flags that this worker sent."""
    monkeypatch.setitem(sys.modules, "ray.train.torch", SimpleNamespace(get_device=lambda: "cpu"))
    said = []

    def run(rank, tokens=tokens_folder, other_fails=False):
        context = SimpleNamespace(get_world_rank=lambda: rank, get_world_size=lambda: 2)
        monkeypatch.setitem(sys.modules, "ray.train", SimpleNamespace(get_context=lambda: context))

        def all_reduce(flag):
            said.append(bool(flag))
            flag += other_fails

        monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
        config = {"folder": str(tmp_path), "tokens": str(tokens)}
        _worker({**config, "settings": asdict(SETTINGS), "worker": asdict(TrainWorker())})
        return said

    return run


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_fails_says_why_and_lets_no_other_wait(worker, tmp_path, rank):
    assert worker(rank, tmp_path / "nothing") == [True]
    (left,) = tmp_path.glob(".failed*")
    number, what, _ = json.loads(left.read_text())
    assert (number, what) == (rank, f"{tmp_path / 'nothing'} holds no finished tokens.")


def test_where_another_worker_fails_this_one_ends_without_a_word(worker, tmp_path):
    assert worker(0, other_fails=True) == [False]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.ray
def test_two_ray_workers_equal_one_with_the_same_batch(tokens_folder, tmp_path):
    runs = {}
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        call = command(folder, tokens_folder, "--tokens", 64 * 20, "--workers", workers, "--json")
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        runs[workers] = read_metrics(folder)
        assert not [file for file in folder.iterdir() if file.name.startswith(".")]
    one, two = ([row["loss"] for row in runs[workers]] for workers in (1, 2))
    assert len(one) == 20
    np.testing.assert_allclose(two, one, rtol=1e-4)
    assert runs[2][-1]["bpb"] == pytest.approx(runs[1][-1]["bpb"], rel=1e-4)
    one, two = (load_file(tmp_path / str(workers) / "model.safetensors") for workers in (1, 2))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-4, atol=1e-3 * weight.abs().max().item())


@pytest.mark.slow
@pytest.mark.ray
def test_ray_workers_stop_together_and_go_on(tokens_folder, tmp_path):
    call = command(tmp_path / "m", tokens_folder, "--workers", 2, "--tokens", 64 * 300)
    process = subprocess.Popen(call, stderr=subprocess.PIPE, text=True)
    wait_for_step(tmp_path / "m", 3, process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143, said
    steps = len(read_metrics(tmp_path / "m"))
    assert steps < 300
    assert Path(tmp_path / "m" / "checkpoints" / f"step-{steps:08}").is_dir()
    subprocess.run(call, capture_output=True, check=True)
    assert [row["step"] for row in read_metrics(tmp_path / "m")] == list(range(1, 301))
