"""Probes of a base model: what it recites, and why."""

import json
import random
import sys
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from corpus.errors import InputError
from corpus.tokens.texts import open_texts
from corpus.tokens.token_folder import open_tokens
from jobs.cli import main
from jobs.model import probe
from jobs.model.generate import Continuer
from jobs.model.pretraining import Pretraining
from jobs.model.train import train
from jobs.model.train_settings import Settings, TrainWorker
from jobs.runner.progress import Progress
from jobs.tokens.tokenize import TokenizeJob, tokenize
from tests.bpe import small_tokenizer
from tests.engines import InProcess
from tests.warcs import WORDS

OFTEN = 60


def texts_of(seed, count):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS.split(), k=60)) for _ in range(count)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that saw 8 texts often and 60 once, and the texts."""
    folder = tmp_path_factory.mktemp("probe")
    (folder / "texts").mkdir()
    texts = [*texts_of(0, 8) * OFTEN, *texts_of(1, 60)]
    pq.write_table(pa.table({"text": texts}), folder / "texts" / "part-00000.parquet")
    tokenize(TokenizeJob(folder / "texts", folder / "tokens", small_tokenizer(), val_share=0.2),
             lambda: InProcess(), Progress(quiet=True))  # fmt: skip
    tokens = open_tokens(folder / "tokens")
    steps = tokens.train.tokens // (8 * 128)
    torch.set_num_threads(1)
    settings = Settings(2, 128, 8, steps, 0.02, 0, "fp32", steps, 100)
    train(folder / "model", Pretraining(tokens, settings), TrainWorker())
    return folder


def test_what_was_seen_often_is_recited_and_what_was_seen_once_is_not(trained):
    recitals, longest = probe.recite(Continuer(trained / "model"), open_texts(trained / "texts"))
    found = {one.seen: one for one in recitals}
    assert list(found) == [0, 1, OFTEN]
    assert found[0].texts > 5
    assert found[OFTEN].mean > 10
    assert found[1].mean < 2
    assert found[0].mean < 2
    assert longest[0]["seen"] == OFTEN
    assert longest[0]["tokens"] == max(one["tokens"] for one in longest)


def test_the_command_leaves_numbers_and_a_page(trained, tmp_path, monkeypatch, capsys):
    examples = [{"question": f"{number}", "answer": "the"} for number in range(20)]
    (tmp_path / "examples.jsonl").write_text("\n".join(map(json.dumps, examples)))
    words = ["probe", trained / "model", "--on", trained / "texts", "-o", tmp_path / "out", "--prompt", "<b>the</b>",
             "--examples", tmp_path / "examples.jsonl", "--json"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["corpus", *map(str, words)])
    main()
    found = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert json.loads(capsys.readouterr().out) == found
    assert [row["examples"] for row in found["few_shot"]] == [0, 1, 2, 4, 8][: len(found["few_shot"])]
    nodes = found["trees"][0]["next"]
    assert len(nodes) == probe.WIDE
    assert nodes == sorted(nodes, key=lambda node: -node["probability"])
    assert len(nodes[0]["next"][0]["next"][0]["next"]) == probe.WIDE
    page = (tmp_path / "out" / "probe.html").read_text()
    assert "&lt;b&gt;the&lt;/b&gt;" in page
    assert "<b>the</b>" not in page


def test_an_example_is_right_if_the_first_line_is(monkeypatch):
    said = iter(["yes\nno", " yes ", "no", "yes or no"])
    model = SimpleNamespace(
        encode=lambda text: [0], model=SimpleNamespace(shape=SimpleNamespace(window=1000)),
        tokenizer=SimpleNamespace(decode=lambda text: text.encode()),
    )  # fmt: skip
    monkeypatch.setattr(probe, "SHOTS", (0,))
    monkeypatch.setattr(probe, "continued", lambda model, prompts, tokens: [next(said) for _ in prompts])
    rows = probe.few_shot(model, [("a", "yes")] * 4)
    assert rows == [{"examples": 0, "asked": 4, "right": 0.5}]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"question": "a"}', "", "\n".join(['{"question": "a", "answer": "b"}'] * 9)]
)
def test_what_is_no_file_of_examples_is_an_error(tmp_path, text):
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(InputError, match="example"):
        probe.read_examples(tmp_path / "a.jsonl")


def test_a_model_that_does_not_know_its_texts_is_not_probed(trained):
    model = Continuer(trained / "model")
    del model.state["epochs"]
    with pytest.raises(InputError, match="does not say how often"):
        probe.recite(model, open_texts(trained / "texts"))
