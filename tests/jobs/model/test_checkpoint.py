"""Checkpoints: bound, complete, checked, and resumed."""

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from corpus.digests import digest
from corpus.errors import CorpusError, InputError, IntegrityError, OutputError
from jobs.model import checkpoint
from jobs.model.curve import read_metrics
from jobs.model.model import GPT
from jobs.model.muon import Muon
from jobs.model.pretraining import Pretraining
from jobs.model.train import train
from jobs.model.train_settings import Shape, TrainWorker
from tests.jobs.model.runs import OFTEN, SETTINGS, STEPS, After, weights
from tests.tiny_tokens import in_memory


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
        train(folder, Pretraining(tokens, SETTINGS), OFTEN)
    assert list((folder / "checkpoints").glob(".new-*"))
    monkeypatch.undo()
    train(folder, Pretraining(tokens, SETTINGS), OFTEN)
    assert weights(folder) == weights(whole)


def test_what_a_kill_left_of_a_file_is_in_nobodys_way(tokens, tmp_path):
    """A first process was killed while it bound the folder, and a second one while it wrote its state."""
    folder = tmp_path / "model"
    folder.mkdir()
    left = [folder / f".new-{name}-{'0' * 32}" for name in ("settings.json", "state.json")]
    left[0].write_text("{")
    train(folder, Pretraining(tokens, SETTINGS), TrainWorker(), After(3))
    left[1].write_text("{")
    assert train(folder, Pretraining(tokens, SETTINGS), TrainWorker())["step"] == STEPS
    assert not list(folder.glob(".new-*"))


def test_a_finished_model_is_not_trained_again(tokens, whole):
    before = weights(whole)
    assert train(whole, Pretraining(tokens, SETTINGS), TrainWorker(), After(0, AssertionError()))["step"] == STEPS
    assert weights(whole) == before
    assert not (whole / "checkpoints").exists()


def test_other_settings_are_refused_with_the_difference(tokens, whole):
    with pytest.raises(OutputError, match=r"begun with other settings \(lr: 0.01 → 0.02; steps: 12 → 13\)"):
        train(whole, Pretraining(tokens, replace(SETTINGS, lr=0.02, steps=13)), TrainWorker())


def test_other_tokens_are_refused(tokens_folder, whole):
    other = in_memory(tokens_folder, info={"files": []})
    with pytest.raises(OutputError, match="tokens: "):
        train(whole, Pretraining(other, SETTINGS), TrainWorker())


def test_a_folder_of_something_else_is_left_alone(tokens, tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match="is not empty"):
        train(tmp_path, Pretraining(tokens, SETTINGS), TrainWorker())
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def damage(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_found_and_the_one_before_taken(tokens, whole, tmp_path, name):
    folder = tmp_path / "model"
    train(folder, Pretraining(tokens, SETTINGS), OFTEN, After(6))
    older, newest = sorted((folder / "checkpoints").iterdir())
    assert (older.name, newest.name) == ("step-00000005", "step-00000006")
    damage(newest / name)
    train(folder, Pretraining(tokens, SETTINGS), OFTEN)
    assert weights(folder) == weights(whole)


def test_a_model_whose_weights_are_not_finite_is_neither_saved_nor_used(tokens, whole, tmp_path):
    """Its last step made it so: without validation text the loss does not show it."""
    folder = shutil.copytree(whole, tmp_path / "m")
    model, state = checkpoint.load_model(folder, torch.device("cpu"))
    with torch.no_grad():
        next(model.parameters())[0, 0] = math.inf
    with pytest.raises(CorpusError, match="weights that are not finite"):
        checkpoint.finish(folder, model, state)
    checkpoint.load_model(folder, torch.device("cpu"))  # the model that was there stays
    save_file(dict(model.named_parameters()), folder / "model.safetensors")
    checkpoint._seal(folder, state, ("model.safetensors",))
    with pytest.raises(InputError, match="has weights that are not finite"):
        checkpoint.load_model(folder, torch.device("cpu"))


def test_where_all_checkpoints_are_damaged_it_says_so(tokens, tmp_path):
    folder = tmp_path / "model"
    train(folder, Pretraining(tokens, SETTINGS), OFTEN, After(6))
    for place in (folder / "checkpoints").iterdir():
        damage(place / "model.safetensors")
    with pytest.raises(IntegrityError, match=r"step-00000006/model\.safetensors is missing or damaged"):
        train(folder, Pretraining(tokens, SETTINGS), OFTEN)


def test_a_checkpoint_holds_weights_and_moments_and_nothing_that_runs(tokens, tmp_path):
    folder = tmp_path / "model"
    train(folder, Pretraining(tokens, SETTINGS), TrainWorker(), After(3))
    (place,) = (folder / "checkpoints").iterdir()
    assert sorted(file.name for file in place.iterdir()) == ["model.safetensors", "optimizer.safetensors", "state.json"]
    moments = load_file(place / "optimizer.safetensors")
    assert moments["adamw/head.weight/exp_avg"].abs().sum() > 0
    assert moments["muon/blocks.0.up.weight/momentum_buffer"].abs().sum() > 0


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize(("fused", "device"), [(True, "meta"), (False, "cpu")])
def test_moments_are_put_where_the_optimizer_wants_them(tokens, tmp_path, fused, device):
    """`meta` stands for a device such as CUDA. A fused AdamW needs its step count there."""
    train(tmp_path / "m", Pretraining(tokens, SETTINGS), TrainWorker(), After(3))
    model = GPT(Shape.of_depth(1, tokens.vocab_size, 16)).to("meta")
    adamw = torch.optim.AdamW([model.embed.weight, model.head.weight], fused=fused)
    muon = Muon(model.blocks.parameters(), 0.01, 0.1, torch.float32)
    checkpoint.resume(tmp_path / "m", model, {"muon": muon, "adamw": adamw})
    for weight in (model.embed.weight, model.head.weight):
        devices = {key: value.device.type for key, value in adamw.state[weight].items()}
        assert devices == {"step": device, "exp_avg": "meta", "exp_avg_sq": "meta"}


def test_killed_before_its_checkpoints_went_a_finished_model_loses_them(tokens, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.shutil, "rmtree", lambda *args, **options: None)
    train(tmp_path / "m", Pretraining(tokens, SETTINGS), TrainWorker())
    assert (tmp_path / "m" / "checkpoints").exists()
    monkeypatch.undo()
    assert train(tmp_path / "m", Pretraining(tokens, SETTINGS), TrainWorker())["step"] == STEPS
    assert not (tmp_path / "m" / "checkpoints").exists()


@pytest.mark.parametrize("content", ["[]", "1", "{", "null"])
def test_a_state_that_is_no_object_is_damage(whole, tmp_path, content):
    folder = shutil.copytree(whole, tmp_path / "other")
    (folder / "state.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"state\.json is missing or damaged"):
        checkpoint.load_model(folder, torch.device("cpu"))


@pytest.mark.parametrize(
    "changed", [{"shape": {"width": 64}}, {"shape": None}, {"width": 32, "heads": 1}, {"heads": 0}, {"depth": 2}]
)
def test_weights_of_another_shape_are_no_model(whole, tmp_path, changed):
    folder = shutil.copytree(whole, tmp_path / "other")
    model, state = checkpoint.load_model(folder, torch.device("cpu"))
    facts = {**state, "shape": {**state["shape"], **changed}, **{k: v for k, v in changed.items() if k == "shape"}}
    checkpoint.finish(folder, model, facts)
    with pytest.raises(IntegrityError, match="is missing or damaged"):
        checkpoint.load_model(folder, torch.device("cpu"))


def sealed_again(folder, **changes):
    """Change a model's state and seal it, as a stranger would."""
    state = json.loads((folder / "state.json").read_text()) | changes
    state.pop("sha256")
    (folder / "state.json").write_text(json.dumps({**state, "sha256": digest(state)}))


SIZES = {"vocab_size": 512, "window": 8, "depth": 1, "width": 64, "heads": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": {**SIZES, "depth": 10**9}},
        {"shape": {**SIZES, "width": 1 << 40}},
        {"shape": {**SIZES, "heads": 0}},
        {"shape": {**SIZES, "heads": 5}},
        {"shape": {**SIZES, "window": "x"}},
        {"shape": {}},
        {"shape": None},
        {"bos": []},
        {"files": {"../model.safetensors": {"bytes": 1, "sha256": ""}}},
        {"files": {"model.safetensors": {}}},
        {"files": []},
    ],
    ids=str,
)
def test_a_model_that_a_stranger_changed_is_damaged(whole, tmp_path, changes):
    shutil.copytree(whole, tmp_path / "model")
    sealed_again(tmp_path / "model", **changes)
    with pytest.raises(IntegrityError):
        checkpoint.load_model(tmp_path / "model", torch.device("cpu"))


def test_checkpoints_behind_a_link_are_neither_read_nor_written(tokens, tmp_path):
    (tmp_path / "victim").mkdir()
    folder = tmp_path / "model"
    checkpoint.bind(folder, {"a": 1})
    (folder / "checkpoints").symlink_to(tmp_path / "victim")
    with pytest.raises(IntegrityError, match="symbolic link"):
        checkpoint.load_model(folder, torch.device("cpu"))
    with pytest.raises(IntegrityError, match="symbolic link"):
        checkpoint.save(folder, 1, None, {}, {})
    assert list((tmp_path / "victim").iterdir()) == []


@pytest.mark.parametrize("line", ["{", "[]", '{"step": 1}', '{"step": "x", "tokens": 1, "loss": 1}', "[" * 50_000])
def test_a_damaged_line_of_metrics_is_named(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text(f"{line}\n")
    with pytest.raises(IntegrityError, match=r"metrics\.jsonl is damaged"):
        read_metrics(tmp_path)
