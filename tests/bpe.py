"""A byte-level BPE learned in the plain way, to check the fast one by, and a small tokenizer for tests."""

import json
from collections import Counter
from functools import cache
from itertools import pairwise

import regex

from corpus.tokens.byte_level_bpe import OUR_PATTERN, tokenizer_json
from corpus.tokens.tokenizer import Tokenizer
from corpus.tokens.train_tokenizer import SPECIALS
from tests.warcs import WORDS

TEXTS = (
    WORDS,
    "Im Jahr 1984 und 2024: 31.12.1999, 12345678 Äpfel für 3,50 €! Größe, Straße, naïve, café.\n\n\tÜber",
    "def f(x):\n    return [x, x + 1, x * 2]\n\n\nfor i in range(1000):\n    print(f(i))\n" * 3,
    "Привет, мир! Как дела? 你好世界,今天天气很好。 مرحبا بالعالم नमस्ते 👩‍👩‍👧‍👦 １２３",
    "<|bos|> and <|im_start|>user<|im_sep|>hello<|im_end|> are text here",
)


def words(texts):
    """The number of occurrences of each match of the split pattern, as tuples of ids."""
    found = Counter(piece for text in texts for piece in regex.findall(OUR_PATTERN, text))
    return {tuple(piece.encode()): count for piece, count in found.items()}


def merges_of(texts, count):
    """The first merges. Each joins the most frequent pair of ids. Of equally frequent pairs it joins the lowest."""
    seen = words(texts)
    merges = []
    while len(merges) < count:
        pairs = Counter()
        for word, times in seen.items():
            for pair in pairwise(word):
                pairs[pair] += times
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        new = 256 + len(merges)
        merges.append(best)
        merged = Counter()
        for word, times in seen.items():
            merged[replaced(word, best, new)] += times
        seen = merged
    return merges


def replaced(word, pair, new):
    out = []
    for number in word:
        if out and (out[-1], number) == pair and out[-1] != new:
            out[-1] = new
        else:
            out.append(number)
    return tuple(out)


@cache
def small_tokenizer(count=300):
    """A tokenizer of 256 bytes, some merges and the specials."""
    tokens = [bytes([byte]) for byte in range(256)]
    written = []
    for left, right in merges_of(TEXTS, count):
        written.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
    ranks = {token: rank for rank, token in enumerate(tokens)}
    specials = {text: len(tokens) + number for number, text in enumerate(SPECIALS)}
    return Tokenizer("small", tokenizer_json(ranks, written, OUR_PATTERN, specials))


def changed(tokenizer, change):
    """A tokenizer.json with a change."""
    content = json.loads(tokenizer.data)
    change(content)
    return json.dumps(content).encode()
