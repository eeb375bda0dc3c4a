"""`corpus tokenizer` and the other verbs about tokens, on the command line."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from rich.console import Console

from corpus.errors import ConfigError, OutputError
from corpus.tokens.encoder import Encoder
from corpus.tokens.load_tokenizer import load_tokenizer
from corpus.tokens.token_folder import open_tokens
from corpus.tokens.tokenizer import Tokenizer
from jobs.cli import cli
from jobs.tokens import tokenizers as job
from tests.bpe import TEXTS, small_tokenizer
from tests.engines import InProcess

LANGUAGES = ("en", "de", None, "ru", "en")


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts") / "t"
    folder.mkdir()
    table = pa.table({"id": [str(n) for n in range(50)], "text": TEXTS * 10, "language": LANGUAGES * 10})
    pq.write_table(table, folder / "a.parquet")
    return folder


@pytest.fixture(scope="module")
def trained(texts, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "tok"
    job.train(texts, out, 600)
    return out


def run(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_trained_folder(trained):
    names = {path.name for path in trained.iterdir()}
    assert names == {"tokenizer.json", "token_bytes.json", "tokenizer_config.json", "training.json"}
    made = load_tokenizer(str(trained))
    assert (made.name, made.vocab_size) == ("tok", 600)
    assert json.loads((trained / "token_bytes.json").read_text()) == made.token_bytes.tolist()
    facts = json.loads((trained / "training.json").read_text())
    assert (facts["sha256"], facts["specials"]) == (made.sha256, made.specials)


def test_training_again_gives_the_same_and_never_overwrites(texts, trained, tmp_path):
    job.train(texts, tmp_path / "tok", 600)
    for path in trained.iterdir():
        assert (tmp_path / "tok" / path.name).read_bytes() == path.read_bytes()
    job.train(texts, tmp_path / "tok", 600)
    with pytest.raises(OutputError, match="another tokenizer"):
        job.train(texts, tmp_path / "tok", 500)
    assert load_tokenizer(str(tmp_path / "tok")).vocab_size == 600


def test_a_folder_of_other_files_is_refused_before_learning(texts, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "train_tokenizer", None)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="other files"):
        job.train(texts, tmp_path, 600)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_less_text_is_read_where_wanted(texts, trained, tmp_path):
    with pytest.raises(Exception, match="vocabulary of"):
        job.train(texts, tmp_path / "tok", 600, most_chars=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_transformers_loads_it(trained):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(trained))
    ours = load_tokenizer(str(trained))
    for text in TEXTS[:-1]:
        ids = theirs.encode(text, add_special_tokens=False)
        assert ids == Encoder(ours).encode([text])[0].tolist()
        assert theirs.decode(ids) == text
    assert theirs.bos_token_id == ours.bos
    assert theirs.encode("<|im_start|>", add_special_tokens=False) == [ours.specials["<|im_start|>"]]


def test_shown_tokens_have_every_byte():
    found = job.tokens_of(small_tokenizer(), " the 日\n\x1b[1m")
    assert b"".join(one.bytes for one in found) == " the 日\n\x1b[1m".encode()
    shown = [one.text for one in found]
    assert shown[0] == " the"
    assert "\\n" in "".join(shown)
    assert "\\x1b" in "".join(shown)  # no text moves the cursor
    assert {"\\xe6", "\\x97", "\\xa5"} & set(shown) or any("日" in text for text in shown)


def test_show_in_colors_and_without():
    found = job.tokens_of(small_tokenizer(), "the town [bold] 12345")
    plain, colored = io.StringIO(), io.StringIO()
    job.show_tokens(found, Console(file=plain, width=200))
    job.show_tokens(found, Console(file=colored, width=200, force_terminal=True, color_system="truecolor"))
    lines = plain.getvalue().splitlines()
    assert lines[0] == "│".join(one.text for one in found)
    assert lines[1] == "│".join(str(one.id) for one in found)
    assert "12│34│5" in lines[0]
    assert lines[2].startswith(f"{len(found)} tokens, 21 bytes")
    assert "\x1b[" in colored.getvalue()
    assert "│" not in colored.getvalue()


def test_bytes_that_are_no_text():
    with pytest.raises(ConfigError, match="not valid UTF-8"):
        job.tokens_of(small_tokenizer(), "lone \udc80")


def test_show_as_json(trained):
    found = json.loads(run("tokenizer", "show", trained, "Hello 日", "--json").stdout)
    assert b"".join(bytes.fromhex(one["bytes"]) for one in found) == "Hello 日".encode()
    assert [one["id"] for one in found] == Encoder(load_tokenizer(str(trained))).encode(["Hello 日"])[0].tolist()


def test_compare_counts_bytes_and_tokens_by_language(texts):
    small, smaller = small_tokenizer(), Tokenizer("smaller", small_tokenizer(40).data)
    rows = job.compare([small, smaller], texts, report=lambda line: None)
    assert rows[0]["language"] == "all"
    by_name = {row["language"]: row for row in rows}
    assert set(by_name) == {"all", "en", "de", "unknown", "ru"}
    for name, row in by_name.items():
        own = [text for text, language in zip(TEXTS, LANGUAGES, strict=True) if name in ("all", language or "unknown")]
        size = sum(len(text.encode()) for text in own)
        assert (row["documents"], row["bytes"]) == (10 * len(own), 10 * size)
        for tokenizer in (small, smaller):
            tokens = len(Encoder(tokenizer).encode(own)[0])
            assert row["bytes_per_token"][tokenizer.name] == round(size / tokens, 4)
    sizes = [row["bytes"] for row in rows[1:]]
    assert sizes == sorted(sizes, reverse=True)


def test_compare_where_texts_come_late(tmp_path):
    pq.write_table(pa.table({"text": [None] * 21_000 + ["text"]}), tmp_path / "a.parquet")
    assert job.compare([small_tokenizer()], tmp_path)[0]["documents"] == 1


def test_compare_as_a_table_and_as_json(texts, trained):
    as_json = json.loads(run("tokenizer", "compare", trained, "--on", texts, "--json").stdout)
    table = run("tokenizer", "compare", trained, "--on", texts).stdout
    assert "tok" in table.splitlines()[0]
    for row in as_json:
        assert f"{row['bytes_per_token']['tok']:.2f}" in table
    with pytest.raises(ConfigError, match="the same name"):
        run("tokenizer", "compare", trained, trained, "--on", texts)


def test_tokenize_and_export_as_typed(texts, trained, tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.verbs.options.LocalEngine", InProcess)
    options = ["--tokenizer", trained, "--val-share", 0.5, "--json"]
    result = run("tokenize", texts, "-o", tmp_path / "tokens", *options)
    printed = json.loads(result.stdout)
    tokens = open_tokens(tmp_path / "tokens")
    assert printed["splits"]["train"]["tokens"] == tokens.train.tokens
    assert printed["documents"]["tokenized"] == 50
    assert f"train: {tokens.train.tokens:,} tokens" in result.stderr
    assert "is already complete" in run("tokenize", texts, "-o", tmp_path / "tokens", *options).stderr
    result = run("export", texts, "-o", tmp_path / "shards", "--for", "nanochat", "--json")
    assert json.loads(result.stdout)["documents"]["in"] == 50
    assert "can use only one GPU for each" in result.stderr


@pytest.mark.parametrize(
    "verb", [("tokenizer", "train"), ("tokenizer", "show"), ("tokenizer", "compare"), ("tokenize",), ("export",)]
)
def test_help_has_an_example(verb):
    assert f"Example: corpus {' '.join(verb)}" in run(*verb, "--help").stdout
