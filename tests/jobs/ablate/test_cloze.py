"""Questions answered by likelihood."""

import gzip
import json
import math
import sys
from types import SimpleNamespace

import pytest
import torch

from corpus.errors import ConfigError, InputError
from jobs.ablate.cloze import MADE_CHOICES, _bits_per_byte, answer, read_questions, summarize
from jobs.ablate.lm_eval import evaluate_tasks, need_lm_eval
from jobs.model.generate import Continuer

MMLU = [
    {"eval_key": "mmlu", "eval_instance_index": n, "question": f"What is {n}?", "answer": answer, "is_correct": right}
    for n in range(3)
    for answer, right in ((f"wrong {n}", False), (f"right {n}", True), (f"also wrong {n}", False))
]
GSM = [{"eval_key": "gsm8k", "question": f"How many are {n}?", "answer": f"{n} are {n}."} for n in range(6)]


def written(path, rows):
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return str(path)


@pytest.fixture(scope="module")
def model(base_folder):
    return Continuer(base_folder)


def test_items_become_questions_with_the_right_answer_first(tmp_path):
    files = written(tmp_path / "a.jsonl.gz", MMLU), written(tmp_path / "b.jsonl.gz", GSM)
    found = read_questions(files)
    mmlu = [one for one in found if one["benchmark"] == "mmlu"]
    assert sorted(one["answers"][0] for one in mmlu) == ["right 0", "right 1", "right 2"]
    assert all(len(one["answers"]) == 3 for one in mmlu)
    own = [one for one in found if one["benchmark"] == "gsm8k"]
    assert len(own) == 6
    for one in own:
        number = one["question"].split()[-1].rstrip("?")
        assert one["answers"][0] == f"{number} are {number}."
        assert len(one["answers"]) == MADE_CHOICES == len(set(one["answers"]))
    assert found == read_questions(files)


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Which?", "choices": ["a", "the one", "b"], "answer": 1},
        {"question": "Which?", "choices": ["a", "the one", "b"], "answer": "B"},
        {"question": "Which?", "choices": {"text": ["a", "the one", "b"], "label": ["A", "B", "C"]}, "answer": "B"},
        {"question": "Which?", "choices": ["a", "the one", "b"], "answer": "the one"},
    ],
)
def test_other_forms_of_items_are_read(tmp_path, row):
    (question,) = read_questions([written(tmp_path / "x.jsonl.gz", [row])])
    assert question["answers"] == ("the one", "a", "b")


def test_items_without_a_right_answer_are_an_error(tmp_path):
    with pytest.raises(InputError, match="right answer"):
        read_questions([written(tmp_path / "x.jsonl.gz", [{"question": "Which?", "choices": ["a", "b"]}])])


def test_the_bits_of_an_answer_are_those_of_its_tokens(model):
    question, text = "what does the old dog see", "the sea."
    before = model.encode(f"Question: {question}\nAnswer:")
    ids = model.encode(" " + text)[1:]
    with torch.no_grad():
        logs = torch.log_softmax(model.model(torch.tensor([before + ids])).double()[0], -1)
    bits = -sum(float(logs[len(before) - 1 + at, one]) for at, one in enumerate(ids)) / math.log(2)
    alone = _bits_per_byte(model, question, [text])
    beside = _bits_per_byte(model, question, [text, "a much longer answer than the other one", "日本"])
    assert alone[0] == pytest.approx(bits / len((" " + text).encode()), abs=1e-4)
    assert beside[0] == pytest.approx(alone[0], abs=1e-5)


def test_a_long_question_loses_its_start(model):
    window = model.model.shape.window
    long = _bits_per_byte(model, "a child likes the sea. " * window, ["the sea."])
    assert math.isfinite(long[0])
    assert math.isfinite(_bits_per_byte(model, "who", ["the sea. " * window])[0])


def test_what_was_learned_is_above_chance_and_what_was_not_is_at_chance(model):
    known = [{"benchmark": "words", "question": f"{n}", "answers": (right, wrong)}
             for n, (right, wrong) in enumerate([("the old dog sees the sea.", "qzx vjk wpq zzq"),
                                                 ("a child draws a red house.", "xkcd qqq jjj zzz")] * 10)]  # fmt: skip
    unknown = [{"benchmark": "codes", "question": f"{n}", "answers": pair}
               for n in range(10) for pair in (("zq", "qz"), ("qz", "zq"))]  # fmt: skip
    rows = {row["benchmark"]: row for row in summarize([answer(model, known + unknown)] * 3)}
    assert rows["words"]["right"] == 1
    assert not rows["words"]["at_chance"]
    assert rows["codes"]["right"] == 0.5 == rows["codes"]["chance"]
    assert rows["codes"]["at_chance"]
    assert rows["words"]["bits_per_byte"] < rows["codes"]["bits_per_byte"]


def test_without_the_harness_the_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(ConfigError, match="lm_eval, which is not installed"):
        need_lm_eval()


def test_the_harness_gets_the_export_of_a_model(base_folder, monkeypatch):
    asked = {}

    def simple_evaluate(model, model_args, tasks, device):
        from transformers import AutoModelForCausalLM

        folder = model_args.split(",")[0].partition("=")[2]
        asked.update(model=model, tasks=tasks, device=device, loaded=AutoModelForCausalLM.from_pretrained(folder))
        return {"results": {"arc": {"acc,none": 0.25, "acc_stderr,none": 0.1, "alias": "arc"}}}

    monkeypatch.setitem(sys.modules, "lm_eval", SimpleNamespace(simple_evaluate=simple_evaluate))
    assert evaluate_tasks(base_folder, ("arc",), "cpu") == {"arc": {"acc": 0.25}}
    assert asked["tasks"] == ["arc"]
    assert asked["loaded"].config.model_type == "nanochat"
    assert sorted(path.name for path in base_folder.parent.iterdir()) == [base_folder.name]
