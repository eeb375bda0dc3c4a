"""gigatoken, used so that its ids equal those of HF tokenizers.

gigatoken knows the split patterns of well-known tokenizers, but not our pattern (numbers in groups of two digits). So
texts are cut inside longer numbers. Cutting is exact, because no match of the pattern extends over such a cut. The two
libraries also have Unicode tables of different years. So each character is tried with both libraries when it is first
seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import regex
from gigatoken import Tokenizer as Gigatoken
from tokenizers import Tokenizer as HF

from corpus.tokens.byte_level_bpe import CHAR_OF_BYTE, GPT4_PATTERN, OUR_PATTERN

MOST_IDS = 1 << 26
"""The number of ids after which a gigatoken encoder is replaced: some 256 MB of text.

An encoder keeps every word that it has seen. Texts in which every word is new (numbers, names, languages without
spaces) would fill the memory of any machine.
"""

_FRESH, _SAME, _DIFFERENT = range(3)
_OURS, _GPT4 = json.dumps(OUR_PATTERN), json.dumps(GPT4_PATTERN)


class GigatokenEncoder:
    """An encoder for one core.

    Threads may share it. Raises ValueError if gigatoken does not know the kind of tokenizer.
    """

    def __init__(self, plain: dict[str, Any], hf: Any) -> None:
        """`plain` is a tokenizer.json without special tokens.

        `hf` is the tokenizer that HF tokenizers makes from it.
        """
        ours = _OURS in json.dumps(plain["pre_tokenizer"])
        self._numbers = regex.compile(r"\p{N}{3,}") if ours else None
        self._source = plain if ours else hf
        self._encoder, self._given = _gigatoken(self._source), 0
        probe = _probe(plain)
        self._probes = HF.from_str(json.dumps(probe)), _gigatoken(probe)
        self._known = np.full(0x110000, _FRESH, dtype=np.uint8)  # by code point
        self._known[:128] = _SAME  # the libraries agree on ASCII, and most texts contain only ASCII

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of all texts in one array (uint32), and the number of ids of each text (int64)."""
        pieces: list[str] = []
        firsts = [0]
        for text in texts:
            pieces.extend(self._cut(text))
            firsts.append(len(pieces))
        layout = self._encoder.encode_batch(pieces, parallel=False).layout
        ends = layout.offsets.data
        ids = layout.content.data[ends[0] : ends[-1]]
        self._given += len(ids)  # another thread may overwrite this count, which only delays the replacement
        if self._given > MOST_IDS:
            self._given = 0
            self._encoder = _gigatoken(self._source)
        return ids, np.diff(ends[firsts])

    def _cut(self, text: str) -> Iterator[str]:
        """Split the text after each second digit of a longer number."""
        start = 0
        if self._numbers is not None:
            for number in self._numbers.finditer(text):
                for end in range(number.start() + 2, number.end(), 2):
                    yield text[start:end]
                    start = end
        yield text[start:]

    def unsure(self, texts: Sequence[str]) -> set[int]:
        """Return the indexes of texts with a character that the two libraries classify differently."""
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
        """Note which characters both libraries put into the same class: letter, number, space or other."""
        hf, fast = self._probes
        texts = [f"a{char} 1{char} {char}a" for char in map(chr, codes.tolist())]  # the numbers have two digits at most
        same = [hf.encode(text).ids == fast.encode(text).tolist() for text in texts]
        self._known[codes] = np.where(same, _SAME, _DIFFERENT)


def _gigatoken(given: Any) -> Any:
    """Return gigatoken's tokenizer. Our pattern is replaced by GPT-4's, which gigatoken knows."""
    return Gigatoken(HF.from_str(json.dumps(given).replace(_OURS, _GPT4)) if isinstance(given, dict) else given)


def _probe(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a tokenizer with the same split pattern, whose ids show the splits.

    If a letter, a digit or a space is in one match with the next character, the tokenizer merges it with that
    character's first byte.
    """
    vocab = {char: byte for byte, char in CHAR_OF_BYTE.items()}
    merges = []
    for before in map(CHAR_OF_BYTE.__getitem__, b"a1 "):
        for lead in map(CHAR_OF_BYTE.__getitem__, range(0xC2, 0xF5)):
            merges.append([before, lead])
            vocab[before + lead] = len(vocab)
    model = {**plain["model"], "vocab": vocab, "merges": merges}
    return {**plain, "model": model, "added_tokens": []}
