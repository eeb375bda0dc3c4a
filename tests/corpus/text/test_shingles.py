import re
import unicodedata
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import regex
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import ConfigError
from corpus.text import shingles as module
from corpus.text import words
from corpus.text.punctuation import PUNCTUATION
from corpus.text.shingles import fold, joined_shingles, normal_words, shingle_similarity, shingles_of
from corpus.text.words import split_words, stretches_of
from tests.growth import assert_linear


def shingles(text, language="en", size=5):
    return shingles_of(stretches_of(text, language), size)


def simplified(text):
    """datatrove's simplify_text, step by step over the whole text."""
    text = regex.sub(r"\p{Nd}+([.,،٫⎖⎗⎘]{1}\p{Nd}+)?", "0", text.lower())
    text = text.translate(str.maketrans(dict.fromkeys(PUNCTUATION, " ")))
    text = re.sub(r"\s+", " ", text.strip())
    text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return text.strip()


def plain_words(text, language="en"):
    return split_words(simplified(text), language)


def plain_fold(values):
    h = values[0]
    for value in values[1:]:
        h = (h * 0x9E3779B97F4A7C15 + value) % 2**64
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = (h ^ h >> 33) * factor % 2**64
    return h ^ h >> 33


def plain_shingles(text):
    hashes = [xxhash.xxh3_64_intdigest(word.encode()) for word in plain_words(text)]
    return [plain_fold(hashes[i : i + 5]) for i in range(len(hashes) - 4)]


@pytest.fixture(scope="module")
def texts(shared_data):
    table = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])
    return [text for text in table["text"].to_pylist()[::60] if text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The QUICK, brown fox.", "the quick brown fox"),
        ("$3.50 and 1,234.5 on 2020-01-02", "0 and 0 0 on 0 0 0"),
        ("3.1.4 v2.0b", "0 0 v0b"),
        ("Café naïve Ångström İstanbul", "cafe naive angstrom istanbul"),
        ("cafe\u0301 \u0301 x", "cafe x"),
        ("don't can't cannot", "don t can t can not"),
        ("٣٫١٤ १२", "0 0"),
        ("ΟΔΟΣ ΟΔΟΣ.", "οδος οδος"),
        ("a\u2003b\x1cc\u3000d", "a b c d"),
        ("•item ½ x²", "•item ½ x²"),
        ("", ""),
        (" ... !!! ", ""),
    ],
)
def test_words_are_lowered_and_numbers_punctuation_and_diacritics_normalised(text, expected):
    assert " ".join(plain_words(text)) == expected
    assert " ".join(normal_words(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$3.50 and 1,234.5 on 2020-01-02", "3 50 and 1 234 5 on 2020 01 02"),
        ("Bread 2.40 EUR", "bread 2 40 eur"),
        ("٣٫١٤ १२", "٣٫١٤ १२"),
        ("The QUICK, brown fox.", "the quick brown fox"),
    ],
)
def test_numbers_stay_where_they_count(text, expected):
    assert " ".join(normal_words(text, numbers=True)) == expected
    ours, alike = (shingles_of(stretches_of(f"{text} {text} {text}"), numbers=numbers) for numbers in (True, False))
    assert (ours.tolist() == alike.tolist()) == (not any(map(str.isdigit, text)))


# A digit newer than this Python's Unicode is a digit to `regex` only: category Cn here.
CHARACTERS = st.characters(exclude_categories=["Cn"])
TELLING = st.sampled_from(
    "aAbΣσİıßéÅ١2３.,،٫⎖'’-_/()•$ \n\t\u00a0\u2003\x1c\x85\u0301\u0316\u0323\u034f\u302e\U0001d165"
)


@settings(max_examples=500)
@given(st.text(TELLING | CHARACTERS, max_size=60))
def test_words_of_any_text_are_those_of_the_whole_text_normalised(text):
    assert normal_words(text) == plain_words(text)


@settings(max_examples=200)
@given(st.text(TELLING, max_size=60), st.sampled_from(["de", "ru", "ar", "xx"]))
def test_words_of_other_languages_are_those_of_the_whole_text_normalised(text, language):
    assert normal_words(text, language) == plain_words(text, language)


def test_words_around_every_mark_digit_punctuation_and_symbol_are_those_of_the_whole_text():
    kinds = {"Mn", "Mc", "Me", "Nd", "Nl", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Zs", "Zl", "Zp", "Cc", "Lm", "Sk"}
    chars = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in kinds]
    assert len(chars) > 4_500
    text = " ".join(f"Σ{char}x1{char}2 {char}A" for char in chars)
    assert normal_words(text) == plain_words(text)


def test_whitespace_separates_every_step_of_the_normalisation():
    """This is the reason that a stretch can be normalised on its own."""
    spaces = {chr(code) for code in range(0x110000) if chr(code).isspace()}
    assert all(re.fullmatch(r"\s", space) for space in spaces)
    for space in spaces:
        assert space.lower() == space
        assert ("A" + space + "Σ").lower()[-1] == "σ"  # the space is not case-ignorable, so the Σ is no final one
        assert ("AΣ" + space + "A").lower()[1] == "ς"
        assert unicodedata.combining(space) == 0
        assert set(unicodedata.normalize("NFD", space)) <= spaces
    for char in map(chr, range(0x110000)):
        if char not in spaces:
            assert spaces.isdisjoint(char.lower())
            assert spaces.isdisjoint(unicodedata.normalize("NFD", char))


def test_words_of_real_pages_are_those_of_the_whole_text_normalised(texts):
    assert len(texts) > 40
    for text in texts:
        assert normal_words(text) == plain_words(text)


def test_marks_in_thousands_take_no_quadratic_time():
    marks = "a" + "\u0301\u0316" * 1_500
    assert normal_words(marks) == plain_words(marks)  # a slice may end between marks, as they are dropped anyway
    for unit in ("\u0301\u0316", "\U0001d165\U0001d16d", "é", "1.", "()", "שלום"):
        assert_linear(lambda size, unit=unit: unit * (size // len(unit)), normal_words, 200_000)


def test_a_megabyte_without_whitespace_is_not_remembered():
    module._remembered_words.cache_clear()
    normal_words("x y z " + "long" * 250_000)
    assert module._remembered_words.cache_info().currsize == 3


def test_a_full_table_starts_anew_and_hashes_no_stretch_twice(monkeypatch):
    text = " ".join(f"Word{i}, déjà-vu({i})" for i in range(10))
    expected = shingles(text).tolist()
    hashed = []
    plain = module._normal_words
    monkeypatch.setattr(module, "_normal_words", lambda *stretch: hashed.append(stretch) or plain(*stretch))
    monkeypatch.setattr(words, "TABLE_LIMIT", 60)
    monkeypatch.setattr(words, "_tables", {})
    assert shingles(text).tolist() == expected
    table = words._tables["en"]
    shingles(" ".join(f"other{i}" for i in range(60)))
    assert shingles(text + " " + text).tolist()[: len(expected)] == expected
    assert words._tables["en"] is not table
    assert len(hashed) == len(set(hashed)) == 10  # those beyond ASCII


def test_lone_surrogates_have_shingles():
    text = "a \ud800 b c \udfff"
    assert normal_words(text) == ["a", "\ufffd", "b", "c", "\ufffd"]
    assert len(shingles(text)) == len(joined_shingles(text)) == 1


def test_languages_without_spaces_are_refused_without_icu(monkeypatch):
    monkeypatch.setattr("corpus.text.words.SEGMENTER", "no-such-package")
    monkeypatch.setattr("corpus.text.words._tables", {})
    with pytest.raises(ConfigError, match="ICU is not installed: ja"):
        shingles("a b c d e", "ja")


@pytest.mark.parametrize("text", ["", " ", "one two three four", "one, two: three - four!"])
def test_a_text_of_fewer_than_five_words_has_no_shingles(text):
    for hashes in (shingles(text), joined_shingles(text)):
        assert hashes.shape == (0,)
        assert hashes.dtype == np.uint64


@settings(max_examples=200)
@given(st.text(TELLING, max_size=80))
def test_a_shingle_is_the_fold_of_its_words_hashes(text):
    assert shingles(text).tolist() == plain_shingles(text)


def test_shingles_of_real_pages_are_equal_where_their_words_are(texts):
    by_hash, by_words = defaultdict(set), set()
    for text in texts:
        found = normal_words(text)
        for i, value in enumerate(shingles(text).tolist()):
            by_hash[value].add(tuple(found[i : i + 5]))
            by_words.add(tuple(found[i : i + 5]))
    assert len(by_words) > 20_000
    assert len(by_hash) == len(by_words)


def test_the_order_of_words_counts():
    five = ["one", "two", "three", "four", "five"]
    swapped = {shingles(" ".join([*five[i:], *five[:i]]))[0] for i in range(5)}
    swapped |= {shingles("two one three four five")[0], shingles("one two three five four")[0]}
    assert len(swapped) == 7


@given(st.lists(st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_fold_is_the_polynomial_it_says(rows):
    columns = list(np.array(rows, dtype=np.uint64).T)
    assert fold(columns).tolist() == [plain_fold(row) for row in rows]


def test_shingle_size_is_a_parameter():
    assert len(shingles("a b c d e f", size=3)) == 4
    assert shingles("a b c", size=3)[0] == plain_fold([xxhash.xxh3_64_intdigest(word) for word in (b"a", b"b", b"c")])


@settings(max_examples=100)
@given(st.text(TELLING, max_size=60))
def test_datatroves_shingles_hash_the_joined_words(text):
    found = plain_words(text)
    joined = [" ".join(found[i : i + 5]).encode() for i in range(len(found) - 4)]
    assert joined_shingles(text).tolist() == [xxhash.xxh64_intdigest(shingle) for shingle in joined]


@given(st.lists(st.sets(st.integers(0, 20)), min_size=1, max_size=6))
def test_jaccard_and_containment_are_those_of_the_sets(sets):
    array = pa.array([np.array(sorted(each), "<u4").tobytes() for each in sets], pa.binary())
    docs, keepers = (side.ravel() for side in np.indices((len(sets), len(sets))))
    for contained in (False, True):
        expected = []
        for doc, keeper in zip(docs, keepers, strict=True):
            whole = sets[doc] if contained else sets[doc] | sets[keeper]
            expected.append(len(sets[doc] & sets[keeper]) / len(whole) if whole else 0)
        assert shingle_similarity(array, contained=contained)(docs, keepers).tolist() == expected
