"""Make an index from benchmark items: choose the texts that are looked for, and the n-grams that count."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import chain
from pathlib import Path

import numpy as np

from corpus.storage.replacing import write_whole
from corpus.text.shingles import word_hashes
from corpus.text.vocabulary import Flags, Hashes, Ints
from filters.decontaminate.index import (
    ANY,
    COMMON,
    GRAM,
    LEAST_GRAM,
    MOST_WORDS,
    Benchmark,
    EvalIndex,
    grams_of,
    starts_of,
    write_index,
)
from filters.decontaminate.normalise import APOSTROPHE, joined_words_of, words_of

ITEMS = "items.jsonl"
"""The file in an index with the source of each item. Only people read it."""

LONG = 13
"""A question with fewer words that count is looked for together with an answer."""

ALONE = 8
"""A question of fewer words is not looked for at all if it has no answer."""

SIDE = 16
"""The words of an answer, and of a question that stands beside an answer. More words do not prove more."""

_HITS_EACH = 6
"""Words that count, for which one n-gram must be found. With fewer, chance hits would be compared."""

Words = tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """An item of a benchmark. `answers` are its right answer and all choices."""

    benchmark: str
    question: str
    answers: tuple[str, ...] = ()
    source: str = ""
    """Where the item stands: its file and row, and its id if it has one."""
    right: str = ""
    """The one of the answers that is right. It is empty if the rows do not say which one is."""


@dataclass
class _Text:
    """A text to look for. `links` are pairs of an item and a partner."""

    words: Hashes
    counts: Flags
    misses: int
    links: dict[tuple[int, Words], None] = field(default_factory=dict)


def build_index(items: Iterable[Item], folder: Path, boilerplate: Iterable[str] = ()) -> EvalIndex:
    """Write the index of some items. The same items in the same order give the same bytes.

    The n-grams that two of the texts in `boilerplate` share do not count, nor do those of our own list.
    """
    by_name: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_name[item.benchmark].append(item)
    ordered = [item for name in sorted(by_name) for item in by_name[name]]
    questions: dict[Words, list[int]] = defaultdict(list)
    for number, item in enumerate(ordered):
        questions[_last(words_of(item.question))].append(number)
    questions.pop((), None)
    common = _common(questions, ordered, boilerplate)
    texts: dict[Words, _Text] = {}
    for question, numbers in questions.items():
        _add(texts, question, numbers, ordered, common)
    found = {item for text in texts.values() for item, _ in text.links}
    firsts = starts_of([len(by_name[name]) for name in sorted(by_name)])
    benchmarks = [
        Benchmark(name, len(by_name[name]), sum(first + at not in found for at in range(len(by_name[name]))))
        for name, first in zip(sorted(by_name), firsts.tolist(), strict=False)
    ]
    index = _write(folder, list(texts.values()), benchmarks, common)
    names = ("{}:{}".format(*index.name_of(number)) for number in range(len(ordered)))
    lines = [json.dumps({"item": name, "source": item.source}) for name, item in zip(names, ordered, strict=True)]
    write_whole(folder / ITEMS, "\n".join([*lines, ""]).encode())
    return index


class _Common:
    """The n-grams that do not count."""

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes

    def rare(self, words: Hashes) -> tuple[Flags, Flags]:
        """Return whether each n-gram of a text counts, and whether each word is in an n-gram that counts."""
        size = max(min(GRAM, len(words)), LEAST_GRAM)
        grams = grams_of(words, size)
        at = np.searchsorted(self._hashes, grams)
        rare = self._hashes[np.minimum(at, len(self._hashes) - 1)] != grams
        counts = np.zeros(len(words), np.bool_)
        for shift in range(size if len(grams) else 0):
            counts[shift : shift + len(grams)] |= rare
        return rare, counts


def _common(questions: dict[Words, list[int]], items: Sequence[Item], boilerplate: Iterable[str]) -> _Common:
    """Find the n-grams in too many questions with their answers, and in boilerplate.

    A question that several benchmarks have counts once.
    """
    own = (resources.files("filters.decontaminate") / "boilerplate.txt").read_text(encoding="utf-8")
    of_questions = (
        np.unique(np.concatenate([_all_grams(question), *(_all_grams(words) for words in _answers(numbers, items))]))
        for question, numbers in questions.items()
    )
    of_texts = (np.unique(_all_grams(words_of(text))) for text in boilerplate)
    found = _in_more_than(COMMON, of_questions), _in_more_than(1, of_texts), _all_grams(words_of(own))
    return _Common(np.unique(np.concatenate(found)))


def _in_more_than(most: int, sets: Iterator[Hashes]) -> Hashes:
    """Return the hashes that more than `most` of the sets have."""
    values, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *sets]), return_counts=True)
    return values[counts > most]


def _all_grams(words: Sequence[str]) -> Hashes:
    hashes = _hashes(words)
    return np.concatenate([grams_of(hashes, LEAST_GRAM), grams_of(hashes, GRAM)])


def _hashes(words: Sequence[str]) -> Hashes:
    return np.array(word_hashes(words), np.uint64)


def _last(words: Sequence[str]) -> Words:
    return tuple(words[-MOST_WORDS:])


def _answers(numbers: Sequence[int], items: Sequence[Item]) -> set[Words]:
    return {_first(words_of(answer)) for number in numbers for answer in items[number].answers} - {()}


def _first(words: Sequence[str]) -> Words:
    return tuple(words[:SIDE])


def _forms(text: str) -> list[Words]:
    """Return the words of a text, and those that it has if its punctuation is deleted, or replaced by spaces."""
    forms = words_of(text), joined_words_of(text), words_of(APOSTROPHE.sub(" ", text))
    return list(dict.fromkeys(_last(form) for form in forms if form))


def _add(
    texts: dict[Words, _Text], question: Words, numbers: Sequence[int], items: Sequence[Item], common: _Common
) -> None:
    """Add the texts by which the items with this question are found."""
    forms = _forms(items[numbers[0]].question)
    rare, counts = common.rare(_hashes(question))
    alone: list[tuple[int, Words]] = [(number, ()) for number in numbers]
    if counts.sum() >= LONG and len({items[number].benchmark for number in numbers}) == len(numbers):
        for form in forms:
            if form is forms[0] or _lacking(form, forms[0]) > len(forms[0]) // 16:
                _link(texts, form, common, ANY, alone)
        return
    pairs = [(number, answer) for number in numbers for answer in _answer_forms(items[number])]
    if not pairs and len(question) >= ALONE:
        pairs = alone
    for form in forms:
        _link(texts, form, common, (len(form) + 2) // 8, pairs)
    for number, answer in pairs:
        if not rare.any() or len(answer) >= GRAM:
            _link(texts, answer, common, len(answer) // 9, [(number, _first(form)) for form in forms])


def _answer_forms(item: Item) -> list[Words]:
    return list(dict.fromkeys(_first(form) for answer in item.answers for form in _forms(answer)))


def _lacking(form: Words, words: Words) -> int:
    """Return how many of some words another form of their text lacks."""
    return (Counter(words) - Counter(form)).total()


def _link(
    texts: dict[Words, _Text], words: Words, common: _Common, misses: int, links: Sequence[tuple[int, Words]]
) -> None:
    hashes = _hashes(words)
    rare, counts = common.rare(hashes)
    if not rare.any() or not links:
        return
    text = texts.setdefault(words, _Text(hashes, counts if misses == ANY else np.ones_like(counts), misses))
    text.links |= dict.fromkeys(links)


def _write(folder: Path, texts: Sequence[_Text], benchmarks: Sequence[Benchmark], common: _Common) -> EvalIndex:
    partners: dict[Words, int] = {(): 0}
    links = []
    for text in texts:
        for item, partner in text.links:
            links.append((item, partners.setdefault(partner, len(partners))))
    words = np.concatenate([np.zeros(0, np.uint64), *(text.words for text in texts)])
    counts = np.concatenate([np.zeros(0, np.bool_), *(text.counts for text in texts)])
    starts = starts_of([len(text.words) for text in texts])
    grams = [_rare_grams(text, common) for text in texts]
    arrays = {
        "words": (words.astype(np.uint32) & np.uint32(0xFFFFFFFE)) | counts,
        "text_starts": starts,
        "text_needed": np.array(list(map(_needed, texts, (len(one) for one, _ in grams))), np.uint16),
        "text_misses": np.array([text.misses for text in texts], np.uint8),
        "text_links": starts_of([len(text.links) for text in texts]),
        "links": np.array(links, np.uint32).reshape(-1),
        "partner_starts": starts_of([len(words) for words in partners if words]),
        "partners": _hashes(list(chain.from_iterable(partners))).astype(np.uint32) | np.uint32(1),
    }
    hashes = np.concatenate([np.zeros(0, np.uint64), *(hashes for hashes, _ in grams)])
    moved = (first + start for (_, first), start in zip(grams, starts, strict=False))
    places = np.concatenate([np.zeros(0, np.int64), *moved])
    return write_index(folder, arrays, (hashes, places), benchmarks)


def _rare_grams(text: _Text, common: _Common) -> tuple[Hashes, Ints]:
    """Return the n-grams of a text that count, and the first place of each."""
    grams, first = np.unique(grams_of(text.words, min(GRAM, len(text.words))), return_index=True)
    rare = common.rare(text.words)[0][first]
    return grams[rare], first[rare]


def _needed(text: _Text, grams: int) -> int:
    """Return how many n-grams of a text are left at least if as many of its words differ as may."""
    return max(int(text.counts.sum()) // _HITS_EACH if text.misses == ANY else grams - GRAM * text.misses, 1)
