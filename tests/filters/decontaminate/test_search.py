import random
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.text.shingles import word_hashes
from filters.decontaminate import search as module
from filters.decontaminate.build import Item, build_index
from filters.decontaminate.normalise import words_of
from filters.decontaminate.search import search
from tests.filters.decontaminate.items import ITEMS, LONG, SHORT, TINY, prose


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return build_index(ITEMS, tmp_path_factory.mktemp("index"))


def places(index, text):
    """The item, the overlap and the words of each place."""
    words = words_of(text)
    found = search(index, np.array(word_hashes(words), np.uint64))
    return [(index.name_of(one.item), round(one.overlap, 2), " ".join(words[one.start : one.end])) for one in found]


def names(index, text):
    return {name for name, _, _ in places(index, text)}


def test_a_question_is_found_at_its_place(index):
    text = f"{prose(300, 1)}\n{LONG}\n{prose(300, 2)}"
    assert places(index, text) == [(("arith", 0), 1.0, " ".join(words_of(LONG)))]


@pytest.mark.parametrize(
    "write",
    [
        str.upper,
        lambda text: text.translate(str.maketrans("", "", string.punctuation)),
        lambda text: text.replace(" ", " - "),
        lambda text: "\n".join(text.split()),
        lambda text: "\u00a0".join(text.split()),
    ],
)
def test_case_punctuation_and_lines_do_not_count(index, write):
    assert names(index, prose(50, 1) + " " + write(LONG) + " " + prose(50, 2)) == {("arith", 0)}


@pytest.mark.parametrize("at", range(0, 20, 3))
def test_a_word_may_be_changed_added_or_left_out(index, at):
    words = LONG.split()
    for changed in (
        [*words[:at], "lobster", *words[at + 1 :]],
        [*words[:at], "lobster", *words[at:]],
        words[:at] + words[at + 1 :],
    ):
        (((name, overlap, _)),) = places(index, f"{prose(40, 1)} {' '.join(changed)} {prose(40, 2)}")
        assert name == ("arith", 0)
        assert overlap >= 0.8


def test_half_of_a_question_is_half_an_overlap(index):
    words = LONG.split()
    ((_, overlap, _),) = places(index, " ".join(words[: len(words) * 2 // 3]))
    assert 0.55 < overlap < 0.75
    assert places(index, " ".join(words[: len(words) // 3])) == []


def test_words_in_another_order_are_no_copy(index):
    words = LONG.split()
    random.Random(1).shuffle(words)
    assert places(index, " ".join(words)) == []


@pytest.mark.parametrize(
    ("text", "there"),
    [
        (f"{SHORT} Mercury", True),
        (f"{SHORT}\nA. Venus\nB. the Moon", True),
        (f"{SHORT} {prose(49, 3)} Mercury", True),
        (f"{SHORT} {prose(60, 3)} Mercury", False),
        (f"{SHORT} Saturn", False),
        (f"{SHORT.replace('shortest', 'longest')} Mercury", True),
        (f"{SHORT.replace('shortest year', 'longest day')} Mercury", False),
        (f"{TINY} They add or remove a phosphate group.", True),
        ("They add or remove a phosphate group.", False),
        (TINY, False),
    ],
)
def test_a_short_question_counts_with_an_answer_near(index, text, there):
    assert (names(index, f"{prose(80, 1)} {text} {prose(80, 2)}") != set()) == there


def test_an_answer_belongs_to_the_place(index):
    (((_, _, words)),) = places(index, f"{prose(80, 1)}. {SHORT} Answer: Mercury {prose(80, 2)}")
    assert words == " ".join(words_of(f"{SHORT} Answer: Mercury"))


def test_an_item_is_found_wherever_a_long_page_is_divided(index, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 2_200)
    for before in range(150, 450, 7):
        assert names(index, f"{prose(before, 1)} {LONG} {prose(2_500 - before, 2)}") == {("arith", 0)}


def test_a_page_of_one_repeated_n_gram_gives_a_bounded_number_of_places(index):
    for piece in (LONG, " ".join(LONG.split()[:13]), " ".join(LONG.split()[:4])):
        words = words_of(piece)
        hashes = np.array(word_hashes(words) * (100_000 // len(words)), np.uint64)
        found = search(index, hashes)
        assert len(found) <= module._PLACES * (1 + len(hashes) // (module._BLOCK - 2 * module.MOST_WORDS))


def test_a_question_that_repeats_itself_is_found(tmp_path):
    question = "the demand curve for labor is derived from the demand curve for the output that labor makes"
    index = build_index([Item("b", question)], tmp_path)
    assert places(index, question) == [(("b", 0), 1.0, question)]
    assert names(index, "la " * 500 + question + " la" * 500) == {("b", 0)}


@given(st.text(), st.text())
def test_any_text_can_be_searched(index, before, after):
    places(index, before)
    assert ("arith", 0) in names(index, f"{before} {LONG} {after}")
