"""The same decisions as datatrove 0.10.1, given the same texts: every page, its stage, its reason, its final text."""

from collections import Counter

import pyarrow.parquet as pq
import pytest

from corpus.document import Document
from filters import load_recipe

REASONS = {
    ("language", "language"): {("language", "label"), ("language", "score")},
    ("gopher_repetition", "dup_para_frac"): {("gopher_repetition", "dup_para_frac")},
    ("gopher_repetition", "dup_para_char_frac"): {("gopher_repetition", "dup_para_char_frac")},
    ("gopher_repetition", "dup_line_frac"): {("gopher_repetition", "dup_line_frac")},
    ("gopher_repetition", "dup_line_char_frac"): {("gopher_repetition", "dup_line_char_frac")},
    **{("gopher_repetition", f"top_{n}_gram"): {("gopher_repetition", f"top_{n}_gram")} for n in (2, 3, 4)},
    **{
        ("gopher_repetition", f"duplicated_{n}_n_grams"): {("gopher_repetition", f"dup_{n}_gram")} for n in range(5, 11)
    },
    ("gopher_quality", "gopher_short_doc"): {("gopher_quality", "words")},
    ("gopher_quality", "gopher_long_doc"): {("gopher_quality", "words")},
    ("gopher_quality", "gopher_below_avg_threshold"): {("gopher_quality", "mean_word_length")},
    ("gopher_quality", "gopher_above_avg_threshold"): {("gopher_quality", "mean_word_length")},
    ("gopher_quality", "gopher_too_many_hashes"): {("gopher_quality", "hash_ratio")},
    ("gopher_quality", "gopher_too_many_ellipsis"): {("gopher_quality", "ellipsis_ratio")},
    ("gopher_quality", "gopher_too_many_bullets"): {("gopher_quality", "bullet_line_ratio")},
    ("gopher_quality", "gopher_too_many_end_ellipsis"): {("gopher_quality", "ellipsis_line_ratio")},
    ("gopher_quality", "gopher_below_alpha_threshold"): {("gopher_quality", "alpha_ratio")},
    ("gopher_quality", "gopher_enough_stop_words"): {("gopher_quality", "stop_words")},
    ("c4", "lorem_ipsum"): {("c4", "lorem_ipsum")},
    ("c4", "curly_bracket"): {("c4", "curly_bracket")},
    ("c4", "too_few_sentences"): {("c4", "sentences")},
    ("fineweb", "line_punct_ratio"): {("fineweb", "line_punct_ratio")},
    ("fineweb", "short_line_ratio"): {("fineweb", "short_line_ratio")},
    ("fineweb", "char_dup_ratio"): {("fineweb", "char_dup_ratio")},
    ("fineweb", "list_ratio"): {("fineweb", "newline_ratio")},
    (None, None): {("", "")},
}
"""datatrove's (stage, reason), and our rules with the same meaning."""


@pytest.fixture(scope="module")
def judged(shared_data):
    """(datatrove's row, our outcome, our text) of every page that passed datatrove's URL filter and extraction."""
    pipeline = load_recipe("fineweb").pipeline()
    wanted = ("language", "gopher_repetition", "gopher_quality", "c4", "fineweb")
    pipeline.stages = [bound for bound in pipeline.stages if bound.name in wanted]
    results = []
    for row in pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet").to_pylist():
        if row["stage"] not in ("url", "extract"):
            doc = Document(id=row["id"], url=row["url"], text=row["text"])
            results.append((row, pipeline.judge(doc), doc.text))
    return results


def test_every_page_ends_at_the_same_stage_with_the_same_reason(judged):
    differences = [
        (row["id"], row["stage"], row["reason"], outcome.reason)
        for row, outcome, _ in judged
        if (outcome.stage, outcome.rule) not in REASONS[row["stage"], row["reason"]]
    ]
    assert differences == []
    assert len(judged) == 2858


def test_kept_texts_are_the_same(judged):
    kept = [(row["final_text"], text) for row, outcome, text in judged if outcome.kept]
    assert len(kept) == 1132
    assert sum(theirs == ours for theirs, ours in kept) == len(kept)


def test_all_reasons_are_seen_but_the_rare_ones(judged):
    seen = Counter((row["stage"], row["reason"]) for row, _, _ in judged)
    rare = {reason for _, reason in set(REASONS) - set(seen)}
    assert rare <= {
        "dup_para_frac", "dup_para_char_frac", "gopher_long_doc", "gopher_below_avg_threshold", "lorem_ipsum",
        "gopher_too_many_hashes", "gopher_too_many_ellipsis", "gopher_enough_stop_words", "list_ratio",
    }  # fmt: skip
