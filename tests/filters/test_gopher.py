import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.text.ngrams import duplicate_ngram_chars
from corpus.text.vocabulary import Words
from corpus.text.words import split_words, stretches_of
from filters.gopher import STOP_WORDS, GopherQuality, GopherRepetition
from filters.language import Language

STAGES = [GopherRepetition, GopherQuality]


def fillers(count, start=0):
    """Distinct words of seven letters."""
    digits = ("ba", "de", "fi", "go", "ku", "la", "me", "no", "pi", "ru")
    return ["x" + "".join(digits[int(d)] for d in f"{i:03d}") for i in range(start, start + count)]


PROSE = "The river rose in the night and the people of the valley went to the hills with all that they could carry. "
GOOD = PROSE + " ".join(fillers(40))


def rule_of(stage, text):
    outcome = stage.check(text)
    return outcome.rule, outcome.value


# Repetition: one text for each rule, in which no earlier rule is broken.


def line(name, words=8):
    return " ".join(f"{word}{name}" for word in fillers(words))


PARAGRAPHS = [line("a"), line("b"), line("a")]
LONG, SHORT = line("a", 20), ["p q", "r s", "t u"]


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        ("\n\n".join(PARAGRAPHS), "dup_para_frac", 1 / 3),
        ("\n\n\n".join([LONG, LONG, *SHORT]), "dup_para_char_frac", len(LONG) / (2 * len(LONG) + 9 + 12)),
        ("\n".join(PARAGRAPHS), "dup_line_frac", 1 / 3),
        ("\n".join([LONG, LONG, *SHORT]), "dup_line_char_frac", len(LONG) / (2 * len(LONG) + 9 + 4)),
        ("one two", "top_2_gram", 1.0),  # an n-gram that occurs once counts
    ],
)
def test_repetition_of_lines_and_paragraphs(text, rule, value):
    assert rule_of(GopherRepetition(), text) == (rule, value)


@pytest.mark.parametrize(
    ("phrase", "rule", "gap"),
    [("aa bb", "top_2_gram", 2), ("aa bb cc", "top_3_gram", 4), ("aa bb cc dd", "top_4_gram", 7)],
)
def test_the_most_frequent_ngram(phrase, rule, gap):
    words = fillers(10 * gap)
    text = " ".join(" ".join([*words[i * gap : (i + 1) * gap], phrase]) for i in range(10))
    assert rule_of(GopherRepetition(), text) == (rule, 10 * len(phrase) / len(text))


@pytest.mark.parametrize(("n", "limit"), [(5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)])
def test_duplicated_ngrams(n, limit):
    phrases = [" ".join(fillers(n, start=100 + i * n)) for i in range(10)]
    words = " ".join(f"{phrase} {filler}" for phrase, filler in zip(phrases + phrases, fillers(20), strict=True))
    chars = 10 * n * 7
    padding = fillers(700, start=300)
    text = words + " " + " ".join(padding[: int((chars / (limit + 0.003) - len(words)) / 8)])
    assert duplicate_ngram_chars(Words.of(text.split()), [n]) == {n: chars}
    assert limit < chars / len(text) < limit + 0.01
    assert rule_of(GopherRepetition(), text) == (f"dup_{n}_gram", chars / len(text))


def test_the_limits_of_repetition_are_inclusive():
    text = "\n".join([*(line(str(i)) for i in range(7)), *(line(str(i)) for i in range(3))])
    outcome = GopherRepetition().check(text)
    assert outcome.measures["gopher_repetition.dup_line_frac"] == 0.3
    assert outcome.rule == "dup_line_char_frac"


# Quality: one text for each rule.


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        ("to be or not to be", "words", 6),
        ("... the of - " * 24 + "the", "words", 49),  # punctuation is no word
        ("the of " * 50_000 + "the", "words", 100_001),
        ("to be of " * 20, "mean_word_length", 2.0),
        ("unconstitutionally with the incomprehensibilities " * 20, "mean_word_length", 11.5),
        (GOOD + " #tag" * 9, "hash_ratio", 9 / (len(split_words(GOOD)) + 18)),
        (GOOD + " etc..." * 5 + " and\u2026" * 5, "ellipsis_ratio", 10 / (len(split_words(GOOD)) + 20)),
        ("\n".join(f"\u2022 {w}" for w in fillers(25)) + "\n" + "\n".join(f" - {w}" for w in fillers(25)),
         "bullet_line_ratio", 1.0),
        ("\n".join([PROSE] * 3 + [PROSE + "so...", PROSE + "so\u2026 "]), "ellipsis_line_ratio", 0.4),
        (GOOD + " 1989" * 20, "alpha_ratio", (len(split_words(GOOD)) - 1) / (len(split_words(GOOD)) + 20)),
        ("The " + " ".join(fillers(60)) + " the", "stop_words", 1),
    ],
)  # fmt: skip
def test_each_rule_of_quality(text, rule, value):
    assert rule_of(GopherQuality(), text) == (rule, value)


def test_a_good_text_passes_quality():
    outcome = GopherQuality().check(GOOD)
    assert outcome.kept, outcome.reason
    assert outcome.measures["gopher_quality.words"] == int(stretches_of(GOOD).words.content.sum())


def test_stop_words_are_counted_once_each_in_their_letter_case():
    def count(text, **params):
        return dict(GopherQuality(**params).apply(Document(text=text)))["stop_words"]

    assert count("the the The THE of") == 2
    assert count(" ".join(STOP_WORDS)) == len(STOP_WORDS) == 8
    assert count("der die das the", stop_list=["der", "die", "und"]) == 2


# Contracts.


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "x", ".", "\x00", "\ud800", "שלום עולם", "x" * 1_000_000, "( " * 9999]
)
def test_every_measure_has_a_value_or_none_in_the_order_of_the_rules(stage, text):
    measured = list(stage().apply(Document(text=text)))
    assert [name for name, _ in measured] == list(stage.limits)
    assert not any(isinstance(value, float) and math.isnan(value) for _, value in measured)


@pytest.mark.parametrize("stage", STAGES)
@settings(max_examples=100)
@given(text=st.text(st.characters() | st.sampled_from("ab .\n-#…")))
def test_measures_are_total_and_shares_lie_between_0_and_1(stage, text):
    shares = {"dup_para_frac", "dup_line_frac", "bullet_line_ratio", "ellipsis_line_ratio", "alpha_ratio"}
    for name, value in stage().apply(Document(text=text)):
        assert value is None or 0 <= value < math.inf
        if name in shares or name.startswith("dup_"):
            assert value is None or value <= 1


@settings(max_examples=50)
@given(st.lists(st.text("abc\u0101", min_size=1, max_size=20), min_size=1, max_size=200))
def test_the_mean_word_length_is_numpys(words):
    value = dict(GopherQuality().apply(Document(text=" ".join(words))))["mean_word_length"]
    assert value == np.mean([len(word) for word in words])


def test_a_language_that_needs_a_segmenter_stops_before_any_page(monkeypatch):
    monkeypatch.setattr("corpus.text.words.SEGMENTER", "no-such-package")
    for stage in STAGES:
        with pytest.raises(ConfigError, match="ICU is not installed: zh"):
            stage(language="zh").prepare()


# Against the reference.


REASONS = {
    ("words", "min"): "gopher_short_doc",
    ("words", "max"): "gopher_long_doc",
    ("mean_word_length", "min"): "gopher_below_avg_threshold",
    ("mean_word_length", "max"): "gopher_above_avg_threshold",
    ("hash_ratio", "max"): "gopher_too_many_hashes",
    ("ellipsis_ratio", "max"): "gopher_too_many_ellipsis",
    ("bullet_line_ratio", "max"): "gopher_too_many_bullets",
    ("ellipsis_line_ratio", "max"): "gopher_too_many_end_ellipsis",
    ("alpha_ratio", "min"): "gopher_below_alpha_threshold",
    ("stop_words", "min"): "gopher_enough_stop_words",
    ("label", "one_of"): "language",
    ("score", "above"): "language",
    **{(f"dup_{n}_gram", "max"): f"duplicated_{n}_n_grams" for n in range(5, 11)},
}


@pytest.mark.slow
def test_language_and_gopher_decide_as_datatrove_does_on_every_real_page(shared_data):
    table = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text", "stage", "reason"])
    stages = [Language(), GopherRepetition(), GopherQuality()]
    names = [stage.name for stage in stages]
    for stage in stages:
        stage.prepare()
    pages, other = 0, []
    for row in table.to_pylist():
        if row["stage"] in ("url", "extract"):
            continue
        pages += 1
        expected = (row["stage"], row["reason"]) if row["stage"] in names else None
        if (found := verdict(stages, row["text"])) != expected:
            other.append((found, expected))
    assert pages > 2_500
    assert not other


def verdict(stages, text):
    doc = Document(text=text)
    for stage in stages:
        for name, value in stage.apply(doc):
            if broken := stage.limits[name].broken_by(value):
                return stage.name, REASONS.get((name, broken[0]), name)
    return None
