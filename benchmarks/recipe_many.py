"""Write the recipe `many` from FineWeb-2's published limits:

    python -m benchmarks.recipe_many > filters/recipes/many.toml

The limits are those of github.com/huggingface/fineweb-2 (folder configs, Apache-2.0) for 67 languages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import yaml

from filters.language.labels import code_of

CONFIGS = Path(os.environ.get("CORPUS_SHARED_DATA", "../shared/data")) / "fineweb2" / "configs"

_HEAD = """\
# FineWeb-2's filters and its published limits for 67 languages (github.com/huggingface/fineweb-2, folder configs,
# Apache-2.0). `python -m benchmarks.recipe_many` writes this file. docs/languages.md says what differs from FineWeb-2.
# The limits of `language` are for the scores of GlotLID, the model that FineWeb-2 used: see language.model.
name = "many"
description = "67 languages with FineWeb-2's limits for each, duplicates by language, mojibake repaired, PII."

[[stages]]
stage = "url"

[[stages]]
stage = "extract"
engine = "blocks"

[[stages]]
stage = "language"
label = {{ one_of = {languages} }}
score = {{ above = "off" }}
"""
_REPETITION = """
[[stages]]
stage = "gopher_repetition"
language = "page"
dup_para_frac = { max = "off" }
dup_para_char_frac = { max = "off" }
dup_line_char_frac = { max = "off" }
"""
_FINEWEB = """
[[stages]]
stage = "fineweb"
language = "page"
short_line_ratio = { max = "off" }
char_dup_ratio = { max = 0.1 }
"""
_QUALITY = """
[[stages]]
stage = "gopher_quality"
language = "page"
"""
_END = """
[[stages]]
stage = "minhash"
language = "page"
numbers = true

[[stages]]
stage = "mojibake"

[[stages]]
stage = "pii"
entities = ["email", "ip_address"]
replacement = "fake"

[[stages]]
stage = "symbol_lines"
"""


_CHANGED = {
    "ko": (
        "# FineWeb-2 counts morphemes of Korean, of which a word has 2.1. Its stop words are no words of their own.",
        "words = { min = 23 }",
        'stop_words = { min = "off" }',
    )
}
"""The limits that are ours."""


def write(configs: dict[str, dict[str, Any]]) -> str:
    """Return the recipe."""
    listed = f"[{', '.join(map(_quoted, configs))}]"
    parts = [_HEAD.format(languages=listed)]
    parts += [_own(code, f"score = {{ min = {one['language_score']:g} }}") for code, one in configs.items()]
    parts.append(_REPETITION)
    for code, one in configs.items():
        limits = [f"dup_line_frac = {{ max = {one['dup_line_frac']:g} }}"]
        limits += [f"top_{n:g}_gram = {{ max = {limit:g} }}" for n, limit in one["top_n_grams"]]
        limits += [f"dup_{n:g}_gram = {{ max = {limit:g} }}" for n, limit in one["dup_n_grams"]]
        parts.append(_own(code, *limits))
    parts.append(_FINEWEB)
    for code, one in configs.items():
        punctuation = f"line_punct_ratio = {{ min = {one['line_punct_thr']:g} }}"
        parts.append(_own(code, punctuation, f"newline_ratio = {{ max = {one['new_line_ratio']:g} }}"))
    parts.append(_QUALITY)
    for code, one in configs.items():
        lengths = f"{{ min = {one['min_avg_word_length']:g}, max = {one['max_avg_word_length']:g} }}"
        words = f"stop_list = [{', '.join(map(_quoted, one['stopwords']))}]"
        letters = f"alpha_ratio = {{ min = {one['max_non_alpha_words_ratio']:g} }}"
        parts.append(_own(code, *_CHANGED.get(code, ()), f"mean_word_length = {lengths}", letters, words))
    return "".join([*parts, _END])


def _own(code: str, *lines: str) -> str:
    return "\n".join([f"\n[stages.by_language.{code}]", *lines, ""])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def main() -> None:
    configs = {code_of(path.stem): yaml.safe_load(path.read_text()) for path in sorted(CONFIGS.glob("*.yml"))}
    sys.stdout.write(write(dict(sorted(configs.items()))))


if __name__ == "__main__":
    main()
