"""The shape of JSON from files that a stranger may have written."""

import re

import pytest

from corpus.json_data import Maybe, check_shape, parse_json

SHAPE = {
    "name": str,
    "size": int,
    "share": (int, float),
    "done": bool,
    "parts": [{"key": str}],
    "counts": {str: int},
    "note": Maybe(str),
    "rest": object,
}
WHOLE = {
    "name": "x",
    "size": 1,
    "share": 0.5,
    "done": True,
    "parts": [{"key": "k"}],
    "counts": {"a": 1},
    "rest": [None],
}


@pytest.mark.parametrize(
    "changes",
    [{}, {"more": 7}, {"note": None}, {"note": "n"}, {"parts": []}, {"counts": {}}, {"share": 1}, {"rest": 0}],
)
def test_what_fits(changes):
    check_shape({**WHOLE, **changes}, SHAPE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": None}, "`name` is missing"),
        ({"name": 7}, "`name` is of another type"),
        ({"size": True}, "`size` is of another type"),
        ({"size": -1}, "`size` is out of range"),
        ({"size": 1 << 63}, "`size` is out of range"),
        ({"size": 1.0}, "`size` is of another type"),
        ({"done": 1}, "`done` is of another type"),
        ({"parts": {}}, "`parts` is of another type"),
        ({"parts": [{"key": "k"}, {}]}, "`parts[1].key` is missing"),
        ({"counts": []}, "`counts` is of another type"),
        ({"counts": {"\x1b[2J\u202e": "x"}}, r"`counts.\x1b[2J\u202e` is of another type"),
        ({"note": 7}, "`note` is of another type"),
        ({"rest": None}, "`rest` is missing"),
    ],
)
def test_what_does_not_fit_is_named(changes, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        check_shape({**WHOLE, **changes}, SHAPE)


@pytest.mark.parametrize("data", [[], None, "x", 7])
def test_what_is_no_object(data):
    with pytest.raises(ValueError, match="it is of another type"):
        check_shape(data, SHAPE)


def test_json_that_is_nested_too_deeply():
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000)
