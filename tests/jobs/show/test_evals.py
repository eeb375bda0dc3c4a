import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.decontaminate.stage import named
from jobs.show.evals import _size, parsed


@given(
    st.lists(st.tuples(st.sampled_from(["arc", "gsm8k", "mmlu"]), st.integers(0, 40)), unique=True).map(sorted),
    st.integers(40, 200),
)
def test_names_are_bounded_and_can_be_read_back(items, most):
    text = named(items, most)
    assert len(text) <= most
    ranges, more = parsed(text)
    read = [(name, number) for name, of in ranges.items() for first, last in of for number in range(first, last + 1)]
    assert read == items[: len(read)]
    assert len(read) + more == len(items)


@pytest.mark.parametrize("text", ["", "x", "a:1-", "a:-1", "a b:2", "a:" + "9" * 13, "é:1", "a:1,,2", "+", "+x"])
def test_a_text_that_names_nothing_is_ignored(text):
    items, more = parsed(text)
    assert (items or {}) == ({"b": [(2, 2)]} if text == "a b:2" else {})
    assert more == 0


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair)))))
def test_items_in_several_ranges_count_once(ranges):
    assert _size(ranges) == len({number for first, last in ranges for number in range(first, last + 1)})
