"""Tokenizers by name, folder and file."""

import os

import pytest

from corpus.errors import ConfigError
from corpus.tokens.encoder import Encoder, odd_texts
from corpus.tokens.load_tokenizer import KNOWN, load_tokenizer
from tests.bpe import TEXTS


def test_names_paths_and_what_is_missing(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "none"))
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok" / "tokenizer.json").write_bytes(tokenizer.data)
    for given_as in ("tok", "tok/tokenizer.json"):
        assert load_tokenizer(str(tmp_path / given_as)).sha256 == tokenizer.sha256
    assert load_tokenizer(str(tmp_path / "tok")).name == "tok"
    with pytest.raises(ConfigError, match=r"not on this machine.*--vocab-dir"):
        load_tokenizer("gpt2")
    with pytest.raises(ConfigError, match="can't be read: File name too long"):
        load_tokenizer("x" * 300)
    with pytest.raises(ConfigError, match="gpt2"):
        load_tokenizer("gtp2")
    with pytest.raises(ConfigError, match=r"no tokenizer\.json"):
        load_tokenizer(str(tmp_path))
    (tmp_path / "cl100k_base.tiktoken").write_bytes(b"YQ== 0\n")
    for given_as in ("cl100k", str(tmp_path / "cl100k_base.tiktoken")):
        with pytest.raises(ConfigError, match="not the published"):
            load_tokenizer(given_as, tmp_path)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("gpt2", "gpt2"),
        pytest.param("cl100k", "cl100k_base", marks=pytest.mark.slow),  # some seconds each to load in Python
        pytest.param("o200k", "o200k_base", marks=pytest.mark.slow),
    ],
)
def test_known_vocabularies_give_tiktoken_s_ids(shared_data, tmp_path, monkeypatch, name, encoding):
    import tiktoken

    for file in KNOWN[name]:
        os.symlink(shared_data / "vocab" / file.name, tmp_path / file.cached)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    tokenizer = load_tokenizer(name)  # from tiktoken's own cache
    encoder = Encoder(tokenizer)
    assert encoder.engine == "gigatoken"
    theirs = tiktoken.get_encoding(encoding)
    assert (tokenizer.vocab_size, tokenizer.bos) == (theirs.n_vocab, theirs.eot_token)
    texts = [*odd_texts(), *TEXTS]
    new = [text for text in texts if encoder._fast.unsure([text])]  # tiktoken's Unicode is of yet another year
    texts = [text for text in texts if text not in new]
    assert encoder.encode(texts)[0].tolist() == [n for text in texts for n in theirs.encode_ordinary(text)]
