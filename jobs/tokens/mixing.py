"""What a mixture gives: its documents by the ledgers alone, its tokens by count, and both as a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from corpus.errors import InputError
from corpus.storage.commits import Commit
from corpus.tokens.choice import REASONS, WHOLE, Reach, SourceSlice
from corpus.tokens.count_slice import Counting, counted_tokens, rank_bits, reach_of
from corpus.tokens.encoder import Encoder
from corpus.tokens.tokenizer import Tokenizer
from jobs.runner.execution import Execution
from jobs.runner.retries import Function
from jobs.tokens.sources import TEXT_BYTES, Source, Sources

_BYTES_PER_TOKEN = 5
"""A high guess, by which the first count of a budget takes rather too many documents than too few."""

_SAMPLE_SLICES, _SAMPLE_ROWS = 8, 128

Survey = Mapping[str, int]
"""Sums over the documents of a source: those of REASONS, `documents`, `copies`, and the bytes of both."""


def survey_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the survey of a slice. Of a run, only the ledger and the small columns are read; of other texts, all
    documents of a file count as equally long."""
    source = SourceSlice.from_dict(payload["source"])
    counts: Counter[str] = Counter()
    for found in source.read(counts, [TEXT_BYTES] if source.ledger else []):
        counts["documents"] += len(found)
        counts["copies"] += int(found.copies.sum())
        if source.ledger:
            sizes = pc.fill_null(found.table[TEXT_BYTES], 0).to_numpy()
            counts["bytes"] += int(sizes.sum())
            counts["copied_bytes"] += int((sizes * found.copies).sum())
    if not source.ledger:
        counts["bytes"] = round(counts["documents"] * payload["mean_bytes"])
        counts["copied_bytes"] = round(counts["copies"] * payload["mean_bytes"])
    return dict(counts)


def survey_payloads(source: Source, slices: Sequence[SourceSlice]) -> list[dict[str, Any]]:
    files = source.texts.files
    means = [max(sum(size for _, size in file.groups) / max(file.rows, 1) - 4, 1) for file in files]  # 4: its length
    return [{"source": asdict(part), "mean_bytes": means[part.file]} for part in slices]


def add_surveys(source: Source, found: Sequence[Mapping[str, int]]) -> Survey:
    """Return the survey of a source from those of its slices. Raises InputError if no document is left."""
    total: Counter[str] = Counter()
    for one in found:
        total.update(one)
    if not total["documents"]:
        left_out = [f"{total[reason]:,} {_IN_WORDS[reason]}" for reason in _IN_WORDS if total[reason]]
        what = f"The source '{source.choice.name}' gives no document of {source.texts.rows:,}: {', '.join(left_out)}."
        raise InputError(what, "Change its filter, share or repeat, or leave it out.")
    return total


_IN_WORDS = {
    "filtered": "do not meet the filter",
    "outside_share": "are outside the share",
    "not_repeated": "are taken 0 times",
}


def find_reach(
    source: Source, slices: Sequence[SourceSlice], survey: Survey, counting: tuple[str, float], count: Function,
    execution: Execution, epochs: float,
) -> Reach:  # fmt: skip
    """Return how far the budget of a source reaches. Its documents are counted from the lowest rank on, as many as the
    budget seems to need, and then twice as many, until there are enough. Raises InputError if there never are."""
    if source.budget is None:
        return Reach()
    budget, bits = source.budget, rank_bits(source.texts.rows)
    part = min(1.2 * budget * _BYTES_PER_TOKEN / max(survey["copied_bytes"], 1), 1.0)
    counted: list[Commit] = []
    start = 0
    while True:
        stop = WHOLE if part >= 1 else int(part * source.choice.share * WHOLE)
        task = asdict(Counting(*counting, bits, start, stop))
        common = {"store": execution.store.location, "counting": task}
        counted += execution.commits("count", count, [{**common, "source": asdict(one)} for one in slices])
        unique, tokens = counted_tokens(counted)
        if tokens >= budget or stop == WHOLE:
            break
        start, part = stop, 2 * part
    if budget > tokens:
        check_epochs(source, budget, unique, epochs)
    return reach_of(execution.store, counted, budget, bits, stop == WHOLE)


def check_epochs(source: Source, tokens: float, unique: float, epochs: float, about: str = "") -> None:
    """Raise InputError if a source would be seen more often than the limit, on average."""
    if tokens <= epochs * unique:
        return
    name = source.choice.name
    most = f"{about}{round(epochs * unique):,} in {epochs:g} epochs"
    has = f"has {about}{round(unique):,} tokens to train on, which are {most}"
    if source.budget is not None:
        what = f"The source '{name}' {has}. The mixture wants {source.budget:,} of it."
        raise InputError(what, "Give it fewer tokens or less weight, or raise `epochs`: later epochs teach less.")
    what = f"The source '{name}' {has}. With its `repeat`, they are {about}{round(tokens):,}."
    raise InputError(what, "Repeat less, or raise `epochs`: later epochs teach less.")


def table_of(sources: Sources, encoded: Sequence[tuple[int, Commit]]) -> dict[str, Any]:
    """Return what each source gave, and the sum. Raises InputError if one was seen too often."""
    rows = []
    for number, source in enumerate(sources.all):
        facts = [done.facts for at, done in encoded if at == number]
        chosen = {name: sum(one["chosen"].get(name, 0) for one in facts) for name in (*REASONS, "beyond_budget")}
        train, alone, val = (
            {name: sum(one[kind][split][name] for one in facts) for name in ("documents", "tokens")}
            for kind, split in (("splits", "train"), ("unique", "train"), ("splits", "val"))
        )
        if sources.mixture:
            most = train["tokens"] if source.budget is None else min(source.budget, train["tokens"])
            check_epochs(source, most, alone["tokens"], sources.mixture.epochs)
        counts: dict[str, Any] = {
            "in": source.texts.rows,
            "empty": source.texts.rows - chosen.pop("read"),
            **chosen,
            "budget": source.budget,
            "documents": alone["documents"],
            "copies": train["documents"],
            "unique_tokens": alone["tokens"],
            "tokens": train["tokens"],
            "val_documents": val["documents"],
            "val_tokens": val["tokens"],
        }
        rows.append(
            {"name": source.choice.name, **counts, "epochs": _epochs(counts["tokens"], counts["unique_tokens"])}
        )
    return _with_total(rows)


def _epochs(tokens: int, unique: int) -> float:
    return round(tokens / max(unique, 1), 4)


def _with_total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = [name for name, value in rows[0].items() if isinstance(value, int)]
    total = {name: sum(row[name] for row in rows) for name in names if name != "budget"}
    return {"sources": rows, "total": {**total, "epochs": _epochs(total["tokens"], total["unique_tokens"])}}


def dry_run(sources: Sources, epochs: float, tokenizer: Tokenizer) -> tuple[dict[str, Any], InputError | None]:
    """Return the table of a mixture by its ledgers, and the error that a budget or a limit would cause. Tokens are
    estimated from a few texts of each source; `error` is the standard error of that, as a share of the tokens."""
    rows: list[dict[str, Any]] = []
    wrong: InputError | None = None
    encoder = Encoder(tokenizer)
    for source in sources.all:
        slices = source.slices()
        survey = add_surveys(source, [survey_task(one) for one in survey_payloads(source, slices)])
        per_byte, error = _sampled_tokens(slices, encoder)
        unique, tokens = survey["bytes"] * per_byte, survey["copied_bytes"] * per_byte
        wanted = tokens if source.budget is None else source.budget
        reached = min(wanted / tokens, 1)
        try:
            check_epochs(source, wanted, unique * reached, epochs, "about ")
        except InputError as problem:
            wrong = wrong or problem
        counts: dict[str, Any] = {
            "in": source.texts.rows,
            **{name: survey.get(name, 0) for name in REASONS[1:]},
            "budget": source.budget,
            "documents": round(survey["documents"] * reached),
            "copies": round(survey["copies"] * wanted / tokens),
            "bytes": round(survey["bytes"] * reached),
            "unique_tokens": round(unique * reached),
            "tokens": round(wanted),
        }
        rows.append(
            {
                "name": source.choice.name,
                **counts,
                "epochs": _epochs(counts["tokens"], counts["unique_tokens"]),
                "error": round(error, 4),
            }
        )
    return _with_total(rows), wrong


def _sampled_tokens(slices: Sequence[SourceSlice], encoder: Encoder) -> tuple[float, float]:
    """Return the tokens per byte of text, with separators, and the standard error as a share of them. Some documents
    at the beginning of slices all over the source are encoded."""
    step = -(-len(slices) // _SAMPLE_SLICES)
    sizes, tokens = [0.0], [0.0]
    for part in slices[::step]:
        left = _SAMPLE_ROWS * _SAMPLE_SLICES // len(slices[::step])
        for found in part.read(Counter()):
            texts = found.table["text"].to_pylist()[:left]
            if texts:
                sizes += [len(text.encode()) for text in texts]
                tokens += (encoder.encode(texts)[1] + 1).tolist()
            left -= len(texts)
            if left <= 0:
                break
    size, token = np.array(sizes[1:]), np.array(tokens[1:])
    if not size.sum():
        return 1 / _BYTES_PER_TOKEN, 1.0
    ratio = float(token.sum() / size.sum())
    spread = float(np.square(token - ratio * size).sum()) / max(len(size) - 1, 1)
    return ratio, math.sqrt(spread / len(size)) / float(token.mean()) if len(size) > 1 else 1.0


def show_mixture(table: Mapping[str, Any], console: Console) -> None:
    """Print what each source gives, and the sum. An estimate has the error of its tokens beside it."""
    estimated = "error" in table["sources"][0]
    headings = ["documents", "copies", "unique tokens", "tokens", "share", "epochs"]
    shown = Table("source", box=None, header_style="dim")
    for heading in [*headings, "± tokens" if estimated else "val documents"]:
        shown.add_column(heading, justify="right")
    total = table["total"]
    for row in [*table["sources"], {"name": "all", **total}]:
        counts = [f"{row[name]:,}" for name in ("documents", "copies", "unique_tokens", "tokens")]
        last = f"{row['error']:.1%}" if "error" in row else "" if estimated else f"{row['val_documents']:,}"
        shares = f"{row['tokens'] / max(total['tokens'], 1):.1%}"
        shown.add_row(row["name"], *counts, shares, f"{row['epochs']:.2f}", last)
    console.print(shown)
    for row in table["sources"]:
        if row["without_value"]:
            console.print(
                f"{row['name']}: {row['without_value']:,} documents have no value to repeat by, and count once."
            )
