"""Training: windows, bits per byte, checkpoints, exact resume, several workers, the command line."""

import json
import math
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from corpus.errors import ConfigError, CorpusError, InputError, IntegrityError, OutputError
from corpus.tokens.token_folder import open_tokens
from jobs.cli import main
from jobs.model import checkpoint
from jobs.model.curve import read_metrics
from jobs.model.evaluate import evaluate
from jobs.model.model import GPT
from jobs.model.train import backward, lr_share, train
from jobs.model.train_ray import _worker
from jobs.model.train_settings import DEFAULTS, PRESETS, Settings, Shape, TrainWorker, plan_steps
from jobs.model.windows import Windows, in_order, shuffled
from jobs.runner.folder import open_folder
from tests.bpe import small_tokenizer
from tests.tiny_tokens import Ids, in_memory, make_tokens

STEPS = 12
SETTINGS = Settings(
    depth=1, window=16, batch=4, steps=STEPS, lr=0.01, seed=0, precision="fp32", eval_every=5, eval_tokens=200
)
OFTEN = TrainWorker(checkpoint_s=0.0)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokens_folder(tmp_path_factory):
    return make_tokens(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def tokens(tokens_folder):
    return open_tokens(tokens_folder)


@pytest.fixture(scope="module")
def whole(tokens, tmp_path_factory):
    """The weights of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    train(folder, tokens, SETTINGS, TrainWorker())
    torch.set_num_threads(before)
    return folder


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


class After:
    """Asks to stop, or dies, before the step after so many."""

    def __init__(self, steps, error=None):
        self.left, self.error = steps, error

    def __call__(self):
        self.left -= 1
        if self.left < 0 and self.error:
            raise self.error
        return self.left < 0


# -- windows


@pytest.mark.parametrize("size", [*range(1, 20), 64, 65, 1000])
def test_the_shuffle_is_a_permutation(size):
    for epoch in range(3):
        assert sorted(shuffled(np.arange(size), size, 7, epoch)) == list(range(size))


def test_the_shuffle_differs_by_seed_and_epoch_and_not_by_what_is_asked():
    places = np.arange(1000)
    orders = [tuple(shuffled(places, 1000, seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len({*orders, tuple(places)}) == 10
    assert shuffled(np.array([5, 700]), 1000, 0, 0).tolist() == [orders[0][5], orders[0][700]]


def test_the_shuffle_leaves_no_neighbours_together():
    order = shuffled(np.arange(10_000), 10_000, 0, 0)
    together = (np.abs(np.diff(order)) == 1).mean()
    assert together < 0.002  # two of ten thousand are expected
    assert abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.05


def test_an_epoch_has_every_target_once():
    windows = Windows(Ids(range(103)), 10, seed=1)
    assert windows.count == 10
    ids, targets = windows.batch(0, 10)
    assert sorted(targets.flatten().tolist()) == list(range(1, 101))
    assert torch.equal(ids + 1, targets)


def test_a_batch_may_span_epochs_and_depends_on_nothing_else():
    windows = Windows(Ids(range(71)), 10, seed=1)
    all_at_once = windows.batch(0, 21)[0]
    assert torch.equal(torch.cat([windows.batch(first, 3)[0] for first in range(0, 21, 3)]), all_at_once)
    epochs = all_at_once.reshape(3, 70)
    assert all(torch.equal(epoch.sort().values, epochs[0].sort().values) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_one_window_is_enough_and_less_is_not():
    assert Windows(Ids(range(11)), 10, 0).count == 1
    with pytest.raises(InputError, match="There are 10 training tokens, fewer than one window of 10"):
        Windows(Ids(range(10)), 10, 0)


@pytest.mark.parametrize("limit", [5, 30, 33, 1000])
def test_validation_reads_every_target_once_up_to_the_limit(limit):
    read = [target for _, targets in in_order(Ids(range(60)), 10, limit, 2) for target in targets.flatten().tolist()]
    assert read == list(range(1, min(limit, 59) + 1))


# -- bits per byte


def uniform(window=16):
    """A model that thinks all tokens as likely."""
    model = GPT(Shape.of_depth(1, small_tokenizer().vocab_size, window))
    model.init_weights(0)
    model.head.weight.data.zero_()
    return model


def test_a_uniform_model_scores_the_logarithm_of_the_vocabulary(tokens):
    found = evaluate(uniform(), tokens.val, tokens.token_bytes, 10**9, TrainWorker())
    assert found["bits_per_token"] == pytest.approx(math.log2(tokens.vocab_size), rel=1e-6)
    ids = tokens.val.read(1, tokens.val.tokens - 1)
    text = tokens.token_bytes[ids]
    assert found["val_tokens"] == (text > 0).sum() < len(ids)
    assert found["bpb"] == pytest.approx(math.log2(tokens.vocab_size) * (text > 0).sum() / text.sum(), rel=1e-6)


def test_bytes_are_those_of_tokens_and_not_of_their_decoded_text(tokens):
    """Single bytes of a character decode to U+FFFD, which has three: a third of the bits would be lost."""
    raw = "日本の海。\xff".encode() + b"\xff\xfe"
    split = Ids([tokens.bos, *raw, tokens.bos, *raw])
    found = evaluate(uniform(), split, tokens.token_bytes, 10**9, TrainWorker())
    assert found["val_tokens"] == 2 * len(raw)
    assert found["bpb"] == pytest.approx(math.log2(tokens.vocab_size), rel=1e-6)


def test_what_the_loss_of_validation_is(tokens):
    model = uniform(8)
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    split = Ids([tokens.bos, 65, 66, 67, tokens.bos, 68, 69])
    found = evaluate(model, split, tokens.token_bytes, 10**9, TrainWorker())
    ids = torch.from_numpy(split.ids.astype(np.int64))
    nats = F.cross_entropy(model(ids[None, :-1])[0], ids[1:], reduction="none")
    kept = [0, 1, 2, 4, 5]  # not the separator
    assert found["val_loss"] == pytest.approx(nats[kept].mean().item(), rel=1e-5)


@pytest.mark.parametrize("ids", [[], [0], [0, 0, 0]])
def test_without_text_there_is_nothing_to_say(tokens, ids):
    split = Ids([tokens.bos if number == 0 else number for number in ids])
    assert evaluate(uniform(), split, tokens.token_bytes, 10**9, TrainWorker()) == {}


# -- the plan


def test_the_learning_rate_rises_stays_and_falls():
    shares = [lr_share(step, 200) for step in range(200)]
    assert all(0 < share <= 1 for share in shares)
    top = [step for step, share in enumerate(shares) if share == 1]
    assert top == list(range(top[0], top[-1] + 1))
    assert shares[: top[0] + 1] == sorted(shares[: top[0] + 1])
    assert shares[top[-1] :] == sorted(shares[top[-1] :], reverse=True)
    assert shares[-1] < 0.02
    assert all(lr_share(step, steps) > 0 for steps in (1, 2, 3) for step in range(steps))


def test_steps_follow_from_tokens_or_from_model_and_corpus():
    shape = Shape.of_depth(4, 4096, 256)
    assert plan_steps(shape, 16, 10**9, 4096 * 10) == 10
    assert plan_steps(shape, 16, 10**12, None) == 10 * shape.scaling_weights // 4096
    assert plan_steps(shape, 16, 100_000, None) == 4 * 100_000 // 4096
    assert plan_steps(shape, 16, 300, None) == 1


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_name_options(preset):
    assert {*PRESETS[preset]} <= {*DEFAULTS, "tokens"}


# -- exact resume


def test_the_same_command_gives_the_same_bytes(tokens, whole, tmp_path):
    train(tmp_path / "again", tokens, SETTINGS, TrainWorker())
    assert weights(tmp_path / "again") == weights(whole)
    train(tmp_path / "other", tokens, replace(SETTINGS, seed=1), TrainWorker())
    assert weights(tmp_path / "other") != weights(whole)


@pytest.mark.parametrize("steps", [1, 5, STEPS - 1])
def test_stopped_at_any_step_and_resumed_it_ends_with_the_same_weights(tokens, whole, tmp_path, steps):
    folder = tmp_path / "model"
    assert train(folder, tokens, SETTINGS, TrainWorker(), After(steps)) is None
    assert [row["step"] for row in read_metrics(folder)] == list(range(1, steps + 1))
    done = train(folder, tokens, SETTINGS, TrainWorker())
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
        train(folder, tokens, SETTINGS, place, After(steps, ZeroDivisionError()))
    train(folder, tokens, SETTINGS, place)
    assert weights(folder) == weights(whole)
    assert [row["step"] for row in read_metrics(folder)] == list(range(1, STEPS + 1))


def test_a_crash_while_a_checkpoint_is_written_changes_nothing(tokens, whole, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    real, calls = checkpoint.write_whole, []

    def dies(path, data):
        calls.append(path)
        if path.name == "state.json" and len(calls) > 6:
            raise KeyboardInterrupt
        real(path, data)

    monkeypatch.setattr(checkpoint, "write_whole", dies)
    with pytest.raises(KeyboardInterrupt):
        train(folder, tokens, SETTINGS, OFTEN)
    assert list((folder / "checkpoints").glob(".new-*"))
    monkeypatch.undo()
    train(folder, tokens, SETTINGS, OFTEN)
    assert weights(folder) == weights(whole)


def test_a_finished_model_is_not_trained_again(tokens, whole):
    before = weights(whole)
    assert train(whole, tokens, SETTINGS, TrainWorker(), After(0, AssertionError()))["step"] == STEPS
    assert weights(whole) == before
    assert not (whole / "checkpoints").exists()


def test_other_settings_are_refused_with_the_difference(tokens, whole):
    with pytest.raises(OutputError, match=r"begun with other settings \(lr: 0.01 → 0.02; steps: 12 → 13\)"):
        train(whole, tokens, replace(SETTINGS, lr=0.02, steps=13), TrainWorker())


def test_other_tokens_are_refused(tokens_folder, whole):
    other = in_memory(tokens_folder, info={"files": []})
    with pytest.raises(OutputError, match="tokens: "):
        train(whole, other, SETTINGS, TrainWorker())


def test_a_folder_of_something_else_is_left_alone(tokens, tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match="is not empty"):
        train(tmp_path, tokens, SETTINGS, TrainWorker())
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def damage(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_found_and_the_one_before_taken(tokens, whole, tmp_path, name):
    folder = tmp_path / "model"
    train(folder, tokens, SETTINGS, OFTEN, After(6))
    older, newest = sorted((folder / "checkpoints").iterdir())
    assert (older.name, newest.name) == ("step-00000005", "step-00000006")
    damage(newest / name)
    train(folder, tokens, SETTINGS, OFTEN)
    assert weights(folder) == weights(whole)


def test_where_all_checkpoints_are_damaged_it_says_so(tokens, tmp_path):
    folder = tmp_path / "model"
    train(folder, tokens, SETTINGS, OFTEN, After(6))
    for place in (folder / "checkpoints").iterdir():
        damage(place / "model.safetensors")
    with pytest.raises(IntegrityError, match=r"step-00000006/model\.safetensors is missing or damaged"):
        train(folder, tokens, SETTINGS, OFTEN)


def test_a_checkpoint_holds_weights_and_moments_and_nothing_that_runs(tokens, tmp_path):
    folder = tmp_path / "model"
    train(folder, tokens, SETTINGS, TrainWorker(), After(3))
    (place,) = (folder / "checkpoints").iterdir()
    assert sorted(file.name for file in place.iterdir()) == ["model.safetensors", "optimizer.safetensors", "state.json"]
    moments = load_file(place / "optimizer.safetensors")
    assert moments["adamw/head.weight/exp_avg"].abs().sum() > 0
    assert moments["muon/blocks.0.up.weight/momentum_buffer"].abs().sum() > 0


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize(("fused", "device"), [(True, "meta"), (False, "cpu")])
def test_moments_are_put_where_the_optimizer_wants_them(tokens, tmp_path, fused, device):
    """A device that is not the CPU, as CUDA is: a fused AdamW wants its count of steps there."""
    train(tmp_path / "m", tokens, SETTINGS, TrainWorker(), After(3))
    model = GPT(Shape.of_depth(1, tokens.vocab_size, 16)).to("meta")
    adamw = torch.optim.AdamW([model.embed.weight, model.head.weight], fused=fused)
    muon = torch.optim.Muon(model.blocks.parameters())
    checkpoint.resume(tmp_path / "m", model, {"muon": muon, "adamw": adamw})
    for weight in (model.embed.weight, model.head.weight):
        devices = {key: value.device.type for key, value in adamw.state[weight].items()}
        assert devices == {"step": device, "exp_avg": "meta", "exp_avg_sq": "meta"}


def test_killed_before_its_checkpoints_went_a_finished_model_loses_them(tokens, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.shutil, "rmtree", lambda *args, **options: None)
    train(tmp_path / "m", tokens, SETTINGS, TrainWorker())
    assert (tmp_path / "m" / "checkpoints").exists()
    monkeypatch.undo()
    assert train(tmp_path / "m", tokens, SETTINGS, TrainWorker())["step"] == STEPS
    assert not (tmp_path / "m" / "checkpoints").exists()


# -- the rest of the loop


def test_it_learns(tokens, tmp_path):
    done = train(tmp_path / "m", tokens, replace(SETTINGS, steps=50), TrainWorker())
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
    loss = backward(model, ids, targets, TrainWorker(micro_batch=some))
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    expected = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-3, atol=1e-5 * weight.grad.abs().max().item())


def test_without_validation_text_it_trains(tokens_folder, tmp_path):
    done = train(tmp_path / "m", in_memory(tokens_folder, val=Ids([])), SETTINGS, TrainWorker())
    assert "bpb" not in done
    assert done["step"] == STEPS


def test_a_loss_that_is_no_number_ends_the_run(tokens, tmp_path):
    with pytest.raises(CorpusError, match=r"The loss is nan at step .*smaller --lr"):
        train(tmp_path / "m", tokens, replace(SETTINGS, lr=1e38), TrainWorker())


def test_a_validation_loss_that_is_no_number_ends_the_run_each_time(tokens, tmp_path):
    for _ in range(2):
        with pytest.raises(CorpusError, match=r"The loss is nan at step 1\. .*smaller --lr"):
            train(tmp_path / "m", tokens, replace(SETTINGS, lr=1e20, steps=1), TrainWorker())
    assert not (tmp_path / "m" / "state.json").exists()


def test_workers_must_share_a_batch_evenly(tokens, tmp_path):
    with pytest.raises(ConfigError, match="can't be shared by 3 workers"):
        train(tmp_path / "m", tokens, SETTINGS, TrainWorker(workers=3))


# -- the command line


def command(folder, tokens_folder, *more):
    options = ("--depth", 1, "--window", 16, "--batch", 4, "--tokens", 64 * 40, "--threads", 1, "--eval-every", 20)
    words = ["train", tokens_folder, "-o", folder, *options, *more]
    return [sys.executable, "-m", "jobs.cli", *map(str, words)]


def wait_for_step(folder, step, process):
    while len(read_metrics(folder)) < step:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.001)  # only to leave the CPU to the other process


def test_the_command_line_trains_and_says_what_came_out(tokens_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["corpus", *command(tmp_path / "m", tokens_folder, "--json")[3:]])
    main()
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert (facts["step"], facts["tokens"]) == (40, 2560)
    assert facts["bpb"] > 0
    assert "step 40/40" in said.err
    assert "tokens/s" in said.err


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
    _, said = process.communicate(timeout=60)
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


def test_nothing_heavy_is_imported_for_help():
    code = "import sys, jobs.cli; print(sorted({'torch', 'ray', 'matplotlib', 'safetensors'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# -- several workers


@pytest.fixture
def worker(tokens_folder, tmp_path, monkeypatch):
    """Runs one of two workers, of which the other said at each question whether it fails; gives what this one said."""
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
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    steps = len(read_metrics(tmp_path / "m"))
    assert steps < 300
    assert Path(tmp_path / "m" / "checkpoints" / f"step-{steps:08}").is_dir()
    subprocess.run(call, capture_output=True, check=True)
    assert [row["step"] for row in read_metrics(tmp_path / "m")] == list(range(1, 301))
