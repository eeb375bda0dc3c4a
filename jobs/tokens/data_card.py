"""The card of a dataset on the Hub: the texts, how they were chosen, and what users should know."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from corpus.outcome import DROPPED, REMOVED
from corpus.run import Run
from corpus.runs.choice_line import choice_line
from corpus.runs.funnel import FunnelRow, funnel
from corpus.runs.row_groups import schema_of
from corpus.tokens.texts import Texts

_SPLITS = {"train": "data/train-*.parquet", "validation": "data/validation-*.parquet"}
_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000)
_SIZE_NAMES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B")
"""The limits of the Hub's size categories."""
_NO_MORE: dict[str, list[str]] = {}

_LICENSE = """## Licence and personal data
The texts are from web pages and belong to their authors. This collection grants no right to the texts. The
[terms of use](https://commoncrawl.org/terms-of-use) of Common Crawl apply to its pages. {personal} No filter finds all
personal data, so handle the texts with care, and remove pages on request.
"""


def data_card(name: str, texts: Texts, info: dict[str, Any]) -> str:
    """Return README.md of an export. The text never quotes a page."""
    documents = info["documents"]
    total = documents["train"] + documents["val"]
    lines = [
        f"# {name}",
        "",
        f"{total:,} documents, {info['bytes']:,} bytes of text, in a random order that is the same every time.",
        "",
        "| split | documents |",
        "|---|---|",
        f"| train | {documents['train']:,} |",
        f"| validation | {documents['val']:,} |",
        "",
        f"Columns: {', '.join(f'`{column}`' for column in info['plan']['columns'])}. Validation is a random sample of "
        "the same documents, so its loss can't be used to compare corpora.",
        "",
        *(
            _made(texts.run.info)
            if texts.run
            else [f"Made from {len(texts.files)} parquet files without a known recipe."]
        ),
        "",
        _license_note(texts.run.info if texts.run else None),
    ]
    return _front_matter(_SPLITS) + "\n".join(lines)


def hub_card(name: str, run: Run, documents: int, size: int, languages: Sequence[str], license: str) -> str:
    """Return README.md of a corpus in the folder `corpus/`. The text never quotes a page."""
    columns = ", ".join(f"`{name}`" for name in schema_of(run.paths("corpus")[0]).names)
    lines = [
        f"# {name}",
        "",
        f"{documents:,} documents, {size:,} bytes of text.",
        "",
        f"Columns: {columns}. `croissant.json` describes the files, `training_content.md` where the texts come from.",
        "",
        *_made(run.info),
        "",
        _license_note(run.info),
    ]
    more = {"language": languages, "size_categories": [_size_category(documents)]}
    return _front_matter({"train": "corpus/*.parquet"}, license, more) + "\n".join(lines)


def _license_note(info: Mapping[str, Any] | None) -> str:
    stages = [table["stage"] for table in info["recipe"]["stages"]] if info else []
    replaced = "The recipe replaced personal data in the text."
    return _LICENSE.format(personal=replaced if "pii" in stages else "No stage that replaces personal data is known.")


def _front_matter(
    splits: Mapping[str, str], license: str = "other", more: Mapping[str, Sequence[str]] = _NO_MORE
) -> str:
    """Return the YAML that tells the Hub and `datasets` about the files."""
    lines = ["---", f"license: {json.dumps(license)}"]
    for key, values in {**more, "task_categories": ["text-generation"]}.items():
        lines += [f"{key}:", *(f"- {json.dumps(value)}" for value in values)]  # "no" without quotes would be false
    lines += ["configs:", "- config_name: default", "  data_files:"]
    for split, path in splits.items():
        lines += [f"  - split: {split}", f"    path: {path}"]
    return "\n".join([*lines, "---", ""])


def _size_category(documents: int) -> str:
    at = bisect_right(_SIZES, documents)
    if at == 0:
        return f"n<{_SIZE_NAMES[0]}"
    return f"n>{_SIZE_NAMES[-1]}" if at == len(_SIZES) else f"{_SIZE_NAMES[at - 1]}<n<{_SIZE_NAMES[at]}"


def _made(info: dict[str, Any]) -> list[str]:
    """Return the recipe and the funnel of a run."""
    inputs, versions, records = info["inputs"], info["versions"], info["records"]
    size, kind = sum(item["bytes"] for item in inputs), "files" if info.get("documents") else "archives"
    return [
        "## How it was made",
        f"Made by `corpus` {versions['corpus']} (code {versions['code']}) from {len(inputs)} {kind} of {size:,} "
        f"bytes. The fingerprint is `{info['fingerprint']}`.",
        *filter(None, [choice_line(info)]),
        "",
        "| records | count | left |",
        "|---|---|---|",
        f"| in | {records['in']:,} | {records['in']:,} |",
        *(f"| {_line_name(row)} | {row.records:,} | {row.left:,} |" for row in funnel(info)),
        f"| kept | {records['kept']:,} | {records['kept']:,} |",
        "",
        f"The recipe, `{info['recipe']['name']}`, with every limit:",
        "",
        "```json",
        json.dumps(info["recipe"], indent=1, ensure_ascii=False),
        "```",
    ]


def _line_name(row: FunnelRow) -> str:
    if row.outcome != DROPPED:
        return row.name
    return "taken down" if row.name == REMOVED else f"dropped by {row.name}"
