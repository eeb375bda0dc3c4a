"""Text to ids and back: nothing is lost, nothing is forged, and the ids are HF tokenizers' own."""

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HF

import corpus.tokens.gigatoken_encoder
from corpus.errors import ConfigError
from corpus.tokens.encoder import Encoder, odd_texts
from corpus.tokens.gigatoken_encoder import GigatokenEncoder
from corpus.tokens.tokenizer import Tokenizer
from corpus.tokens.train_tokenizer import SPECIALS
from tests.bpe import TEXTS, changed

# letters, numbers in runs, spaces and marks next to each other: where splits are decided
TEXT = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["a", "É", "日", "1", "23", "٣", "½", " ", "  ", "\n", "\r\n", "'s", "'LL", "!", "\u0301", "👩", "ſ"]
        )
    ).map("".join),
)


@pytest.fixture(scope="module")
def encoder(tokenizer):
    made = Encoder(tokenizer)
    assert made.engine == "gigatoken"
    return made


@cache
def plain_hf(tokenizer):
    return HF.from_str(json.dumps({**tokenizer.content, "added_tokens": []}))


def hf_ids(tokenizer, text):
    """The ids that HF tokenizers alone gives, without special tokens."""
    return plain_hf(tokenizer).encode(text, add_special_tokens=False).ids


@settings(max_examples=300)
@given(TEXT)
def test_any_text_comes_back_and_its_bytes_add_up(tokenizer, encoder, text):
    ids, counts = encoder.encode([text])
    assert tokenizer.decode(ids.tolist()) == text.encode()
    assert tokenizer.token_bytes[ids].sum() == len(text.encode())
    assert counts.tolist() == [len(ids)]


@settings(max_examples=300)
@given(st.lists(TEXT, min_size=1, max_size=5))
def test_ids_are_those_of_hf(tokenizer, encoder, texts):
    ids, counts = encoder.encode(texts)
    expected = [hf_ids(tokenizer, text) for text in texts]
    assert ids.tolist() == [number for found in expected for number in found]
    assert counts.tolist() == [len(found) for found in expected]


def test_ids_of_odd_texts_and_of_all_texts_at_once(tokenizer, encoder):
    texts = [*odd_texts(), *TEXTS, "", *SPECIALS]
    ids, counts = encoder.encode(texts)
    assert np.split(ids, np.cumsum(counts)[:-1])[5].tolist() == hf_ids(tokenizer, texts[5])
    assert ids.tolist() == [number for text in texts for number in hf_ids(tokenizer, text)]


@pytest.mark.parametrize("digits", range(1, 12))
@pytest.mark.parametrize("digit", ["7", "٣", "½"])
def test_numbers_are_split_after_each_second_digit(tokenizer, encoder, digit, digits):
    text = f"a{digit * digits} {digit * digits}b"
    assert encoder.encode([text])[0].tolist() == hf_ids(tokenizer, text)
    pieces = [piece for piece, _ in HF.from_str(tokenizer.data.decode()).pre_tokenizer.pre_tokenize_str("x1234567")]
    assert pieces == ["x", "12", "34", "56", "7"]


def test_characters_that_libraries_disagree_on(tokenizer, encoder):
    """These letters came with Unicode 17, which not every library has."""
    texts = [f"a{chr(code)}a{chr(code)} 1{chr(code)}" for code in (0x088F, 0xA7CE, 0x10940, 0x323B0, 0x33479)]
    texts.append("plain")
    assert encoder.encode(texts)[0].tolist() == [number for text in texts for number in hf_ids(tokenizer, text)]
    assert encoder.engine == "gigatoken"


@pytest.mark.slow
def test_every_character_of_unicode(tokenizer, encoder):
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), 20_000):
        texts = [f"a{chr(code)}a {chr(code)}{chr(code)}{chr(code)}1{chr(code)}\n" for code in codes[start:][:20_000]]
        fast, slow = encoder.encode(texts), encoder._slow(texts)
        assert np.array_equal(fast[0], slow[0])
        assert np.array_equal(fast[1], slow[1])


def test_an_encoder_that_has_seen_much_is_made_anew(tokenizer, monkeypatch):
    """An encoder keeps all words that it has seen."""
    monkeypatch.setattr(corpus.tokens.gigatoken_encoder, "MOST_IDS", 100)
    encoder = Encoder(tokenizer)
    used = []
    for number in range(6):
        texts = [f"words of number {number} and {word}" for word in range(10)]
        used.append(encoder._fast._encoder)
        ids, lengths = encoder.encode(texts)
        expected, counts = encoder._slow(texts)
        assert np.array_equal(ids, expected)
        assert np.array_equal(lengths, counts)
    assert encoder.engine == "gigatoken"
    assert len({id(one) for one in used}) > 3


@pytest.mark.parametrize("fast", [True, False])
def test_text_gives_no_special_id(tokenizer, fast):
    made = Encoder(tokenizer)
    if not fast:
        made._fast = None
    texts = [f"{special}x {special}{special}" for special in tokenizer.specials]
    ids, _ = made.encode(texts)
    assert not set(ids.tolist()) & set(tokenizer.specials.values())
    assert tokenizer.decode(ids.tolist()).decode() == "".join(texts)


@pytest.mark.parametrize("fast", [True, False])
def test_lone_surrogates_are_refused(tokenizer, fast):
    made = Encoder(tokenizer)
    if not fast:
        made._fast = None
    with pytest.raises((UnicodeEncodeError, TypeError)):
        made.encode(["fine", "not \ud800 fine"])


def test_an_encoder_that_is_wrong_is_not_used(tokenizer, monkeypatch):
    right = GigatokenEncoder.encode

    def wrong(self, texts):
        ids, counts = right(self, texts)
        return np.where(ids == ids.max(), ids - 1, ids), counts

    monkeypatch.setattr(GigatokenEncoder, "encode", wrong)
    made = Encoder(tokenizer)
    assert made.engine == "tokenizers"
    assert made.encode([TEXTS[0]])[0].tolist() == hf_ids(tokenizer, TEXTS[0])


def test_documents_are_checked_too(tokenizer, monkeypatch):
    """An error that no odd text shows is found in the documents that are compared."""
    made = Encoder(tokenizer)
    right = GigatokenEncoder.encode

    def wrong(self, texts):
        ids, counts = right(self, texts)
        return (ids[::-1] if any("caraway" in text for text in texts) else ids), counts

    monkeypatch.setattr(GigatokenEncoder, "encode", wrong)
    assert made.check(["nothing of it"])
    assert not made.check([TEXTS[0]])
    assert made.encode([TEXTS[0]])[0].tolist() == hf_ids(tokenizer, TEXTS[0])


def test_an_unknown_pattern_is_encoded_by_hf(tokenizer):
    changed = json.loads(tokenizer.data)
    changed["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\s+|\S"
    other = Tokenizer("other", json.dumps(changed).encode())
    made = Encoder(other)
    assert made.engine == "tokenizers"
    assert other.decode(made.encode([TEXTS[1]])[0].tolist()) == TEXTS[1].encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["pre_tokenizer"]["pretokenizers"].insert(0, {"type": "WhitespaceSplit"}),
        lambda c: c["added_tokens"].append({**c["added_tokens"][0], "content": "☃", "lstrip": True, "special": False}),
    ],
)
def test_what_shows_only_in_encoding_is_refused_before_any_work(tokenizer, change):
    with pytest.raises(ConfigError, match="other is not a byte-level BPE that keeps text"):
        Encoder(Tokenizer("other", changed(tokenizer, change)))


PADDING = {
    "strategy": {"Fixed": 999}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0,
    "pad_token": "!",
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(truncation=dict(direction="Right", max_length=4, strategy="LongestFirst", stride=0)),
        lambda c: c.update(padding=PADDING),
        lambda c: c["model"].update(dropout=0.9),
    ],
    ids=["truncation", "padding", "dropout"],
)
def test_ids_are_all_of_the_text_s_and_always_the_same(tokenizer, encoder, change):
    made = Encoder(Tokenizer("other", changed(tokenizer, change)))
    assert made._slow([TEXTS[0]])[0].tolist() == encoder.encode([TEXTS[0]])[0].tolist()
    assert made.engine == "gigatoken"
