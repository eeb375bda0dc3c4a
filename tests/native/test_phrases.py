"""Phrases are counted as Python counts them one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native import kernels

PHRASE = st.text("abé =", min_size=1, max_size=4)


@given(st.lists(PHRASE, unique=True, max_size=12), st.text("abABéÉ =c\0", max_size=60))
def test_phrases_are_counted_as_python_counts_them(phrases, text):
    data = text.encode()
    expected = [data.lower().count(phrase.encode()) for phrase in phrases]
    assert kernels.PhraseCounter(phrases).counts(data) == expected


def test_a_phrase_is_not_counted_where_it_overlaps_itself():
    assert kernels.PhraseCounter(["aba", "b"]).counts(b"ABABABA ab") == [2, 4]


@pytest.mark.parametrize("phrases", [[""], ["a", "B"], ["a"] * 256, [f"{number}" * 30 for number in range(255)]])
def test_phrases_that_can_not_be_looked_for_are_named(phrases):
    with pytest.raises(ValueError, match="phrase"):
        kernels.PhraseCounter(phrases)
