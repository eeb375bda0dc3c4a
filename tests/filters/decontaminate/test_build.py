import json
import random

import numpy as np
import pytest

from corpus.text.shingles import word_hashes
from filters.decontaminate.build import ITEMS as SOURCES
from filters.decontaminate.build import Item, build_index
from filters.decontaminate.index import COMMON
from filters.decontaminate.normalise import words_of
from filters.decontaminate.search import search
from tests.filters.decontaminate.items import ITEMS, LONG, prose


def found(index, text):
    return {index.name_of(one.item) for one in search(index, np.array(word_hashes(words_of(text)), np.uint64))}


def test_items_are_numbered_by_benchmark_and_their_sources_are_listed(tmp_path):
    index = build_index([ITEMS[2], *ITEMS[:2], ITEMS[3]], tmp_path)
    assert [(one.name, one.items, one.left_out) for one in index.benchmarks] == [("arith", 2, 0), ("facts", 2, 0)]
    assert found(index, LONG) == {("arith", 0)}
    lines = [json.loads(line) for line in (tmp_path / SOURCES).read_text().splitlines()]
    assert lines[0] == {"item": "arith:0", "source": "arith.jsonl:0"}
    assert [line["item"] for line in lines] == ["arith:0", "arith:1", "facts:0", "facts:1"]


def test_the_same_items_give_the_same_bytes(tmp_path):
    one, other = (build_index(ITEMS, tmp_path / name) for name in ("a", "b"))
    assert one.digest == other.digest
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()
    }
    assert build_index(ITEMS[:3], tmp_path / "c").digest != one.digest


@pytest.mark.parametrize("item", [Item("b", "Which is true?"), Item("b", "?!", ("yes",)), Item("b", "Why?", ("1",))])
def test_an_item_without_enough_words_is_left_out(item, tmp_path):
    (one,) = build_index([item], tmp_path).benchmarks
    assert (one.items, one.left_out) == (1, 1)


def test_a_question_that_several_items_share_needs_their_answers(tmp_path):
    question = prose(30, 1)
    index = build_index([Item("b", question, ("red",)), Item("b", question, ("blue",)), Item("b", question)], tmp_path)
    assert found(index, question) == set()
    assert found(index, f"{question} Answer: blue") == {("b", 1)}


def test_a_question_of_two_benchmarks_is_found_in_both(tmp_path):
    question = prose(30, 1)
    assert found(build_index([Item("b", question), Item("c", question)], tmp_path), question) == {("b", 0), ("c", 0)}


def test_n_grams_of_many_questions_do_not_count(tmp_path):
    template = "which of these many statements about all of the following things is not false but true in every case"
    rng = random.Random(1)
    items = [Item("b", f"{template} {prose(3, rng.random())} {number}", (f"answer {number}",)) for number in range(60)]
    few = build_index(items[: COMMON - 1], tmp_path / "few")
    many = build_index(items, tmp_path / "many")
    assert found(few, template)
    assert not found(many, template)
    assert found(many, f"{items[7].question} answer 7") == {("b", 7)}


def test_n_grams_of_boilerplate_do_not_count(tmp_path):
    notice, own = prose(40, 5), prose(13, 6)
    item = Item("b", f"{notice} {own}")
    assert found(build_index([item], tmp_path / "a", [notice]), notice) == {("b", 0)}  # one page may hold the item
    index = build_index([item], tmp_path / "b", [notice, notice])
    assert not found(index, notice)
    assert found(index, own) == {("b", 0)}
