"""Fine-tuning: what is packed into windows, what counts, and what a file's faults do."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from corpus.errors import ConfigError, InputError
from jobs.assistant.conversation import ChatFormat, as_line
from jobs.assistant.finetune import TOO_LONG, Chats, Part, load_chats, pack
from jobs.assistant.lessons.lesson import answered, asked
from jobs.model.curve import read_metrics
from jobs.model.generate import Continuer
from jobs.model.train import train
from jobs.model.train_settings import PARTS, TrainWorker
from tests.jobs.assistant.conftest import WINDOW
from tests.jobs.assistant.runs import TALKS, chats_of, finetuning
from tests.jobs.model.runs import After, weights


def lengths(*sizes, weight=1.0):
    chats = Chats()
    for size in sizes:
        chats.add([0] * (size + 1), [False] * (size + 1), weight)
    return chats


def test_windows_hold_whole_conversations_each_once_per_epoch():
    sizes = np.random.default_rng(0).integers(1, 60, 300).tolist()
    chats = lengths(*sizes)
    windows = pack(chats, 64, 2, seed=0)
    assert Counter(number for window in windows for number in window) == {number: 2 for number in range(300)}
    assert all(sum(sizes[number] for number in window) <= 64 for window in windows)
    assert len(windows) < 1.1 * 2 * sum(sizes) / 64
    assert windows == pack(chats, 64, 2, seed=0)
    assert windows != pack(chats, 64, 2, seed=1)


@pytest.mark.parametrize(("weight", "least", "most"), [(0.3, 240, 360), (1, 1000, 1000), (2.5, 2350, 2650)])
def test_a_weight_says_how_often_conversations_appear(weight, least, most):
    windows = pack(lengths(*[5] * 1000, weight=weight), 64, 1, seed=0)
    assert least <= sum(map(len, windows)) <= most


def test_only_the_assistants_tokens_count(base):
    source = finetuning(base)
    batch = source.batch(base.model, 0, TrainWorker())
    chat = ChatFormat(base.tokenizer)
    counted = Counter(batch.targets[batch.counts > 0].tolist())
    window = [TALKS[number] for row in source._windows[:2] for number in row]
    expected = Counter(number for talk in window for number in chat.turn(talk[1])[1])
    assert counted == expected
    assert batch.counts.sum() == pytest.approx(1)


def test_padding_changes_no_loss(base):
    source = finetuning(base)
    ids, targets, said = map(torch.from_numpy, source.train.row([0], source.train.length(0)))
    logits = base.model(ids[None])[0]
    expected = F.cross_entropy(logits, targets, reduction="none") @ said / said.sum()
    ids, targets, said = map(torch.from_numpy, source.train.row([0], WINDOW))
    assert base.model(ids[None], targets[None], said[None] / said.sum()).item() == pytest.approx(
        expected.item(), rel=1e-4
    )


def test_it_learns_and_a_run_that_is_taken_up_again_gives_the_same_weights(base, tmp_path):
    train(tmp_path / "whole", finetuning(base, epochs=20, lr=0.02), TrainWorker())
    rows = read_metrics(tmp_path / "whole")
    assert rows[-1]["val_loss"] < 0.7 * rows[1]["val_loss"]
    assert train(tmp_path / "cut", finetuning(base, epochs=20, lr=0.02), TrainWorker(), After(5)) is None
    train(tmp_path / "cut", finetuning(base, epochs=20, lr=0.02), TrainWorker())
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert Continuer(tmp_path / "whole").state["chat"]


@pytest.mark.parametrize("frozen", [("embed", "blocks"), ("head",), ("blocks",), ("embed", "head")])
def test_frozen_parts_keep_their_weights_bit_for_bit_and_all_others_change(base, frozen, tmp_path):
    train(tmp_path / "whole", finetuning(base, epochs=3, frozen=frozen), TrainWorker())
    after = dict(Continuer(tmp_path / "whole").model.named_parameters())
    for name, weight in base.model.named_parameters():
        assert torch.equal(weight, after[name]) == (name.split(".")[0] in frozen), name
    assert train(tmp_path / "cut", finetuning(base, epochs=3, frozen=frozen), TrainWorker(), After(5)) is None
    train(tmp_path / "cut", finetuning(base, epochs=3, frozen=frozen), TrainWorker())
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_all_parts_are_named_and_something_is_left_to_train(base):
    assert [name for name, _ in base.model.named_children()] == [*PARTS]
    with pytest.raises(ConfigError, match="All parts of the model are frozen"):
        finetuning(base, frozen=PARTS)


def test_other_frozen_parts_are_another_run(base):
    assert finetuning(base, frozen=("head",)).bound() != finetuning(base).bound()
    assert finetuning(base, frozen=("head", "embed")).bound() == finetuning(base, frozen=("embed", "head")).bound()


def test_equal_conversations_are_on_the_same_side(base, tmp_path):
    lines = [as_line(answered(asked(str(number)), "b")) for number in range(200)]
    (tmp_path / "a.jsonl").write_text("".join(lines + lines[:50]))
    chat = ChatFormat(base.tokenizer)
    train_side, val, faults = load_chats([Part(str(tmp_path / "a.jsonl"), 1)], chat, WINDOW, 0, 0, 0.3)
    sides = [{ids.tobytes() for ids in side._ids} for side in (train_side, val)]
    assert len(train_side) + len(val) == 250
    assert not sides[0] & sides[1]
    assert 30 < len(val) < 120
    assert faults == []


def test_what_is_too_long_is_counted_and_not_cut(base, tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text(as_line(answered(asked("a"), "b" * 500)) + as_line(answered(asked("a"), "b")) + "{}\n")
    made, _, faults = load_chats([Part(str(file), 1)], ChatFormat(base.tokenizer), WINDOW, 0, 0, 0)
    assert len(made) == 1
    assert faults[0].lines == {TOO_LONG: [1], "has no list `messages` or `conversations`": [3]}


def test_a_file_without_conversations_is_an_error(base, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x"}))
    with pytest.raises(InputError, match=r"no conversation to train on.*1 line has no list `messages`"):
        load_chats([Part(str(tmp_path / "a.jsonl"), 1)], ChatFormat(base.tokenizer), WINDOW, 0, 0, 0)


@pytest.mark.parametrize(
    ("given", "part"), [("sums", Part("sums", 1.0)), ("sums:0.3", Part("sums", 0.3)), ("sums:2", Part("sums", 2.0))]
)
def test_parts(given, part):
    assert Part.parse(given) == part


@pytest.mark.parametrize("given", ["sumz", "sums:0", "sums:-1", "sums:nan", "sums:inf", "none.jsonl:0.5"])
def test_what_is_no_part_is_an_error(given):
    with pytest.raises(ConfigError):
        Part.parse(given)


def test_a_file_may_have_a_colon_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:0.5").write_text("")
    assert Part.parse("a:0.5") == Part("a:0.5", 1.0)


def test_other_conversations_or_another_base_are_another_run(base):
    first = finetuning(base)
    assert finetuning(base).bound() == first.bound()
    assert finetuning(base, talks=TALKS[:-1]).bound()["train"] != first.bound()["train"]
    assert chats_of(base, TALKS).digest() == first.train.digest()
    before = first.bound()["base"]
    base.state["files"]["model.safetensors"]["sha256"] = "other"
    assert finetuning(base).bound()["base"] != before
