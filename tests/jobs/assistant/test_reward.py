"""Reward models: pairs, their loss, and what they learn."""

import json

import pytest
import torch
import torch.nn.functional as F

from corpus.errors import InputError
from jobs.assistant.conversation import Faults, Message
from jobs.assistant.lessons.lesson import asked
from jobs.assistant.reward import BINS, Judge, Pair, Preferences, RewardModel, read_pairs
from jobs.model.generate import Continuer
from jobs.model.train import train
from jobs.model.train_settings import TrainWorker
from tests.jobs.assistant.runs import settings

PAIRS = [Pair(asked(f"the dog {number}"), " sees the sea", " 7 7 7") for number in range(24)]


@pytest.fixture(scope="module")
def folder(base_folder, tmp_path_factory):
    base = Continuer(base_folder)
    out = tmp_path_factory.mktemp("reward") / "m"
    train(out, Preferences(base, PAIRS[:14], PAIRS[14:], settings(base, 12, 4, 0.01, 12)), TrainWorker())
    return out


def test_it_prefers_what_people_chose(folder):
    judge = Judge(folder)
    assert judge.found.state["accuracy"] == 1.0
    assert len(judge.found.state["calibration"]) == BINS
    scores = judge(
        [asked("the dog 99")] * 2, [[Message("assistant", " sees the sea")], [Message("assistant", " 7 7 7")]]
    )
    assert scores[0] > scores[1] + 0.5


def test_the_loss_is_that_of_bradley_and_terry(base):
    source = Preferences(base, PAIRS, [], settings(base, batch=4))
    model = source.first()
    assert isinstance(model, RewardModel)
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    batch = source.batch(model, 0, TrainWorker())
    found = model(batch.ids, batch.targets, batch.counts)
    margins = []
    for chosen, rejected in (source._train[place] for place in _places(source, batch)):
        with torch.no_grad():
            better, worse = (model.head(model.trunk(torch.tensor([ids]))[0]).mean(0) for ids in (chosen, rejected))
        margins.append(better - worse)
    assert found.item() == pytest.approx(-F.logsigmoid(torch.cat(margins)).mean().item(), rel=1e-4)


def _places(source, batch):
    rows = [tuple(row[: len(source._train[0][0])].tolist()) for row in batch.ids[:, 0]]
    firsts = [tuple(chosen) for chosen, _ in source._train]
    return [next(at for at, one in enumerate(firsts) if one[: len(row)] == row[: len(one)]) for row in rows]


def test_each_pair_is_seen_once_per_epoch(base):
    source = Preferences(base, PAIRS, [], settings(base, batch=8))
    seen = [
        tuple(row.tolist()) for step in range(3) for row in source.batch(source.first(), step, TrainWorker()).ids[:, 0]
    ]
    assert len({row[:12] for row in seen}) == 24


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, [("b", "c")]),
        ({"prompt": [{"role": "user", "content": "a"}], "chosen": "b", "rejected": "c"}, [("b", "c")]),
        ({"prompt": "a", "ranked": ["b", "c", "d"]}, [("b", "c"), ("b", "d"), ("c", "d")]),
    ],
)
def test_pairs_are_read(tmp_path, line, pairs):
    (tmp_path / "a.jsonl").write_text(json.dumps(line))
    found = read_pairs(tmp_path / "a.jsonl", Faults(""))
    assert [(pair.chosen, pair.rejected) for pair in found] == pairs
    assert all(pair.prompt == asked("a") for pair in found)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "is not JSON"),
        ("[]", "has no prompt"),
        ('{"prompt": 1, "chosen": "a", "rejected": "b"}', "has no prompt"),
        ('{"prompt": "a", "chosen": "a"}', "has no chosen and rejected text"),
        ('{"prompt": "a", "ranked": ["a"]}', "has no chosen and rejected text"),
    ],
)
def test_what_is_no_pair_is_counted(tmp_path, line, what):
    good = '{"prompt": "a", "chosen": "b", "rejected": "c"}'
    (tmp_path / "a.jsonl").write_text(f"{good}\n{line}\n")
    faults = Faults("a.jsonl")
    assert len(read_pairs(tmp_path / "a.jsonl", faults)) == 1
    assert faults.lines == {what: [2]}
    (tmp_path / "a.jsonl").write_text(f"{line}\n")
    with pytest.raises(InputError, match="has no pair"):
        read_pairs(tmp_path / "a.jsonl", Faults(""))


def test_a_model_of_another_kind_is_named(folder, base_folder):
    with pytest.raises(InputError, match="has a RewardModel, not a GPT"):
        Continuer(folder)
    with pytest.raises(InputError, match="has a GPT, not a RewardModel"):
        Judge(base_folder)
