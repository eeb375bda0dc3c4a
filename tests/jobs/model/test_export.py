"""Export for transformers: the real library loads it, and gives what our model gives."""

import json
import sys
from dataclasses import replace

import pytest
import torch

from corpus.errors import ConfigError, InputError, IntegrityError, OutputError
from corpus.tokens.encoder import Encoder
from corpus.tokens.tokenizer import Tokenizer
from jobs.cli import main
from jobs.model import checkpoint
from jobs.model.export import export_model
from jobs.model.generate import Continuer, Sampling
from jobs.model.model import GPT
from jobs.model.pretraining import Pretraining
from jobs.model.train import train
from jobs.model.train_settings import Shape, TrainWorker
from tests.bpe import TEXTS, changed, small_tokenizer
from tests.jobs.model.runs import SETTINGS, After

CHAT = [
    {"role": "developer", "content": "Be short."},
    {"role": "user", "content": [{"type": "text", "text": "How many "}, {"type": "text", "text": "r?"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"type": "function", "function": {"name": "calculator", "arguments": {"input": '"r".count("r")'}}},
            {"type": "function", "function": {"name": "search", "arguments": {"query": "r", "most": 2}}},
        ],
    },
    {"role": "tool", "content": "1"},
    {"role": "assistant", "content": " One.\n"},
]


def stirred(folder, tokenizer, depth=4, window=48):
    """A finished model whose weights are all other than zero. Two heads, so that a mix-up of heads is found."""
    model = GPT(Shape.of_depth(depth, tokenizer.vocab_size, window))
    draw = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        weight.data.normal_(0, 0.05 if name == "head.weight" else 0.2, generator=draw)
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(tokenizer.data)
    checkpoint.finish(folder, model, {"shape": vars(model.shape), "bos": tokenizer.bos})
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return stirred(tmp_path_factory.mktemp("stirred") / "model", small_tokenizer())


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("transformers", minversion="5", reason="transformers 5 or later is not installed")


@pytest.fixture(scope="module")
def exported(theirs, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export_model(model, folder / "hf", "fp32")
    loaded = theirs.AutoModelForCausalLM.from_pretrained(folder / "hf", local_files_only=True)
    return loaded.eval(), theirs.AutoTokenizer.from_pretrained(folder / "hf", local_files_only=True)


def test_logits_are_ours(exported, model):
    ours, _ = checkpoint.load_model(model, torch.device("cpu"))
    ids = torch.randint(ours.shape.vocab_size, (3, ours.shape.window), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = ours(ids), exported[0](ids).logits
    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_greedy_continuations_are_ours(exported, model):
    ours = Continuer(model)
    loaded, tokenizer = exported
    for text in ("the old dog", "Äpfel 1984", "日本"):
        prompt = ours.encode(text)
        expected = [drawn.id for drawn in ours.draw(prompt, Sampling(20, temperature=0))]
        given = tokenizer(text, return_tensors="pt")
        assert given["input_ids"][0].tolist() == prompt
        found = loaded.generate(**given, max_new_tokens=20, do_sample=False)[0, len(prompt) :].tolist()
        assert found[: len(expected)] == expected
        assert len(expected) == 20 or ours.tokenizer.tokens[found[len(expected)]] is None


def test_prompts_of_a_batch_are_padded_without_a_trace(exported):
    loaded, tokenizer = exported
    texts = ["the", "a much longer text than the first one"]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    assert batch["attention_mask"][0, 0] == 0
    together = loaded.generate(**batch, max_new_tokens=8, do_sample=False)[:, batch["input_ids"].size(1) :]
    for text, row in zip(texts, together.tolist(), strict=True):
        given = tokenizer(text, return_tensors="pt")
        alone = loaded.generate(**given, max_new_tokens=8, do_sample=False)[0, given["input_ids"].size(1) :].tolist()
        assert row == alone + [tokenizer.pad_token_id] * (8 - len(alone))


def test_the_tokenizer_gives_our_ids_and_texts(exported):
    encoder = Encoder(small_tokenizer())
    for text in TEXTS[:-1]:
        ids = exported[1].encode(text, add_special_tokens=False)
        assert ids == encoder.encode([text])[0].tolist()
        assert exported[1].decode(ids) == text


def test_conversations_are_turns_of_special_tokens(exported):
    tokenizer, encoder = small_tokenizer(), Encoder(small_tokenizer())
    start, sep, end, call = (tokenizer.specials[mark] for mark in tokenizer.turn_marks)
    turns = [
        ("system", ["Be short."]),
        ("user", ["How many r?"]),
        ("assistant", [call, "calculator", sep, '"r".count("r")', call, "search", sep, '{"query": "r", "most": 2}']),
        ("tool", ["1"]),
        ("assistant", [" One.\n"]),
    ]
    expected, said = [tokenizer.bos], [0]
    for role, parts in turns:
        head, rest = [start, role, sep], [*parts, end]
        for pieces, counts in ((head, 0), (rest, int(role == "assistant"))):
            ids = [i for part in pieces for i in ([part] if isinstance(part, int) else encoder.encode([part])[0])]
            expected += ids
            said += [counts] * len(ids)
    found = exported[1].apply_chat_template(CHAT, return_dict=True, return_assistant_tokens_mask=True)
    assert found["input_ids"] == expected
    assert found["assistant_masks"] == said
    asked = exported[1].apply_chat_template(CHAT[:2], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert asked[-3:] == [start, *encoder.encode(["assistant"])[0].tolist(), sep][-3:]
    assert asked == expected[: len(asked)]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "robot", "content": "x"}, "A role is"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, "parse their JSON"),
    ],
)
def test_what_is_no_conversation_is_refused(exported, message, said):
    with pytest.raises(Exception, match=said):
        exported[1].apply_chat_template([message])


def test_generation_ends_with_a_document_and_with_a_turn(exported):
    tokenizer = small_tokenizer()
    assert exported[0].generation_config.eos_token_id == [tokenizer.bos, tokenizer.specials["<|im_end|>"]]


def test_bf16_weights_are_the_rounded_ones(theirs, model, tmp_path):
    export_model(model, tmp_path / "hf", "bf16")
    loaded = theirs.AutoModelForCausalLM.from_pretrained(tmp_path / "hf", local_files_only=True)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.bfloat16}
    ours, _ = checkpoint.load_model(model, torch.device("cpu"))
    assert torch.equal(loaded.lm_head.weight, ours.head.weight.bfloat16())


def test_a_tokenizer_without_turns_has_no_template(theirs, tmp_path):
    def only_bos(content):
        content["added_tokens"] = content["added_tokens"][:1]

    plain = Tokenizer("plain", changed(small_tokenizer(), only_bos))
    with pytest.raises(ConfigError, match=r"no <\|im_start\|> and no .*can't write conversations"):
        _ = plain.turn_marks
    export_model(stirred(tmp_path / "model", plain, depth=1), tmp_path / "hf", "fp32")
    tokenizer = theirs.AutoTokenizer.from_pretrained(tmp_path / "hf", local_files_only=True)
    assert tokenizer.chat_template is None
    assert tokenizer("a")["input_ids"][0] == plain.bos


def test_the_first_tokenizers_have_the_mark_of_a_call_under_a_reserved_name(theirs, tmp_path):
    def earlier(content):
        for token in content["added_tokens"]:
            token["content"] = token["content"].replace("<|call|>", "<|reserved_0|>")

    old = Tokenizer("old", changed(small_tokenizer(), earlier))
    assert old.specials[old.turn_marks.call] == small_tokenizer().specials["<|call|>"]
    export_model(stirred(tmp_path / "model", old, depth=1), tmp_path / "hf", "fp32")
    tokenizer = theirs.AutoTokenizer.from_pretrained(tmp_path / "hf", local_files_only=True)
    ids = tokenizer.apply_chat_template(CHAT, return_dict=True)["input_ids"]
    assert ids.count(old.specials["<|reserved_0|>"]) == 2


def test_the_folder_loads_by_their_code_alone(exported):
    loaded, tokenizer = exported
    assert type(loaded).__name__ == "NanoChatForCausalLM"
    assert all(type(one).__module__.startswith("transformers.") for one in (loaded, tokenizer, *loaded.model.layers))


def test_the_command_line_writes_the_same_bytes_again_or_refuses(model, tmp_path, monkeypatch, capsys):
    def export(*words):
        command = ["corpus", "export", str(model), "-o", str(tmp_path / "hf"), *words]
        monkeypatch.setattr(sys, "argv", command)
        main()
        return capsys.readouterr()

    def tree():
        return {path.name: path.read_bytes() for path in (tmp_path / "hf").iterdir()}

    first = json.loads(export("--for", "transformers", "--json").out)
    assert first["dtype"] == "fp32"
    before = tree()
    assert not any(name.startswith(".") for name in before)
    export("--for", "transformers")
    assert tree() == before
    (tmp_path / "hf" / "export.json").unlink()
    with pytest.raises(SystemExit):
        export("--for", "transformers")
    assert "holds other files" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export("--for", "datasets", "--dtype", "bf16")
    assert "--dtype is only for --for transformers" in capsys.readouterr().err


def test_killed_at_any_file_it_ends_with_the_same_bytes(model, tmp_path, monkeypatch):
    from corpus.storage.store import LocalStore

    export_model(model, tmp_path / "whole", "fp32")
    real = LocalStore.adopt
    calls = 0

    def dies(store, scratch, key):
        nonlocal calls
        calls += 1
        if calls == left:
            raise KeyboardInterrupt
        return real(store, scratch, key)

    files = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    monkeypatch.setattr(LocalStore, "adopt", dies)
    for left in range(1, len(files) + 2):  # the plan, and each file
        calls = 0
        out = tmp_path / f"killed{left}"
        with pytest.raises(KeyboardInterrupt):
            export_model(model, out, "fp32")
        calls = -100
        export_model(model, out, "fp32")
        assert {path.name: path.read_bytes() for path in out.iterdir()} == files


def test_another_export_into_the_same_folder_is_refused(model, tmp_path):
    export_model(model, tmp_path / "hf", "fp32")
    with pytest.raises(OutputError, match="dtype"):
        export_model(model, tmp_path / "hf", "bf16")


def test_what_is_no_finished_model_is_said(tokens, model, tmp_path):
    with pytest.raises(InputError, match="has no trained model"):
        export_model(tmp_path, tmp_path / "hf", "fp32")
    train(tmp_path / "begun", Pretraining(tokens, replace(SETTINGS, steps=9)), TrainWorker(), After(2))
    with pytest.raises(InputError, match="is not finished"):
        export_model(tmp_path / "begun", tmp_path / "hf", "fp32")
    assert not (tmp_path / "hf").exists()


def copied(model, folder):
    folder.mkdir()
    for file in model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_a_tokenizer_behind_a_link_is_not_read(model, tmp_path):
    folder = copied(model, tmp_path / "model")
    (folder / "tokenizer.json").rename(tmp_path / "elsewhere.json")
    (folder / "tokenizer.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(IntegrityError, match="is a symbolic link"):
        export_model(folder, tmp_path / "hf", "fp32")


def test_a_damaged_model_is_not_exported(model, tmp_path):
    folder = copied(model, tmp_path / "model")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"tokenizer\.json is missing or damaged"):
        export_model(folder, tmp_path / "hf", "fp32")
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors is missing or damaged"):
        export_model(folder, tmp_path / "hf", "fp32")
    assert not (tmp_path / "hf").exists()
