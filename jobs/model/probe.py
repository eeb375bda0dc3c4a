"""Probes of a base model: texts that it knows by heart, tasks with examples in the prompt, and likely continuations.

Regurgitation is measured as in Carlini et al. (arXiv:2202.07646). A model gets the first tokens of a text, and the
probe counts how many of the next tokens it continues verbatim. Models recite a text if training repeats it.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from corpus.errors import InputError
from corpus.json_data import parse_json
from corpus.tokens.encode_slice import is_in_val
from corpus.tokens.texts import Texts, read_slice
from jobs.model.generate import Continuer, Sampling, draw, unused

BEGUN, RECITED = 32, 50
"""The number of tokens of a text that the model gets, and the number of tokens that it should recite."""

DOCUMENTS = 64
"""The number of texts in each group."""

AT_ONCE = 32
LONGEST = 10
"""The number of recited passages that are listed."""

SHOTS = (0, 1, 2, 4, 8, 16)
"""The numbers of examples in the prompt."""

WIDE, DEEP = 3, 4
"""The number of branches at each place of the tree of continuations, and the depth of the tree."""


@dataclass(frozen=True)
class Recital:
    """The result for texts that training saw equally often: the mean number of tokens continued verbatim, half the
    width of its 95% interval, and the share of texts continued completely.
    """

    seen: int
    texts: int
    mean: float
    interval: float
    whole: float


def recite(model: Continuer, texts: Texts, tick: Any = lambda: None) -> tuple[list[Recital], list[dict[str, Any]]]:
    """Return a `Recital` for each number of times that texts were seen, beginning with 0, and the longest recited
    passages by the ids of their documents.

    In each epoch, a text was seen as often as it occurs in `texts`. Texts of the validation split were never seen.
    Raises InputError if the model does not say what it was trained on.
    """
    try:
        epochs, val_share = max(1, round(model.state["epochs"])), model.state["val_share"]
    except KeyError:
        raise InputError("The model does not say how often it saw its texts.", "Probe a base model.") from None
    counts: Counter[str] = Counter()
    ids: dict[str, str] = {}
    for part in texts.slices():
        for batch in read_slice(part):
            for name, text in zip(batch["id"].to_pylist(), batch["text"].to_pylist(), strict=True):
                ids.setdefault(text, name)
                counts[text] += 1
    groups: dict[int, list[str]] = {}
    for text in sorted(counts, key=lambda text: hashlib.sha256(text.encode()).digest()):
        groups.setdefault(0 if is_in_val(text, val_share) else counts[text] * epochs, []).append(text)
    recitals: list[Recital] = []
    passages: list[dict[str, Any]] = []
    for seen, group in sorted(groups.items()):
        found = _recited(model, group, tick)
        if len(found) < 2:
            continue
        lengths = list(found.values())
        interval = 1.96 * stdev(lengths) / math.sqrt(len(lengths))
        whole = sum(length == RECITED for length in lengths) / len(lengths)
        recitals.append(Recital(seen, len(lengths), fmean(lengths), interval, whole))
        passages += [{"id": ids[text], "seen": seen, "tokens": length} for text, length in found.items()]
    longest = sorted(passages, key=lambda one: (-one["tokens"], one["id"]))
    return recitals, longest[:LONGEST]


def _recited(model: Continuer, group: Sequence[str], tick: Any) -> dict[str, int]:
    """Return, for some texts of a group, how many of the next tokens were continued verbatim."""
    chosen: dict[str, list[int]] = {}
    for text in group:
        ids = model.encode(text)
        if len(ids) > BEGUN + RECITED:
            chosen[text] = ids[1 : BEGUN + RECITED + 1]
        if len(chosen) == DOCUMENTS:
            break
    found: dict[str, int] = {}
    for first in range(0, len(chosen), AT_ONCE):
        part = list(chosen)[first : first + AT_ONCE]
        prompts = [[model.bos, *chosen[text][:BEGUN]] for text in part]
        for text, made in zip(part, continued(model, prompts, RECITED), strict=True):
            wanted = chosen[text][BEGUN:]
            same = [one == other for one, other in zip(made, wanted, strict=False)]
            found[text] = same.index(False) if False in same else len(same)
        tick()
    return found


def continued(model: Continuer, prompts: Sequence[Sequence[int]], tokens: int) -> list[list[int]]:
    """Return the likeliest tokens after each prompt."""
    made: list[list[int]] = [[] for _ in prompts]
    for drawn in draw(
        model.model, prompts, Sampling(tokens, 0.0), (), banned=unused(model.model, model.tokenizer), slide=True
    ):
        made[drawn.row].append(drawn.id)
    return made


def read_examples(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of a JSONL file with `question` and `answer`. Raises InputError."""
    pairs = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                data = parse_json(line)
                pairs.append((str(data["question"]), str(data["answer"])))
            except (ValueError, KeyError, TypeError):
                what = f"Line {number} of {path} is not an example."
                raise InputError(what, "Write JSON objects with question and answer.") from None
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path} can't be read as text.", "Name a JSONL file of examples.") from None
    if len(pairs) < max(SHOTS) + 2:
        raise InputError(f"{path} has {len(pairs)} examples.", f"Give at least {max(SHOTS) + 2}.")
    return pairs


def few_shot(model: Continuer, pairs: Sequence[tuple[str, str]], most: int = 100) -> list[dict[str, Any]]:
    """Return the share of right answers for each number of examples in the prompt, over up to `most` questions.

    The list ends when a prompt does not fit the window.
    """
    shots, asked = pairs[: max(SHOTS)], pairs[max(SHOTS) :][:most]
    rows: list[dict[str, Any]] = []
    for count in SHOTS:
        before = "".join(f"Q: {question}\nA: {answer}\n\n" for question, answer in shots[:count])
        prompts = [model.encode(f"{before}Q: {question}\nA:") for question, _ in asked]
        room = 1 + max(len(model.encode(" " + answer)) for _, answer in asked)
        if max(map(len, prompts)) + room > model.model.shape.window:
            break
        right = 0
        for first in range(0, len(asked), AT_ONCE):
            made = continued(model, prompts[first : first + AT_ONCE], room)
            for ids, (_, answer) in zip(made, asked[first : first + AT_ONCE], strict=True):
                text = model.tokenizer.decode(ids).decode("utf-8", "replace")
                right += text.split("\n")[0].strip() == answer.strip()
        rows.append({"examples": count, "asked": len(asked), "right": right / len(asked)})
    return rows


def tree(model: Continuer, ids: Sequence[int], deep: int = DEEP) -> list[dict[str, Any]]:
    """Return the likeliest next tokens of a prompt with their probabilities, and the likeliest tokens after each of
    them.
    """
    if not deep:
        return []
    banned = unused(model.model, model.tokenizer)
    first = next(draw(model.model, [ids], Sampling(1, 0.0), (), shown=WIDE, banned=banned, slide=True))
    text = model.tokenizer.decode
    return [
        {"token": text([one]).decode("utf-8", "replace"), "probability": share,
         "next": tree(model, [*ids, one], deep - 1)}
        for one, share in first.likeliest
    ]  # fmt: skip


def probe(
    model: Continuer, texts: Texts, examples: Path | None, prompts: Iterable[str], tick: Any = lambda: None
) -> dict[str, Any]:
    """Return the results of all probes of a base model, as JSON data."""
    recitals, longest = recite(model, texts, tick)
    return {
        "begun": BEGUN,
        "recited": RECITED,
        "regurgitation": [vars(one) for one in recitals],
        "longest": longest,
        "few_shot": few_shot(model, read_examples(examples)) if examples else [],
        "trees": [{"prompt": prompt, "next": tree(model, model.encode(prompt))} for prompt in prompts],
    }
