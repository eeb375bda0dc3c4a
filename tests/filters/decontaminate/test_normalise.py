import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.decontaminate.normalise import joined_words_of, words_of, words_of_stretch


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The CAFÉ's “new” well-known menu: 3/4!", ["the", "cafes", "new", "well", "known", "menu", "3", "4"]),
        ("ﬁnd １２ ½ Straße", ["find", "12", "1", "2", "strasse"]),
        ("東京は日本の首都です。", list("東京は日本の首都てす")),
        ("प्रश्न", ["परशन"]),
        ("ภาษาไทย", list("ภาษาไทย")),
        ("exam\u00adple z\u200bero", ["example", "zero"]),
        ("\ud800 _ -- \0", []),
    ],
)
def test_words_have_no_case_punctuation_accents_or_forms(text, words):
    assert words_of(text) == words


def test_deleted_punctuation_joins_words():
    assert joined_words_of("(1+i)^10 is 3.5, well-known") == ["1i10", "is", "35", "wellknown"]


@given(st.text())
def test_any_text_has_words_that_stay_the_same(text):
    words = words_of(text)
    assert all(word and word.isalnum() for word in words)
    assert [word for one in words for word in words_of(one)] == words


@given(st.text(alphabet=st.characters(codec="latin-1")))
def test_case_and_composition_do_not_count(text):
    words = words_of(text)
    assert words_of(unicodedata.normalize("NFD", text)) == words
    assert words_of(unicodedata.normalize("NFC", text).upper()) == words


def test_a_long_run_of_marks_has_the_words_of_its_letters():
    assert words_of_stretch("é" + "\u0301\u0323" * 20_000 + "n") == ["en"]
