"""Questions with several answers, which a base model answers by likelihood: the answer with the fewest bits per byte.

A model of this size can often do no better than chance, so each score comes with its interval and with chance.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F

from corpus.errors import InputError
from filters.decontaminate.build import Item
from jobs.ablate.decide import mean_interval
from jobs.build.eval_items import read_items
from jobs.build.inputs import find_inputs
from jobs.model.generate import Continuer

MOST_ITEMS = 500
"""The number of questions of a benchmark that are asked, chosen by hash."""

MADE_CHOICES = 4
"""The number of answers to choose from if the benchmark has none: the right one, and those of other questions."""

_AT_ONCE = 16


@dataclass(frozen=True)
class Question:
    """A question with its answers, of which the first is right."""

    benchmark: str
    question: str
    answers: tuple[str, ...]


def read_questions(files: Sequence[str]) -> list[dict[str, Any]]:
    """Return the questions of files of benchmark items, as plain data. Raises InputError if no item can be asked."""
    by_benchmark: dict[str, list[Item]] = defaultdict(list)
    for item in read_items(find_inputs(files), {}, []):
        if item.right and item.question:
            by_benchmark[item.benchmark].append(item)
    found = [question for name in sorted(by_benchmark) for question in _questions(by_benchmark[name])]
    if files and not found:
        raise InputError(f"No row of {', '.join(files)} has a question and a right answer.", "See docs/ablate.md.")
    return [asdict(one) for one in found]


def _questions(items: Sequence[Item]) -> Iterable[Question]:
    asked = sorted(items, key=lambda item: hashlib.sha256(f"{item.question}\0{item.right}".encode()).digest())
    asked = asked[:MOST_ITEMS]
    for number, item in enumerate(asked):
        answers = dict.fromkeys([item.right, *item.answers])
        if len(answers) == 1:
            others = (asked[(number + step) % len(asked)].right for step in range(1, MADE_CHOICES))
            answers = dict.fromkeys([item.right, *others])
        if len(answers) > 1:
            yield Question(item.benchmark, item.question, tuple(answers))


def answer(model: Continuer, questions: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each benchmark which questions the model answers, the chance of each, and the mean of bits per byte of
    the right answers."""
    found: dict[str, dict[str, Any]] = {}
    for one in questions:
        bits = [_bits_per_byte(model, one["question"], text) for text in _in_batches(one["answers"])]
        own = [value for part in bits for value in part]
        mine = found.setdefault(one["benchmark"], {"right": [], "chances": [], "bits": []})
        mine["right"].append(int(own[0] < min(own[1:])))
        mine["chances"].append(1 / len(own))
        mine["bits"].append(own[0])
    return {name: {**one, "bits": fmean(one["bits"])} for name, one in found.items()}


def _in_batches(answers: Sequence[str]) -> Iterable[Sequence[str]]:
    return [answers[start : start + _AT_ONCE] for start in range(0, len(answers), _AT_ONCE)]


@torch.no_grad()
def _bits_per_byte(model: Continuer, question: str, answers: Sequence[str]) -> list[float]:
    """Return the bits of each answer after the question, divided by its bytes. A long question loses its start, and a
    long answer its end."""
    window = model.model.shape.window
    before = model.encode(f"Question: {question}\nAnswer:")
    device = next(model.model.parameters()).device
    rows = []
    for text in answers:
        ids = model.encode(" " + text)[1 : window // 2 + 1]  # without the separator
        kept = before[-(window + 1 - len(ids)) :]
        rows.append((kept + ids, len(kept)))
    longest = max(len(ids) for ids, _ in rows)
    batch = torch.tensor([ids + [model.bos] * (longest - len(ids)) for ids, _ in rows], device=device)
    nats = F.cross_entropy(model.model(batch[:, :-1]).flatten(0, 1).float(), batch[:, 1:].flatten(), reduction="none")
    sizes = model.tokenizer.token_bytes
    found = []
    for row, (ids, first) in zip(nats.view(len(rows), -1), rows, strict=True):
        size = int(sizes[ids[first:]].sum())
        found.append(float(row[first - 1 : len(ids) - 1].double().sum()) / math.log(2) / max(size, 1))
    return found


def summarize(by_seed: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return for each benchmark the share of right answers over all seeds, beside chance. The interval is over
    questions. `at_chance` says that it contains chance."""
    rows = []
    for name in by_seed[0]:
        chances = by_seed[0][name]["chances"]
        each = [fmean(answers) for answers in zip(*(found[name]["right"] for found in by_seed), strict=True)]
        above, half = mean_interval([mine - chance for mine, chance in zip(each, chances, strict=True)])
        rows.append(
            {
                "benchmark": name,
                "questions": len(each),
                "right": fmean(each),
                "half": half,
                "chance": fmean(chances),
                "at_chance": abs(above) <= half,
                "bits_per_byte": fmean(found[name]["bits"] for found in by_seed),
            }
        )
    return rows
