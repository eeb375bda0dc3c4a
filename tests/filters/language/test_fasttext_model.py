"""The fast way to predict languages, against fastText itself: it gives the same bits, or is not used."""

import struct

import fasttext
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document
from filters.language import fasttext_model
from filters.language.fasttext_model import FastModel
from filters.language.identification import Language, Predictor, checked_model


@pytest.fixture(scope="module")
def data():
    return checked_model()[0].read_bytes()


@pytest.fixture(scope="module")
def fast(data):
    return FastModel(data)


@pytest.fixture(scope="module")
def slow():
    predict = fasttext.load_model(str(checked_model()[0])).f.predict

    def labels(text):
        found = predict(text.replace("\n", " ") + "\n", -1, 0.0, "strict")
        return [(label.removeprefix("__label__"), probability) for probability, label in found]

    return labels


def same(fast, slow, text):
    expected = slow(text)
    assert fast.predict(text) == expected[0]
    assert fast.probabilities(text, [label for label, _ in expected]) == [value for _, value in expected]


WORDS = st.sampled_from(
    ["the", "der", "и", "的", "</s>", "__label__en", "__label__", "<", ">", "\u00a0", "\x85", "\x1c", "e\u0301"]
)


@settings(max_examples=300)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | WORDS).map(" ".join))
def test_any_text_gives_the_same_bits(fast, slow, text):
    same(fast, slow, text)


@pytest.mark.parametrize("text", ["ß" * 70_000, "wort " * 30_000, "語" * 30_000 + " " + "a b " * 40_000])
def test_long_texts_give_the_same_bits(fast, slow, text):
    same(fast, slow, text)


def test_what_was_forgotten_is_learned_again(fast, slow, monkeypatch):
    monkeypatch.setattr(fasttext_model, "_MEMO_LIMIT", 20)
    for start in range(0, 100, 10):
        text = " ".join(f"Wort{i} word{i}" for i in range(start, start + 15))
        same(fast, slow, text)
        assert len(fast._memo) <= 40


def test_real_pages_in_all_languages_give_the_same_bits(fast, slow, shared_data):
    texts = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])["text"].to_pylist()
    for text in filter(None, texts[::4]):
        same(fast, slow, text)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:28] + struct.pack("<i", 2) + data[32:],  # word bigrams
        lambda data: data[:32] + struct.pack("<i", 3) + data[36:],  # softmax
        lambda data: data[:-200] + b"\0\0\x80\x3f" * 50,  # other numbers at the end: found by comparing
    ],
)
def test_another_model_is_left_to_fasttext(data, slow, tmp_path, change):
    path = tmp_path / "model.ftz"
    path.write_bytes(data)

    def predict(text, k):
        return slow(text)

    assert FastModel.of(path, predict) is not None
    path.write_bytes(change(data))
    assert FastModel.of(path, predict) is None


def test_fasttext_itself_gives_what_the_fast_way_gives(monkeypatch):
    texts = ["Hello, how are you?\nFine.", "Wie geht es dir?", "", "\ud800 broken", "слово " * 10]
    found = [(Predictor().best(text), Predictor().of(text, ["en", "de"])) for text in texts]
    monkeypatch.setattr(FastModel, "of", classmethod(lambda *_: None))
    assert [(Predictor().best(text), Predictor().of(text, ["en", "de"])) for text in texts] == found


def test_a_very_long_text_goes_to_fasttext_and_is_judged_the_same(monkeypatch):
    stage = Language()
    stage.prepare()
    text = "This is a sentence of English words. " * 10
    short = dict(stage.apply(Document(text=text)))
    monkeypatch.setattr("filters.language.identification._FAST_CHARS", 100)
    assert dict(stage.apply(Document(text=text))) == short
