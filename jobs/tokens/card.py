"""The data card of an export: what the texts are, how they were chosen, and what to mind before they are used."""

from __future__ import annotations

import json
from typing import Any

from corpus.tables.ledger import total
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

_LICENCE = """## Licence and personal data
The texts are from web pages and belong to those who wrote them; this collection grants no right to them. Pages of
Common Crawl come under its [terms of use](https://commoncrawl.org/terms-of-use). What the recipe replaces of personal
data is replaced in the text; no such filter finds all, so treat what is left with care, and remove pages when asked to.
"""


def data_card(name: str, texts: Texts, info: dict[str, Any]) -> str:
    """The README.md, as Markdown with the front matter by which `datasets` finds the splits. It holds no text of a
    page."""
    documents = info["documents"]
    lines = [
        f"# {name}",
        "",
        f"{documents['train'] + documents['val']:,} documents, {info['bytes']:,} bytes of text, in a random order that "
        "is the same each time.",
        "",
        "| split | documents |",
        "|---|---|",
        f"| train | {documents['train']:,} |",
        f"| validation | {documents['val']:,} |",
        "",
        f"Columns: {', '.join(f'`{column}`' for column in info['plan']['columns'])}. Validation is a random sample of "
        "the same documents: loss on it does not compare corpora.",
        "",
        *(_made(texts.run.info) if texts.run else _files(texts)),
        "",
        _LICENCE,
    ]
    return _HEAD + "\n".join(lines)


def _files(texts: Texts) -> list[str]:
    return [f"Made from {len(texts.files)} parquet files, of which no recipe is known."]


def _made(info: dict[str, Any]) -> list[str]:
    """Recipe and funnel of a run."""
    inputs = info["inputs"]
    size = sum(item["bytes"] for item in inputs)
    versions = info["versions"]
    return [
        "## How it was made",
        f"By `corpus` {versions['corpus']} (code {versions['code']}) from {len(inputs)} archives of {size:,} bytes; "
        f"fingerprint `{info['fingerprint']}`.",
        "",
        "| records | count | left |",
        "|---|---|---|",
        *_funnel(info),
        "",
        f"The recipe, `{info['recipe']['name']}`, with every limit:",
        "",
        "```json",
        json.dumps(info["recipe"], indent=1, ensure_ascii=False),
        "```",
    ]


def _funnel(info: dict[str, Any]) -> list[str]:
    records = info["records"]
    left = records["in"]
    rows = [f"| in | {left:,} | {left:,} |"]
    for outcome in ("skipped", "failed"):
        left -= total(records[outcome])
        rows.append(f"| {outcome} | {total(records[outcome]):,} | {left:,} |")
    for stage in info["recipe"]["stages"]:
        gone = total(records["dropped"].get(stage["name"], {}))
        left -= gone
        rows.append(f"| dropped by {stage['name']} | {gone:,} | {left:,} |")
    return [*rows, f"| kept | {records['kept']:,} | {left:,} |"]
