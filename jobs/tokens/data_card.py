"""The data card of an export: the texts, how they were chosen, and what users should know."""

from __future__ import annotations

import json
from typing import Any

from corpus.outcome import DROPPED, REMOVED
from corpus.runs.funnel import FunnelRow, funnel
from corpus.tokens.texts import Texts

_HEAD = """---
license: other
task_categories:
- text-generation
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
  - split: validation
    path: data/validation-*.parquet
---
"""

_LICENSE = """## Licence and personal data
The texts are from web pages and belong to their authors; this collection grants no right to them. Pages of
Common Crawl come under its [terms of use](https://commoncrawl.org/terms-of-use). The recipe replaced
personal data in the text. No filter finds all of it, so handle the texts with care, and remove pages on request.
"""


def data_card(name: str, texts: Texts, info: dict[str, Any]) -> str:
    """Return README.md. Its front matter tells `datasets` where the splits are. The text quotes no page."""
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
        _LICENSE,
    ]
    return _HEAD + "\n".join(lines)


def _made(info: dict[str, Any]) -> list[str]:
    """Return the recipe and the funnel of a run."""
    inputs, versions, records = info["inputs"], info["versions"], info["records"]
    size = sum(item["bytes"] for item in inputs)
    return [
        "## How it was made",
        f"By `corpus` {versions['corpus']} (code {versions['code']}) from {len(inputs)} archives of {size:,} bytes; "
        f"fingerprint `{info['fingerprint']}`.",
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
