"""Generation: the tokens drawn, the text shown, the command line."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from corpus.errors import InputError, IntegrityError
from jobs.cli import main
from jobs.model.generate import Continuer, Sampling, TextStream, draw, token_text
from jobs.model.pretraining import Pretraining
from jobs.model.train import train
from jobs.model.train_settings import Settings, TrainWorker

WINDOW = 48


@pytest.fixture(scope="module")
def model(tokens, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generate")
    torch.set_num_threads(1)
    settings = Settings(depth=1, window=WINDOW, batch=8, steps=60, lr=0.01, seed=0, precision="fp32", eval_every=60,
                        eval_tokens=1000)  # fmt: skip
    train(folder / "model", Pretraining(tokens, settings), TrainWorker())
    return folder / "model"


@pytest.fixture(scope="module")
def continuer(model):
    return Continuer(model)


def ids(continuer, sampling, prompt="the old dog", number=0):
    return [drawn.id for drawn in continuer.draw(continuer.encode(prompt), sampling, number)]


class Fixed:
    """A model that always gives these logits. `read` has the number of positions of each of its reads."""

    compute = torch.float32

    def __init__(self, shape, logits):
        self.shape, self.fixed, self.read, self.head = shape, logits, [], torch.nn.Linear(1, 1)

    def trunk(self, ids, cache):
        self.read.append(ids.size(1))
        cache.length += ids.size(1)
        return ids[:, :, None]

    def logits(self, x):
        return self.fixed.expand(len(x), -1).clone()


def stubbed(continuer, logits):
    """A continuer whose model always gives these logits, and the number of positions of each of its reads."""
    made = Continuer.__new__(Continuer)
    made.model, made.bos, made.tokenizer = Fixed(continuer.model.shape, logits), continuer.bos, continuer.tokenizer
    return made, made.model.read


def test_greedy_tokens_are_the_likeliest_of_the_whole_text_read_anew(continuer):
    found = ids(continuer, Sampling(max_tokens=20, temperature=0))
    text = continuer.encode("the old dog")
    with torch.no_grad():
        for token in found:
            assert int(continuer.model(torch.tensor([text]))[0, -1].argmax()) == token
            text.append(token)
    assert len(found) == 20


def test_the_seed_and_the_number_decide_the_continuation(continuer):
    hot = Sampling(max_tokens=20, temperature=1.5, top_k=None)
    first = ids(continuer, hot)
    assert ids(continuer, hot) == first
    assert ids(continuer, hot, number=1) != first
    assert ids(continuer, Sampling(20, 1.5, None, seed=1)) != first


PROMPTS = ["the old dog", "a", "the sea sees the old dog and the dog", "dog"]


@pytest.mark.parametrize("sampling", [Sampling(12, 0), Sampling(12, 1.2, 20)])
def test_many_prompts_at_once_give_the_tokens_of_each_alone(continuer, sampling):
    """Shorter prompts have padding, and sequences end at different times."""
    prompts = [continuer.encode(prompt) for prompt in PROMPTS]
    alone = [[drawn.id for drawn in draw(continuer.model, [prompt], sampling, (), [at])]
             for at, prompt in enumerate(prompts)]  # fmt: skip
    for end in alone[0]:
        expected = [ids[: ids.index(end) + 1] if end in ids else ids for ids in alone]
        if len({len(ids) for ids in expected}) > 1:
            break
    else:
        pytest.fail("no token ends the sequences at different times")
    together = [[] for _ in prompts]
    for drawn in draw(continuer.model, prompts, sampling, {end}):
        together[drawn.row].append(drawn.id)
        assert drawn.last == (len(together[drawn.row]) == len(expected[drawn.row]))
    assert together == expected


def test_log_probabilities_are_those_of_the_model(continuer):
    prompt = continuer.encode("the old dog")
    found = list(draw(continuer.model, [prompt, [*prompt, 65]], Sampling(5, 1.0), ()))
    first = [one for one in found if one.row == 0]
    ids = torch.tensor([[*prompt, *(one.id for one in first)]])
    with torch.no_grad():
        logs = continuer.model(ids)[0].log_softmax(-1)
    for at, one in enumerate(first):
        assert one.log_probability == pytest.approx(logs[len(prompt) - 1 + at, one.id].item(), abs=1e-4)


def test_a_full_window_ends_a_sequence_that_does_not_slide(continuer):
    prompt = [65] * (WINDOW - 3)
    found = list(draw(continuer.model, [prompt], Sampling(50, 1.0), ()))
    assert len(found) == 4  # the last one is drawn from a full window
    assert found[-1].last
    with pytest.raises(InputError, match="does not fit the window"):
        list(draw(continuer.model, [[65] * (WINDOW + 1)], Sampling(5), ()))


def test_banned_ids_are_not_drawn(continuer):
    likeliest = ids(continuer, Sampling(1, 0))[0]
    prompt = continuer.encode("the old dog")
    assert next(draw(continuer.model, [prompt], Sampling(1, 0), (), banned=[likeliest])).id != likeliest


@pytest.mark.parametrize("seed", [0, 20_000_000_000_000, 2**64 - 1])
def test_any_seed_draws(continuer, seed):
    assert len(ids(continuer, Sampling(5, 1.0, seed=seed))) == 5


@pytest.mark.parametrize("temperature", [1e-39, 5e-324])
def test_the_smallest_temperatures_are_greedy(continuer, temperature):
    assert ids(continuer, Sampling(10, temperature)) == ids(continuer, Sampling(10, 0))


def test_top_k_of_one_is_greedy(continuer):
    assert ids(continuer, Sampling(10, 1.0, 1)) == ids(continuer, Sampling(10, 0))


def test_top_k_draws_from_the_likeliest_alone(continuer):
    logits = torch.zeros(continuer.model.shape.vocab_size)
    logits[[65, 66, 67]] = torch.tensor([1.0, 1.2, 1.1])
    made, _ = stubbed(continuer, logits)
    assert {*ids(made, Sampling(40, 1.0, 2))} == {66, 67}
    assert len({*ids(made, Sampling(40, 5.0, None))}) > 3


def test_probabilities_are_of_the_model_and_in_order(continuer):
    prompt = continuer.encode("the old dog")
    drawn = next(iter(continuer.draw(prompt, Sampling(temperature=0.3, top_k=1), shown=4)))
    with torch.no_grad():
        expected = continuer.model(torch.tensor([prompt]))[0, -1].softmax(0)
    for token, share in drawn.likeliest:
        assert share == pytest.approx(expected[token].item(), abs=1e-5)
    shares = [share for _, share in drawn.likeliest]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 4
    assert drawn.id == drawn.likeliest[0][0]


@pytest.mark.parametrize("special", ["<|bos|>", "<|im_start|>"])
def test_it_ends_with_the_document_and_shows_no_special(continuer, special):
    logits = torch.zeros(continuer.model.shape.vocab_size)
    logits[continuer.tokenizer.specials[special]] = 100.0
    made, _ = stubbed(continuer, logits)
    assert ids(made, Sampling(10)) == []


def test_it_goes_on_where_the_window_is_full(continuer):
    logits = torch.zeros(continuer.model.shape.vocab_size)
    logits[65] = 100.0
    made, read = stubbed(continuer, logits)
    assert ids(made, Sampling(3 * WINDOW), "a") == [65] * 3 * WINDOW
    assert max(read) == WINDOW // 2  # the window is read again only now and then
    assert sum(read) < 6 * WINDOW
    long = continuer.encode("the old dog sees the sea. " * 30)
    assert len(long) > WINDOW
    assert len(list(continuer.draw(long, Sampling(5, 0)))) == 5


def test_a_prompt_forges_no_special(continuer):
    found = continuer.encode("<|bos|><|im_start|>the")
    assert found[0] == continuer.bos
    assert not {*found[1:]} & {*continuer.tokenizer.specials.values()}
    assert continuer.tokenizer.decode(found) == b"<|bos|><|im_start|>the"


def test_a_stream_holds_bytes_back_until_they_are_characters():
    stream = TextStream([bytes([number]) for number in range(256)])
    shown = [stream.add(byte) for byte in "a日é\n".encode()]
    assert shown == ["a", "", "", "日", "", "é", "\n"]
    assert [stream.add(byte) for byte in b"\xe6\x97a"] == ["", "", "\ufffda"]
    assert stream.add(0xE6) == ""
    assert stream.end() == "\ufffd"


def test_pieces_are_visible():
    assert token_text(b" the") == "' the'"
    assert token_text(b"\n\x1b") == r"'\n\x1b'"
    assert token_text(b"\xe6\x97") == r"'\xe6\x97'"
    assert token_text("日".encode()) == "'日'"
    assert token_text(None) == "end of document"


def test_what_is_no_model_is_said(tmp_path, model):
    with pytest.raises(InputError, match="has no trained model"):
        Continuer(tmp_path)
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in model.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "tokenizer.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"tokenizer\.json"):
        Continuer(broken)
    data = bytearray((broken / "model.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "model.safetensors").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors is missing or damaged"):
        Continuer(broken)


@pytest.fixture
def run(model, monkeypatch, capsys):
    """Runs `corpus generate` in this process, and returns its stdout."""

    def generate(*arguments):
        monkeypatch.setattr(sys, "argv", ["corpus", "generate", str(model), *map(str, arguments)])
        main()
        return capsys.readouterr().out

    return generate


def test_the_command_line_prints_the_prompt_and_its_continuations(run):
    first, second = run("the old dog\x1b", "-n", 2, "--max-tokens", 8, "--temperature", 0).strip().split("\n\n")
    assert first.startswith("the old dog\ufffd")
    assert len(first) > len("the old dog\ufffd")
    assert first == second


def test_the_command_line_prints_json(run):
    rows = [json.loads(line) for line in run("a", "-n", 2, "--json", "--show-probs").splitlines()]
    assert [len(row["ids"]) == len(row["likeliest"]) for row in rows] == [True, True]
    assert rows[0]["ids"] != rows[1]["ids"]


def test_the_command_line_shows_probabilities(run):
    lines = run("the old dog", "--show-probs", "--max-tokens", 3).splitlines()
    assert len([line for line in lines if line.count("%") == 5]) == 3


def test_there_are_as_many_threads_as_cpus_that_may_be_used(run, monkeypatch):
    monkeypatch.setattr("jobs.verbs.models.usable_cpus", lambda: 3)
    run("a", "--max-tokens", 1)
    assert torch.get_num_threads() == 3


def test_an_unfinished_model_can_speak(tmp_path, tokens):
    steps = iter([False] * 3 + [True])
    settings = Settings(depth=1, window=16, batch=2, steps=9, lr=0.01, seed=0, precision="fp32", eval_every=9,
                        eval_tokens=100)  # fmt: skip
    assert train(tmp_path / "m", Pretraining(tokens, settings), TrainWorker(), lambda: next(steps)) is None
    assert len(ids(Continuer(tmp_path / "m"), Sampling(5, 0))) == 5


def test_ids_that_the_tokenizer_lacks_are_never_drawn(continuer):
    logits = torch.zeros(continuer.model.shape.vocab_size)
    logits[-1] = 100.0
    made, _ = stubbed(continuer, logits)
    made.tokenizer = SimpleNamespace(tokens=[bytes([n]) for n in range(256)], specials={})
    made.bos = 255
    assert all(token < 255 for token in [d.id for d in made.draw([1], Sampling(20))])
