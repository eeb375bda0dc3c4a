"""Reinforcement: what counts with which advantage, what it learns, and its exact resume."""

import json

import pytest
import torch

from corpus.errors import ConfigError
from jobs.assistant.conversation import Message, messages_of
from jobs.assistant.lessons.lesson import asked
from jobs.assistant.reinforce import Effort, Reinforcement, Task, right_answers
from jobs.model.curve import read_metrics
from jobs.model.generate import Continuer
from jobs.model.train import train
from jobs.model.train_settings import TrainWorker
from jobs.verbs.reinforcing import _task
from tests.jobs.assistant.runs import finetuning, settings
from tests.jobs.model.runs import OFTEN, After, weights


def prompts(seed, held_out):
    return (asked(f"the dog {number + seed % 7}") for number in range(1000))


def even(problems, answers):
    """Rewards answers that begin with an even digit."""
    return [float(turns[-1].content[:1] in tuple("02468")) for turns in answers]


def task(judge=even):
    return Task("even", prompts, judge, {"sea": lambda answer: answer.endswith("sea")})


@pytest.fixture(scope="module")
def talker(base_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("talker") / "model"
    train(folder, finetuning(Continuer(base_folder), epochs=4, lr=0.02), TrainWorker())
    return folder


EFFORT = Effort(samples=4, max_tokens=20, tested=4)


def source(talker, folder, judge=even, effort=EFFORT, **more):
    start = Continuer(talker)
    given = settings(start, **{"steps": 3, "batch": 3, "lr": 0.002, "eval_every": 3, **more})
    folder.mkdir(exist_ok=True)
    return Reinforcement(start, task(judge), given, effort, folder, save_right=True)


def test_rewarded_answers_become_more_frequent(talker, tmp_path):
    train(tmp_path / "m", source(talker, tmp_path / "m", steps=12, batch=8, lr=0.004), TrainWorker())
    rows = read_metrics(tmp_path / "m")
    first, last = (sum(row["reward"] for row in part) / 3 for part in (rows[:3], rows[-3:]))
    assert last > first + 0.15
    assert rows[-1]["kl"] > rows[0]["kl"]
    assert {"val_reward", "pass@1", "pass@4", "sea", "length"} <= rows[-1].keys()
    assert rows[-1]["pass@1"] <= rows[-1]["pass@4"]


def test_a_run_that_is_taken_up_again_gives_the_same_weights_and_samples(talker, tmp_path):
    train(tmp_path / "whole", source(talker, tmp_path / "whole", steps=5), TrainWorker())
    assert train(tmp_path / "cut", source(talker, tmp_path / "cut", steps=5), OFTEN, After(2)) is None
    train(tmp_path / "cut", source(talker, tmp_path / "cut", steps=5), TrainWorker())
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert right_answers(tmp_path / "cut") == right_answers(tmp_path / "whole") != b""


def test_only_said_tokens_count_each_with_its_advantage(talker, tmp_path):
    def judge(problems, answers):
        return [float(number % 4 == 0) for number in range(len(answers))]

    made = source(talker, tmp_path / "m", judge, Effort(samples=4, max_tokens=6, tested=1))
    made._rewards = lambda given, answers: judge(given, answers)  # cut answers too
    batch = made.batch(made.start.model, 0, TrainWorker())
    assert len(batch.ids) == 12
    for row in range(12):
        counts = batch.counts[row]
        prompt = len(made._chat.prompt(asked("the dog 1")))
        assert torch.count_nonzero(counts[: prompt - 1]) == 0
        values = counts[counts != 0]
        assert (values > 0).all() if row % 4 == 0 else (values < 0).all()
        assert values.abs().max().item() == pytest.approx(values.abs().min().item())
    assert batch.facts["kl"] == pytest.approx(0, abs=1e-3)  # the model is its start


def test_an_answer_that_was_cut_gets_no_reward(talker, tmp_path):
    made = source(talker, tmp_path / "m", lambda problems, answers: [1.0] * len(answers))
    cut = Effort(samples=4, max_tokens=1, tested=4)
    short_ones = source(talker, tmp_path / "m", lambda problems, answers: [1.0] * len(answers), cut)
    assert short_ones.batch(made.start.model, 0, TrainWorker()).facts["reward"] == 0


def test_samples_are_conversations_with_their_rewards(talker, tmp_path):
    made = source(talker, tmp_path / "m")
    made.batch(made.start.model, 9, TrainWorker())
    text = (tmp_path / "m" / "samples" / "step-00000010.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [messages_of(line)[-1].role for line in lines] == ["assistant"] * 8
    rewards = [line["reward"] for line in lines]
    assert min(rewards[:4]) >= max(rewards[4:])
    assert not (tmp_path / "m" / "samples" / "step-00000009.jsonl").exists()


def test_a_start_without_reward_is_said(talker, tmp_path):
    told = []
    start = Continuer(talker)
    given = settings(start, steps=3, batch=2)
    none = task(lambda problems, answers: [0.0] * len(answers))
    train(tmp_path / "m", Reinforcement(start, none, given, EFFORT, tmp_path / "m", tell=told.append), TrainWorker())
    assert len(told) == 1
    assert "almost nothing to learn from" in told[0]


def test_it_ends_at_a_distance_from_the_start(talker, tmp_path):
    effort = Effort(samples=4, max_tokens=20, tested=4, stop_at=0.05)
    done = train(tmp_path / "m", source(talker, tmp_path / "m", effort=effort, steps=30, lr=0.01), TrainWorker())
    rows = read_metrics(tmp_path / "m")
    assert done["step"] < 30
    assert all(row["kl"] < 0.05 for row in rows[:-1])
    assert rows[-1]["kl"] >= 0.05
    assert "val_reward" in rows[-1]


def test_kl_has_a_price(talker, tmp_path):
    kls = []
    for price in (0.0, 2.0):
        folder = tmp_path / str(price)
        effort = Effort(samples=4, max_tokens=20, tested=1, kl=price)
        train(folder, source(talker, folder, effort=effort, steps=10, batch=4, lr=0.004), TrainWorker())
        kls.append(read_metrics(folder)[-1]["kl"])
    assert kls[1] < kls[0]


def test_a_base_model_continues_text(base_folder, tmp_path):
    def judge(problems, answers):
        assert all(isinstance(turns[-1], Message) for turns in answers)
        return [float(turns[-1].content.count("the")) for turns in answers]

    start = Continuer(base_folder)
    made = Reinforcement(start, task(judge), settings(start, steps=2), EFFORT, tmp_path / "m")
    done = train(tmp_path / "m", made, TrainWorker())
    assert done["chat"] is False
    assert done["length"] > 0


@pytest.fixture
def own_module(tmp_path):
    path = tmp_path / "seaside.py"
    path.write_text("prompts = lambda seed: iter(['a', 'b'])\nreward = lambda prompt, answer: float(answer == 'sea')\n")
    return str(path)


def test_an_allowed_module_is_a_task_of_its_name(own_module):
    found = _task("seaside", [own_module], None, "cpu")
    answers = [[Message("assistant", "sea")], [Message("assistant", "land")]]
    assert found.judge([asked("a"), asked("b")], answers) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("seasides", "", "There is no task seasides. Did you mean seaside"),
        ("seaside", "prompts = print", "has no function reward"),
        ("seaside", "1 / 0", "does not load"),
    ],
)
def test_a_task_that_is_none_is_refused(own_module, tmp_path, name, source, says):
    (tmp_path / "seaside.py").write_text(source)
    with pytest.raises(ConfigError) as raised:
        _task(name, [own_module], None, "cpu")
    assert says in str(raised.value)


def test_a_module_can_not_take_the_name_of_a_lesson(tmp_path):
    (tmp_path / "sums.py").write_text("")
    with pytest.raises(ConfigError, match="name of a lesson: sums"):
        _task("sums", [str(tmp_path / "sums.py")], None, "cpu")
