"""gigatoken, and what has to be kept from it so that its ids are those of HF tokenizers.

It knows the split patterns of the well-known tokenizers, of which ours (numbers in pieces of two digits) is none: texts
are cut within longer numbers, which is exact, since no piece of the pattern reaches over such a place. And Unicode
tables are of different years: what only one of the two libraries takes for a letter is found by trying each character
with both, once, when it is first seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from corpus.tokens.bytelevel import CHAR_OF_BYTE, GPT4_PATTERN, OUR_PATTERN

MOST_IDS = 1 << 26
"""Ids that one encoder of gigatoken gives, for some 256 MB of text. It keeps each word that it has seen: texts whose
words are all new (numbers, names, languages without spaces) would fill the memory of any machine."""

_FRESH, _SAME, _DIFFERENT = range(3)
_CODES = 0x110000
_OURS, _GPT4 = json.dumps(OUR_PATTERN), json.dumps(GPT4_PATTERN)


class Fast:
    """Encodes on one core. Threads may share it. Raises ValueError where gigatoken does not know a tokenizer's kind."""

    def __init__(self, plain: dict[str, Any], hf: Any) -> None:
        """`plain` is a tokenizer.json without special tokens, `hf` what HF tokenizers made of it."""
        import regex
        from tokenizers import Tokenizer as HF

        ours = _OURS in json.dumps(plain["pre_tokenizer"])
        self._numbers = regex.compile(r"\p{N}{3,}") if ours else None
        self._make = partial(_gigatoken, plain if ours else hf)
        self._encoder, self._given = self._make(), 0
        probe = _probe(plain)
        self._probes = HF.from_str(json.dumps(probe)), _gigatoken(probe)
        self._known = np.full(_CODES, _FRESH, dtype=np.uint8)
        self._known[:128] = _SAME  # the libraries agree on ASCII, and most texts are asked for nothing else

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all texts in one row, uint32, and how many each text has, int64 (len(texts),)."""
        pieces: list[str] = []
        firsts = [0]
        for text in texts:
            pieces.extend(self._cut(text))
            firsts.append(len(pieces))
        layout = self._encoder.encode_batch(pieces, parallel=False).layout
        ends = layout.offsets.data
        ids = layout.content.data[ends[0] : ends[-1]]
        self._given += len(ids)  # a thread that comes between may undo this, which only makes it later
        if self._given > MOST_IDS:
            self._given = 0
            self._encoder = self._make()
        return ids, np.diff(ends[firsts])

    def _cut(self, text: str) -> Iterator[str]:
        """The text in pieces that end after each second digit of a longer number."""
        start = 0
        if self._numbers is not None:
            for number in self._numbers.finditer(text):
                for end in range(number.start() + 2, number.end(), 2):
                    yield text[start:end]
                    start = end
        yield text[start:]

    def unsure(self, texts: Sequence[str]) -> set[int]:
        """The places of the texts with a character that the two libraries take for different things."""
        found = set()
        for at, text in enumerate(texts):
            if text.isascii():
                continue
            codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
            states = self._known[codes]
            if not states.all():
                self._try(np.unique(codes[states == _FRESH]))
                states = self._known[codes]
            if states.max() == _DIFFERENT:
                found.add(at)
        return found

    def _try(self, codes: np.ndarray) -> None:
        """Find out whether both take these characters for the same: letters, numbers, spaces or none of them."""
        hf, fast = self._probes
        texts = [f"a{char} 1{char} {char}a" for char in map(chr, codes.tolist())]  # numbers of two digits at most
        same = [hf.encode(text).ids == fast.encode(text).tolist() for text in texts]
        self._known[codes] = np.where(same, _SAME, _DIFFERENT)


def _gigatoken(given: Any) -> Any:
    """Of a tokenizer of HF, or of a tokenizer.json, in which our pattern is replaced by the one that it knows."""
    from gigatoken import Tokenizer as Gigatoken
    from tokenizers import Tokenizer as HF

    return Gigatoken(HF.from_str(json.dumps(given).replace(_OURS, _GPT4)) if isinstance(given, dict) else given)


def _probe(plain: dict[str, Any]) -> dict[str, Any]:
    """The same way of splitting, with a vocabulary that shows it: a letter, digit or space is merged with the first
    byte of what follows it in one piece."""
    vocab = {char: byte for byte, char in CHAR_OF_BYTE.items()}
    merges = []
    for before in map(CHAR_OF_BYTE.__getitem__, b"a1 "):
        for lead in map(CHAR_OF_BYTE.__getitem__, range(0xC2, 0xF5)):
            merges.append([before, lead])
            vocab[before + lead] = len(vocab)
    model = {**plain["model"], "vocab": vocab, "merges": merges}
    return {**plain, "model": model, "added_tokens": []}
