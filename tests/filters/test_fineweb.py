"""FineWeb's quality rules at their limits, and the decisions of C4 and FineWeb together against those of the
reference."""

import math

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import Document
from corpus.pipeline import Pipeline
from filters.c4 import C4
from filters.fineweb import FineWebQuality

STAGE = FineWebQuality()
LONG = "this is a line of some more than thirty characters {} ."


def lines(count, template=LONG):
    return [template.format(n) for n in range(count)]


def measured(text):
    STAGE.prepare()
    return dict(STAGE.apply(Document(text=text)))


def test_line_punct_ratio():
    ends = [*lines(3), *lines(22, "this is a line of some more than thirty characters {} x")]
    assert STAGE.check("\n".join(ends)).kept  # 3 / 25 = 0.12
    outcome = STAGE.check("\n".join(ends[1:]))
    assert (outcome.rule, outcome.value, outcome.limit) == ("line_punct_ratio", 2 / 24, 0.12)


@pytest.mark.parametrize(
    ("mark", "ratio"), [(".", 1), ("!", 1), ("?", 1), ("。", 1), ("؟", 1), ('"', 0), ("…", 0), (". ", 0)]
)
def test_what_ends_a_line(mark, ratio):
    assert measured("a line" + mark)["line_punct_ratio"] == ratio


def test_short_line_ratio():
    short, long = lines(67, "{}."), lines(33)
    assert measured("\n".join([*short, *long]))["short_line_ratio"] == 0.67
    assert measured("x" * 30)["short_line_ratio"] == 1
    assert measured("x" * 31)["short_line_ratio"] == 0
    outcome = STAGE.check("\n".join([*short, *long[1:]]))
    assert (outcome.rule, outcome.value) == ("short_line_ratio", 67 / 99)


def test_char_dup_ratio():
    text = "\n".join([*lines(5), "abcde fghij.", "abcde fghij."])
    size = len(text.replace("\n", ""))
    outcome = STAGE.check(text)
    assert (outcome.rule, outcome.value, outcome.limit) == ("char_dup_ratio", 12 / size, 0.01)
    assert measured("\n".join([LONG, LONG + " "]))["char_dup_ratio"] == 0
    assert measured(" \n \na")["char_dup_ratio"] == 0  # blank lines don't repeat, but their spaces are in the text


def test_char_dup_ratio_at_its_limit():
    text = "a.\na.\n" + "b" * 195 + "."
    assert measured(text)["char_dup_ratio"] == 0.01
    assert STAGE.check(text.replace("b", "b ", 3)).rule == ""


def test_newline_ratio():
    text = "\n".join(f"{'x' * 40}{n} word." for n in range(10))
    assert measured(text)["newline_ratio"] == 9 / 30
    outcome = STAGE.check("\n\n" + text)
    assert (outcome.rule, outcome.value, outcome.limit) == ("newline_ratio", 11 / 30, 0.3)


@pytest.mark.parametrize("text", ["", "\n \n\t", "\0"])
def test_what_is_not_measurable(text):
    values = measured(text)
    assert list(values) == list(FineWebQuality.limits)
    if not text.strip():
        assert values["line_punct_ratio"] is values["char_dup_ratio"] is values["newline_ratio"] is None


def test_short_line_length():
    stage = FineWebQuality(short_line_length=2)
    stage.prepare()
    assert dict(stage.apply(Document(text="ab\nabc")))["short_line_ratio"] == 0.5


@given(st.text(alphabet="ab .\n\r\0\u2028\ud800", max_size=100))
def test_ratios_are_ratios(text):
    for name, value in measured(text).items():
        assert value is None or (math.isfinite(value) and value >= 0 and (value <= 1 or name == "newline_ratio"))


def test_same_decisions_and_texts_as_datatrove(shared_data):
    """C4 and FineWeb in a row, on every page that reaches them."""
    rows = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet").to_pylist()
    rows = [row for row in rows if row["stage"] in (None, "c4", "fineweb")]
    names = {"too_few_sentences": "sentences", "list_ratio": "newline_ratio", None: ""}
    pipeline = Pipeline.of([C4(terminal_punctuation=False), STAGE])
    for row in rows:
        outcome = pipeline.judge(Document(text=row["text"]))
        assert (outcome.stage, outcome.rule) == (row["stage"] or "", names.get(row["reason"], row["reason"]))
        if outcome.kept:
            assert outcome.doc.text == row["final_text"]
