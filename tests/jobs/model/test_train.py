"""Training: exact resume, the loop, the command line."""

import json
import math
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from corpus.errors import ConfigError, CorpusError
from jobs.cli import main
from jobs.model.curve import read_metrics
from jobs.model.pretraining import Pretraining
from jobs.model.train import Batch, backward, lr_share, train
from jobs.model.train_settings import TrainWorker
from jobs.model.windows import Windows
from jobs.runner.folder import open_folder
from tests.jobs.model.runs import OFTEN, SETTINGS, STEPS, After, command, uniform, wait_for_step, weights
from tests.tiny_tokens import Ids, in_memory


def test_the_learning_rate_rises_stays_and_falls():
    shares = [lr_share(step, 200) for step in range(200)]
    assert all(0 < share <= 1 for share in shares)
    top = [step for step, share in enumerate(shares) if share == 1]
    assert top == list(range(top[0], top[-1] + 1))
    assert shares[: top[0] + 1] == sorted(shares[: top[0] + 1])
    assert shares[top[-1] :] == sorted(shares[top[-1] :], reverse=True)
    assert shares[-1] < 0.02
    assert all(lr_share(step, steps) > 0 for steps in (1, 2, 3) for step in range(steps))


def test_the_same_command_gives_the_same_bytes(tokens, whole, tmp_path):
    train(tmp_path / "again", Pretraining(tokens, SETTINGS), TrainWorker())
    assert weights(tmp_path / "again") == weights(whole)
    train(tmp_path / "other", Pretraining(tokens, replace(SETTINGS, seed=1)), TrainWorker())
    assert weights(tmp_path / "other") != weights(whole)


@pytest.mark.parametrize("steps", [1, 5, STEPS - 1])
def test_stopped_at_any_step_and_resumed_it_ends_with_the_same_weights(tokens, whole, tmp_path, steps):
    folder = tmp_path / "model"
    assert train(folder, Pretraining(tokens, SETTINGS), TrainWorker(), After(steps)) is None
    assert [row["step"] for row in read_metrics(folder)] == list(range(1, steps + 1))
    done = train(folder, Pretraining(tokens, SETTINGS), TrainWorker())
    assert weights(folder) == weights(whole)
    assert done["step"] == STEPS
    keys = ("step", "loss", "lr", "bpb")
    rows = [[[row.get(key) for key in keys] for row in read_metrics(place)] for place in (folder, whole)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("steps", [0, 3, 7])
@pytest.mark.parametrize("place", [TrainWorker(), OFTEN], ids=["no checkpoint yet", "one a step"])
def test_a_crash_between_steps_changes_nothing(tokens, whole, tmp_path, steps, place):
    folder = tmp_path / "model"
    with pytest.raises(ZeroDivisionError):
        train(folder, Pretraining(tokens, SETTINGS), place, After(steps, ZeroDivisionError()))
    train(folder, Pretraining(tokens, SETTINGS), place)
    assert weights(folder) == weights(whole)
    assert [row["step"] for row in read_metrics(folder)] == list(range(1, STEPS + 1))


def test_it_learns(tokens, tmp_path):
    done = train(tmp_path / "m", Pretraining(tokens, replace(SETTINGS, steps=50)), TrainWorker())
    first = read_metrics(tmp_path / "m")[0]["loss"]
    assert first == pytest.approx(math.log(tokens.vocab_size), abs=0.1)
    assert done["val_loss"] < 0.6 * first


def test_the_curve_is_a_picture(whole):
    assert ET.parse(whole / "loss.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("some", [1, 2, 3, 9])
def test_windows_some_at_a_time_give_the_gradient_of_all(tokens, some):
    model = uniform()
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    ids, targets = Windows(tokens.train, 16, 0).batch(0, 4)
    loss = backward(model, Batch(ids, targets, torch.full(ids.shape, 1 / 64)), TrainWorker(micro_batch=some))
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    expected = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-3, atol=1e-5 * weight.grad.abs().max().item())


def test_without_validation_text_it_trains(tokens_folder, tmp_path):
    done = train(tmp_path / "m", Pretraining(in_memory(tokens_folder, val=Ids([])), SETTINGS), TrainWorker())
    assert "bpb" not in done
    assert done["step"] == STEPS


def test_a_loss_that_is_no_number_ends_the_run(tokens, tmp_path):
    with pytest.raises(CorpusError, match=r"The loss is nan at step .*smaller --lr"):
        train(tmp_path / "m", Pretraining(tokens, replace(SETTINGS, lr=1e37)), TrainWorker())


def test_a_validation_loss_that_is_no_number_ends_the_run_each_time(tokens, tmp_path):
    for _ in range(2):
        with pytest.raises(CorpusError, match=r"The loss is nan at step 1\. .*smaller --lr"):
            train(tmp_path / "m", Pretraining(tokens, replace(SETTINGS, lr=1e20, steps=1)), TrainWorker())
    assert not (tmp_path / "m" / "state.json").exists()


def test_workers_must_share_a_batch_evenly(tokens, tmp_path):
    with pytest.raises(ConfigError, match="can't be shared by 3 workers"):
        train(tmp_path / "m", Pretraining(tokens, SETTINGS), TrainWorker(workers=3))


def test_the_command_line_trains_and_says_what_came_out(tokens_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["corpus", *command(tmp_path / "m", tokens_folder, "--json")[3:]])
    main()
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert (facts["step"], facts["tokens"]) == (40, 2560)
    assert facts["bpb"] > 0
    assert "step 40/40" in said.err
    assert "tokens/s" in said.err


@pytest.mark.parametrize(
    ("options", "environment", "address"),
    [
        (["--workers", 2], {}, None),
        (["--address", "head:6379"], {"RAY_ADDRESS": "other:6379"}, "head:6379"),
        ([], {"RAY_ADDRESS": "head:6379"}, "head:6379"),
    ],
)
def test_where_it_runs_on_ray(tokens_folder, tmp_path, monkeypatch, options, environment, address):
    made = []

    def train_on_ray(folder, tokens_folder, settings, worker, stop, progress, *cluster):
        made.append((worker.workers, worker.threads, *cluster))
        return {"tokens": 1, "loss": 1.0}

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("jobs.verbs.models.usable_cpus", lambda: 6)
    monkeypatch.setattr("jobs.model.train_ray.train_on_ray", train_on_ray)
    words = ["corpus", "train", tokens_folder, "-o", tmp_path / "m", "--depth", 1, "--window", 16, *options]
    monkeypatch.setattr(sys, "argv", [*map(str, words)])
    main()
    workers = 2 if "--workers" in options else 1
    assert made == [(workers, 6 // workers, address, False)]


def test_a_folder_that_another_run_writes_to_is_refused(tokens_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["corpus", *command(tmp_path, tokens_folder)[3:]])
    with open_folder(tmp_path).only_run(), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "Another run is writing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_a_signal_leaves_a_checkpoint(tokens_folder, tmp_path, number, code):
    call = command(tmp_path / "m", tokens_folder, "--tokens", 64 * 100_000)
    process = subprocess.Popen(call, stderr=subprocess.PIPE, text=True)
    wait_for_step(tmp_path / "m", 2, process)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == code, said
    assert "Run the same command again" in said
    (place,) = (tmp_path / "m" / "checkpoints").iterdir()
    assert json.loads((place / "state.json").read_text())["step"] == read_metrics(tmp_path / "m")[-1]["step"]


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 7, 19, 20, 33, 39])
def test_killed_at_any_step_and_run_again_it_ends_with_the_same_weights(tokens_folder, tmp_path, step):
    subprocess.run(command(tmp_path / "whole", tokens_folder), capture_output=True, check=True)
    call = command(tmp_path / "m", tokens_folder, "--checkpoint-seconds", 0)
    process = subprocess.Popen(call, stderr=subprocess.PIPE, text=True)
    wait_for_step(tmp_path / "m", step, process)
    process.kill()
    process.communicate()
    subprocess.run(call, capture_output=True, check=True)
    assert weights(tmp_path / "m") == weights(tmp_path / "whole")
    assert [row["step"] for row in read_metrics(tmp_path / "m")] == list(range(1, 41))


HELP = """
import sys
from jobs.cli import cli
cli(["--help"], standalone_mode=False)
assert "jobs.verbs.models" in sys.modules
sys.exit(len({"torch", "ray", "matplotlib", "safetensors"} & {*sys.modules}))
"""


def test_nothing_heavy_is_imported_for_help():
    assert subprocess.run([sys.executable, "-c", HELP], stdout=subprocess.DEVNULL).returncode == 0
