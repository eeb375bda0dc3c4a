"""The n-grams that tell labels apart, as a trained model weighs them.

A supervised fastText model adds up the vectors of the words and n-grams of a page, and divides by their number. So the
lead of a label over the mean of all labels is a sum over n-grams, and each n-gram's part in it can be told.

Source: fastText 0.9.2, dictionary.cc (`hash`, `addWordNgrams`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from filters.fasttext_file import LABEL
from jobs.classifier.pages import Page
from jobs.classifier.train import Settings

TOLD = 20
_LEAST_SITES = 3
"""An n-gram of fewer sites tells more about these sites than about the label."""

_MOST_PAGES = 2_000
_EOS = "</s>"
_NGRAM_BASE = 116049371


def telling(pages: Sequence[Page], model: Any, settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Return the most telling n-grams of each label, most telling first: those whose part in the label's lead differs
    most between pages with the label and other pages. Each comes with the difference, and with the share of the label's
    pages that have it. `model` is fastText's, not quantized."""
    words = {word: number for number, word in enumerate(model.get_words(on_unicode_error="replace"))}
    inputs, outputs = model.get_input_matrix(), model.get_output_matrix()
    lead = outputs - outputs.mean(axis=0)
    rows: dict[str, int] = {}
    labels = {page.label: _Usage() for page in pages}
    for page in pages:
        usage = labels[page.label]
        if usage.pages < _MOST_PAGES:
            usage.add(page, Counter(ngrams(page.line, words, settings, rows)))
    found = {}
    for number, name in enumerate(model.get_labels(on_unicode_error="replace")):
        label = name.removeprefix(LABEL)
        own = labels[label]
        others = [usage for usage in labels.values() if usage is not own]
        apart = sum(usage.pages for usage in others)
        scored = []
        for gram in own.usual():
            more = own.shares[gram] / own.pages - sum(usage.shares.get(gram, 0.0) for usage in others) / apart
            if more > 0:
                scored.append((round(more * float(inputs[rows[gram]] @ lead[number]), 6), gram))
        best = sorted(scored, key=lambda one: (-one[0], one[1]))[:TOLD]
        found[label] = [
            {"ngram": gram, "part": part, "pages": round(own.there[gram] / own.pages, 4)}
            for part, gram in best
            if part > 0
        ]
    return found


@dataclass
class _Usage:
    """The n-grams of the pages of a label: the sum of their shares of a page, the number of pages, and some sites."""

    pages: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    there: Counter[str] = field(default_factory=Counter)
    sites: dict[str, set[str]] = field(default_factory=dict)

    def add(self, page: Page, grams: Counter[str]) -> None:
        self.pages += 1
        total = grams.total()
        self.there.update(grams.keys())
        for gram, count in grams.items():
            self.shares[gram] = self.shares.get(gram, 0.0) + count / total
            known = self.sites.setdefault(gram, set())
            if len(known) < _LEAST_SITES:
                known.add(page.site)

    def usual(self) -> list[str]:
        return [gram for gram, known in self.sites.items() if len(known) >= _LEAST_SITES and gram != _EOS]


def ngrams(line: str, words: dict[str, int], settings: Settings, rows: dict[str, int]) -> Iterator[str]:
    """Yield the words and n-grams of a line that have a vector. `rows` gets the number of the vector of each."""
    tokens = [*line.split(), _EOS]
    hashes = [_hash(token) for token in tokens]
    for start, token in enumerate(tokens):
        if token in words:
            rows[token] = words[token]
            yield token
        value = hashes[start]
        for end in range(start + 1, min(start + settings.ngrams, len(tokens))):
            value = (value * _NGRAM_BASE + hashes[end]) % (1 << 64)
            gram = " ".join(tokens[start : end + 1])
            rows[gram] = len(words) + value % settings.buckets
            yield gram


def _hash(token: str) -> int:
    """Return fastText's hash of a word, an FNV-1a hash over signed bytes, as a signed number of 32 bits modulo 2⁶⁴."""
    value = 2166136261
    for byte in token.encode("utf-8", "replace"):
        signed = byte - 256 if byte > 127 else byte
        value = ((value ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
    return value if value < 1 << 31 else value - (1 << 32) + (1 << 64)
