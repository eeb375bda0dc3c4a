"""A tokenizer.json: its bytes, its specials, and what is refused."""

import pytest

from corpus.errors import ConfigError
from corpus.tokens.tokenizer import Tokenizer
from tests.bpe import changed


def test_every_byte_has_an_id_and_comes_back(tokenizer):
    single = {token[0]: number for number, token in enumerate(tokenizer.tokens) if token and len(token) == 1}
    assert sorted(single) == list(range(256))
    scattered = bytes([0xFF, 0x80, 0xC3, 0x00, 0xE2, 0x82])
    assert tokenizer.decode([single[byte] for byte in scattered]) == scattered


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model"].update(type="WordPiece"), "byte-level BPE"),
        (lambda c: c.update(normalizer={"type": "NFC"}), "byte-level BPE"),
        (lambda c: c.update(pre_tokenizer=None), "byte-level BPE"),
        (lambda c: c["model"]["vocab"].pop("A"), "lacks 1 of the 256 bytes"),
        (lambda c: c.pop("model"), "is not a tokenizer"),
        (lambda c: c.update(model={"type": "BPE"}), "is not a tokenizer"),
        (lambda c: c["model"]["vocab"].update(A="1"), "is not a tokenizer"),
        (lambda c: c["model"]["vocab"].update(A=300_000_000), "is not a tokenizer"),
        (lambda c: c["model"]["vocab"].update(A=-1), "is not a tokenizer"),
    ],
)
def test_what_would_lose_bytes_is_refused(tokenizer, change, message):
    with pytest.raises(ConfigError, match=message):
        Tokenizer("other", changed(tokenizer, change))


def test_a_tokenizer_without_separator_is_refused(tokenizer):
    made = Tokenizer("other", changed(tokenizer, lambda c: c.update(added_tokens=[])))
    with pytest.raises(ConfigError, match="separates documents"):
        _ = made.bos
