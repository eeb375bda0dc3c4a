from collections import Counter

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text.ngrams import duplicate_ngram_chars, top_ngram_chars
from corpus.text.vocabulary import Words
from corpus.text.words import split_words

SIZES = range(1, 12)


def plain_top(words, n):
    """The definition in plain Python, n-gram by n-gram."""
    grams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    if not grams:
        return 0
    gram, count = Counter(grams).most_common(1)[0]
    return len(gram) * count


def plain_duplicates(words, n):
    seen, chars, i = set(), 0, 0
    while i < len(words) - n + 1:
        gram = "".join(words[i : i + n])
        if gram in seen:
            chars += len(gram)
            i += n
        else:
            seen.add(gram)
            i += 1
    return chars


def agrees(words):
    assert top_ngram_chars(Words.of(words), SIZES) == {n: plain_top(words, n) for n in SIZES}
    assert duplicate_ngram_chars(Words.of(words), SIZES) == {n: plain_duplicates(words, n) for n in SIZES}


@pytest.mark.parametrize(
    ("text", "n", "chars"),
    [
        ("to be or not to be", 2, 10),
        ("to be or not to be", 3, 8),  # nothing repeats: the first n-gram, "to be or", once
        ("aaa b c d aaa b c d", 2, 10),  # "aaa b", "b c" and "c d" occur twice: the first seen wins
        ("b c aaaa d b c aaaa d", 2, 6),
        ("one", 1, 3),
        ("one", 2, 0),
        ("", 1, 0),
    ],
)
def test_the_top_ngram_is_the_most_frequent_and_the_first_of_equals(text, n, chars):
    assert top_ngram_chars(Words.of(text.split()), [n]) == {n: chars}


@pytest.mark.parametrize(
    ("text", "n", "chars"),
    [
        ("a b c a b c", 3, 3),
        ("a a a a a a", 2, 4),  # a hit skips its words: positions 1-2 and 3-4, not 5
        ("a b c d", 2, 0),
        ("one", 2, 0),
        ("", 5, 0),
        ("ab c x a bc", 2, 3),  # other words, the same joined text
    ],
)
def test_duplicated_ngrams_count_their_characters_without_spaces(text, n, chars):
    assert plain_duplicates(text.split(), n) == chars
    assert duplicate_ngram_chars(Words.of(text.split()), [n]) == {n: chars}


def test_a_longer_ngram_can_repeat_where_no_shorter_one_does():
    words = ["ab", "c", "d", "y", "a", "b", "cd"]
    assert duplicate_ngram_chars(Words.of(words), [2, 3]) == {2: 0, 3: 4}
    agrees(words)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(["a", "b", "ab", "ba", "aab", "bc", "c"]), max_size=60))
def test_words_whose_joins_collide_agree_with_the_definition(words):
    agrees(words)


@settings(max_examples=200)
@given(st.lists(st.text(st.characters(), max_size=3).map(lambda s: "".join(s.split())), max_size=30))
def test_any_words_agree_with_the_definition(words):
    agrees(words)


def test_thue_morse_words_which_collide_in_polynomial_hashes_agree_with_the_definition():
    bits = "a"
    for _ in range(11):  # the two halves of 2^11 letters and their swap hash alike mod 2^64, whatever the base
        bits += bits.translate(str.maketrans("ab", "ba"))
    swapped = bits.translate(str.maketrans("ab", "ba"))
    words = [bits, "x", swapped, "x", bits, "y", swapped]
    assert duplicate_ngram_chars(Words.of(words), [1, 2]) == {n: plain_duplicates(words, n) for n in (1, 2)}


def test_more_distinct_words_than_fit_four_digits_of_a_64_bit_key():
    words = [str(i) for i in range(60_000)] + ["x", "y", "z", "w"] * 3
    assert top_ngram_chars(Words.of(words), [4]) == {4: 21}


def test_real_pages_agree_with_the_definition(shared_data):
    texts = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])["text"].to_pylist()
    for text in filter(None, texts[::100]):
        agrees(split_words(text))
