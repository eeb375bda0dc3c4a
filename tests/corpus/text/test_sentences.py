"""Sentence counting by stretches, against the count that goes through all tokens."""

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.pipeline import Sentencizer

from corpus.text.punctuation import SENTENCE_ENDS
from tests.reference.sentences import count_by_tokens, count_sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (" ", 1),
        ("word", 1),
        ("One. Two", 2),
        ("One. Two.", 2),
        ("One. (Two)", 2),
        ("One. —", 1),
        ("One. — two", 2),
        ("One. two — ", 2),
        ("One . two", 2),
        ("One... two?! three!!!", 2),  # "..." ends nothing
        ("one.Two three", 2),
        ("One.  ", 2),  # spaCy takes the second space for a token
        ("One.\tTwo.", 2),
        ("e.g. this", 1),
    ],
)
def test_small_texts(text, count):
    assert count_sentences(text) == count_by_tokens(text) == count


@given(st.text(alphabet='aB1.!?…,-)(”“" \t\n\u00a0。\ud800', max_size=40), st.sampled_from(["en", "de", "xx"]))
def test_equal_to_going_through_all_tokens(text, language):
    assert count_sentences(text, language) == count_by_tokens(text, language)


@pytest.mark.parametrize("step", [pytest.param(10, marks=pytest.mark.slow), 30])
def test_equal_on_real_lines(shared_data, step):
    texts = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])["text"].to_pylist()
    lines = [line for text in filter(None, texts[::step]) for line in (text, *text.splitlines())]
    assert [count_sentences(line) for line in lines] == [count_by_tokens(line) for line in lines]


def test_the_ends_of_sentences_are_spacys():
    assert set(Sentencizer.default_punct_chars) == SENTENCE_ENDS
