"""Drop pages that hold items of benchmarks, or cut the items out.

Decontaminate(index="evals").check(text).doc.text
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.errors import ConfigError, did_you_mean
from corpus.stage import Limit, Measured, Stage
from corpus.text.sentences import sentence_ends
from corpus.text.shingles import HashKind, hashes_of
from filters.decontaminate.index import EvalIndex
from filters.decontaminate.normalise import words_of_stretch
from filters.decontaminate.search import Found, search

if TYPE_CHECKING:
    from corpus.document import Document

ACTIONS = ("drop", "cut")
MOST_FOUND = 1_000
"""The most characters of `found`."""

_LANGUAGE = "en"  # only runs without whitespace are used, so any language would do; other stages have computed this one
_STRETCH = re.compile(r"\S+")
_PASSES = 4


class Decontaminate(Stage):
    """Items of benchmarks, such as test questions, so that a model is not trained on what it will be tested with.

    `corpus evals index` makes the index. Without an index, this stage is off: all measures are null.

    Words are compared without case, punctuation and accents. A question is found by the share of its words that a page
    has in the same order, in a stretch about as long as the question. This share is its overlap. Some words may be
    changed, added or left out. 4-grams that more than 30 questions have, or that are boilerplate, do not count. A
    question with fewer than 13 words that count, or that several items of a benchmark share, must be found whole, and
    one of its answers must stand within 50 words of it. Of 6 or more words, one in eight may differ. If an answer is
    found first, its question must stand near it. Items without any such text are left out, and `corpus evals index`
    counts them.

    The measures are those of the text before this stage. With `action = "cut"`, `overlap` is that of the text that is
    left. It is not looked for whether a text that is left answers a question that was cut.
    """

    name = "decontaminate"
    source = "13 words: GPT-3 (arXiv:2005.14165, C); answers near questions: allenai/decon; limits our own"
    reads = ("text",)
    detailed = ("overlap", "items")

    overlap = Limit(below=0.75, share=True)
    """The highest overlap of an item. Less than 0.5 counts as 0. The detail is the item, and its place in the text."""
    items = Limit(of=int)
    """The number of items with an overlap of at least `at_least`."""
    found = Limit(of=str)
    """These items by benchmark and number, such as `gsm8k:17,20-22 mmlu:4`. `+5` at the end: 5 more."""
    chars_left = Limit(min=200, of=int)
    """The characters of a text that was cut. Null if nothing was cut."""

    def __init__(self, *, index: str = "", action: str = "drop", at_least: float = 0.75) -> None:
        if action not in ACTIONS:
            raise ConfigError(f"decontaminate.action = {action!r} is unknown.", did_you_mean(str(action), ACTIONS))
        if not 0.5 <= at_least <= 1:
            what = f"decontaminate.at_least = {at_least!r} is not between 0.5 and 1."
            raise ConfigError(what, "It is a share of the words of an item.")
        self.index = index
        """The folder of an index made by `corpus evals index`. Empty: the stage is off."""
        self.action = action
        """"drop": the limits decide. "cut": the sentences with items are removed first."""
        self.at_least = at_least
        """The overlap from which on an item counts as found, in `items`, and for "cut"."""

    def prepare(self) -> None:
        self.index_ = EvalIndex.open(Path(self.index)) if self.index else None

    def resources(self) -> dict[str, str]:
        return {"index": EvalIndex.open(Path(self.index), verify=True).digest} if self.index else {}

    def checked(self) -> dict[str, Any]:
        if not self.index:
            return {}
        index = EvalIndex.open(Path(self.index))
        return {"index": index.digest, "benchmarks": [vars(one) for one in index.benchmarks]}

    def apply(self, doc: Document) -> Iterator[Measured]:
        index = self.index_
        if index is None:
            yield from ((measure, None) for measure in self.limits)
            return
        found = _search(index, doc)
        items = {one.item for one in found if one.overlap >= self.at_least}
        left = found
        if items and self.action == "cut":
            for _ in range(_PASSES):
                spans = [(one.start, one.end) for one in left if one.overlap >= self.at_least]
                if not spans:
                    break
                doc.text = _without(doc, spans)
                left = _search(index, doc)
        best = max(left, key=lambda one: one.overlap, default=None)
        detail = [_detail(index, best, doc)] if best else []
        yield "overlap", round(best.overlap, 6) if best else 0.0, *detail  # type: ignore[misc]
        yield "items", len(items), *detail  # type: ignore[misc]
        yield "found", named(map(index.name_of, sorted(items))) or None
        yield "chars_left", len(doc.text) if left is not found else None


def named(items: Iterable[tuple[str, int]], most: int = MOST_FOUND) -> str:
    """Return items, in order, as text of at most `most` characters: `gsm8k:17,20-22 mmlu:4 +5`."""
    ranges: list[tuple[str, int, int]] = []
    for name, number in items:
        if ranges and ranges[-1][0] == name and ranges[-1][2] == number - 1:
            ranges[-1] = name, ranges[-1][1], number
        else:
            ranges.append((name, number, number))
    parts = [f"{first}-{last}" if first < last else str(first) for _, first, last in ranges]
    # the longest that a part may take: its own name, and the number of the items that do not fit
    sizes = [len(name) + 2 + len(part) for (name, *_), part in zip(ranges, parts, strict=True)]
    fitting = sum(size <= most - 20 for size in accumulate(sizes))
    shown = zip(ranges[:fitting], parts, strict=False)
    texts = [f"{name}:{','.join(part for _, part in group)}" for name, group in groupby(shown, lambda one: one[0][0])]
    more = sum(last - first + 1 for _, first, last in ranges[fitting:])
    return " ".join([*texts, *([f"+{more}"] if more else [])])


def _search(index: EvalIndex, doc: Document) -> list[Found]:
    return search(index, hashes_of(doc.stretches(_LANGUAGE), HashKind.ITEMS, words_of_stretch))


def _detail(index: EvalIndex, found: Found, doc: Document) -> str:
    name, number = index.name_of(found.item)
    (first, last), spans = _stretches(doc, [(found.start, found.end)])[0], _spans(doc.text)
    return f"{name}:{number}, characters {spans[first][0]} to {spans[last][1]}"


def _spans(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _STRETCH.finditer(text)]


def _stretches(doc: Document, words: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the first and last stretch of some runs of words."""
    stretches = doc.stretches(_LANGUAGE)
    ends = np.cumsum(stretches.table.kernel.hash_counts(HashKind.ITEMS, stretches.numbers), dtype=np.int64)
    edges = np.array([(start, end - 1) for start, end in words], np.int64)
    return [(first, last) for first, last in np.searchsorted(ends, edges, "right").tolist()]


def _without(doc: Document, words: Sequence[tuple[int, int]]) -> str:
    """Return the text without the sentences that have these words. A sentence never crosses the end of a line."""
    text, spans = doc.text, _spans(doc.text)
    starts = [start for start, _ in spans[1:]]
    broken = ["\n" in text[end:start] for (_, end), start in zip(spans, starts, strict=False)]
    ends = np.array(sentence_ends(doc.stretches(_LANGUAGE)))
    ends[:-1] |= np.array(broken, np.bool_)
    ends[-1] = True
    sentences = np.cumsum(ends) - ends  # the number of the sentence of each stretch
    edges = sentences[np.array(_stretches(doc, words))]
    kept = np.ones(int(sentences[-1]) + 1, np.bool_)
    for first, last in edges.tolist():
        kept[first : last + 1] = False
    flags = np.concatenate([[False], kept[sentences], [False]])
    changes = np.flatnonzero(flags[1:] != flags[:-1]).tolist()
    after = [*starts, len(text)]  # where the stretch after each one begins
    pieces = [text[spans[at][0] : after[stop - 1]] for at, stop in zip(changes[::2], changes[1::2], strict=True)]
    return "".join(pieces).rstrip()
