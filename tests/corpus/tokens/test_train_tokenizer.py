"""Training of a vocabulary."""

import json

import pytest

from corpus.errors import ConfigError, InputError
from corpus.tokens.byte_level_bpe import OUR_PATTERN, to_bytes
from corpus.tokens.train_tokenizer import SPECIALS, train_tokenizer
from tests.bpe import TEXTS, merges_of


def test_training_is_plain_bpe():
    learned = train_tokenizer("t", TEXTS, 256 + 200 + len(SPECIALS))
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right in merges_of(TEXTS, 200):
        tokens.append(tokens[left] + tokens[right])
    bytes_at = [learned.tokens[number] for number in range(256)]
    assert sorted(bytes_at) == tokens[:256]
    assert [to_bytes(left) + to_bytes(right) for left, right in learned.content["model"]["merges"]] == tokens[256:]
    assert list(learned.specials) == list(SPECIALS)
    assert min(learned.specials.values()) == len(tokens)
    assert learned.vocab_size == len(tokens) + len(SPECIALS)
    assert json.dumps(OUR_PATTERN) in learned.data.decode()


def test_training_gives_the_same_bytes_in_any_order():
    first = train_tokenizer("t", TEXTS, 500)
    assert train_tokenizer("t", TEXTS[::-1], 500).data == first.data
    assert train_tokenizer("t", (text for text in TEXTS), 500).data == first.data


def test_a_long_text_counts_to_its_ten_thousandth_character():
    many = "zq" * 5_000
    capped = train_tokenizer("t", [*TEXTS, many], 400)
    assert train_tokenizer("t", [*TEXTS, many + " xw" * 9_000], 400).data == capped.data


@pytest.mark.parametrize(("size", "error"), [(271, ConfigError), (30_000, InputError)])
def test_sizes_that_can_not_be(size, error):
    with pytest.raises(error, match="vocabulary of"):
        train_tokenizer("t", ["some words, some more words"], size)
