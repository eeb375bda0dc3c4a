import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import ConfigError
from corpus.stage import BoundStage
from filters import load_recipe
from filters.decontaminate.build import Item, build_index
from filters.decontaminate.stage import Decontaminate
from tests.filters.decontaminate.items import ITEMS, LONG, SHORT, prose


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    build_index(ITEMS, folder)
    return str(folder)


def test_without_an_index_nothing_is_measured():
    outcome = Decontaminate().check(LONG)
    assert outcome.kept
    assert set(outcome.measures.values()) == {None}
    assert Decontaminate().resources() == Decontaminate().checked() == {}


def test_a_page_with_an_item_is_dropped_and_named(index):
    text = f"{prose(60, 1)}\n{LONG}\n{prose(60, 2)} {SHORT} It is Venus. {prose(10, 3)}"
    outcome = Decontaminate(index=index).check(text)
    assert (outcome.rule, outcome.value) == ("overlap", 1.0)
    start, end = map(int, re.fullmatch(r"arith:0, characters (\d+) to (\d+)", outcome.detail).groups())
    assert text[start:end] == LONG
    assert outcome.measures["decontaminate.items"] == 2
    assert outcome.measures["decontaminate.found"] == "arith:0 facts:0"
    assert outcome.measures["decontaminate.chars_left"] is None
    assert outcome.doc.text == text


def test_a_page_without_items_has_an_overlap_of_0(index):
    outcome = Decontaminate(index=index).check(prose(300, 1))
    assert outcome.kept
    assert outcome.measures == {
        f"decontaminate.{name}": value
        for name, value in {"overlap": 0.0, "items": 0, "found": None, "chars_left": None}.items()
    }


def test_a_part_of_an_item_is_measured_but_not_found(index):
    outcome = Decontaminate(index=index).check(" ".join(LONG.split()[:14]))
    assert outcome.kept
    assert 0.5 <= outcome.measures["decontaminate.overlap"] < 0.75
    assert outcome.measures["decontaminate.items"] == 0
    found = Decontaminate(index=index, at_least=0.5).check(" ".join(LONG.split()[:14]))
    assert found.measures["decontaminate.found"] == "arith:0"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("One. {} Two words. Three.", "One. Two words. Three."),
        ("Head\n{}\nTail", "Head\nTail"),
        ("Head\nSay: {} Well. Tail", "Head\nWell. Tail"),
        ("Head\n\n{}", "Head"),
        ("{} {}\nTail {}", ""),
        ("  Head.  {}", "  Head."),
    ],
)
def test_cut_removes_the_sentences_with_an_item(index, text, left):
    page = text.replace("{}", LONG)
    outcome = Decontaminate(index=index, action="cut").check(page)
    assert outcome.doc.text == left.strip()
    assert outcome.measures["decontaminate.overlap"] == 0.0
    assert outcome.measures["decontaminate.found"] == "arith:0"
    assert outcome.measures["decontaminate.chars_left"] == len(left.strip())
    assert outcome.rule == "chars_left"  # little is left


def test_a_long_page_is_kept_without_the_item(index):
    before, after = f"{prose(60, 1)}", f"{prose(60, 2)}"
    outcome = Decontaminate(index=index, action="cut").check(f"{before}\n{SHORT}\nAnswer: Venus.\n{after}")
    assert outcome.kept
    assert outcome.doc.text == f"{before}\n{after}"


def test_a_text_of_an_unspaced_script_is_searched_character_by_character(tmp_path):
    question = "日本の首都はどこですかまた世界で一番高い山の名前は何ですか"
    build_index([Item("ja", question)], tmp_path)
    outcome = Decontaminate(index=str(tmp_path)).check(f"これは長い文章です。{question}。終わり。")
    assert outcome.measures["decontaminate.found"] == "ja:0"


@given(st.text(), st.text())
def test_cutting_any_text_leaves_no_item(index, before, after):
    text = f"{before}\n{LONG}\n{after}"
    outcome = Decontaminate(index=index, action="cut").check(text)
    assert outcome.measures["decontaminate.overlap"] < 0.75
    assert len(outcome.doc.text) <= len(text)
    left = iter(text)
    assert all(char in left for char in outcome.doc.text)  # nothing is added or moved


@pytest.mark.parametrize("params", [{"action": "mask"}, {"at_least": 0.4}, {"at_least": 1.5}])
def test_wrong_parameters_are_refused(params):
    with pytest.raises(ConfigError, match="decontaminate"):
        Decontaminate(**params)


def test_the_index_decides_the_fingerprint(index, tmp_path):
    other = build_index(ITEMS[:2], tmp_path)
    recipes = [load_recipe("text", {"decontaminate.index": folder}) for folder in (index, str(tmp_path))]
    ours, theirs = (recipe.resources()["decontaminate.index"] for recipe in recipes)
    assert ours != theirs == other.digest
    assert recipes[1].checked() == {
        "decontaminate": {"index": other.digest, "benchmarks": [{"name": "arith", "items": 2, "left_out": 0}]}
    }
    assert load_recipe("text").checked() == {}


def test_a_missing_index_is_named():
    with pytest.raises(ConfigError, match=r"'nowhere' can't be opened .*corpus evals index"):
        BoundStage.of(Decontaminate(index="nowhere")).check("a")
