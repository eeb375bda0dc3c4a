"""Turn text into ids. gigatoken does this if its ids equal those of HF tokenizers, otherwise HF tokenizers does."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain

import numpy as np
from tokenizers import Tokenizer as HF

from corpus.errors import ConfigError
from corpus.tokens.gigatoken_encoder import GigatokenEncoder
from corpus.tokens.tokenizer import Tokenizer, keeps_no_text

Encoded = tuple[np.ndarray, np.ndarray]
"""The ids of all texts in one array (uint32), and the number of ids of each text (int64)."""


class Encoder:
    """An encoder that gives the ids of HF tokenizers, on one core. Threads may share it.

    Raises ConfigError if the ids of unusual texts do not add up to their bytes.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        plain = tokenizer.plain()
        try:
            self._hf = HF.from_str(json.dumps(plain))
        except Exception as error:  # the library raises no narrower class
            raise ConfigError(f"{tokenizer.name} does not load: {error}.", "Give a valid tokenizer.json.") from None
        added = [f"a  {token['content']}  b" for token in plain["added_tokens"]]
        tried = [*odd_texts(), *tokenizer.specials, *added]
        if tokenizer.decode(self._slow(tried)[0].tolist()) != "".join(tried).encode():
            raise keeps_no_text(tokenizer.name)
        self._fast: GigatokenEncoder | None = None
        with suppress(ValueError, RuntimeError):  # gigatoken does not know every split pattern
            self._fast = GigatokenEncoder(plain, self._hf)
        self.check(tried)

    @property
    def engine(self) -> str:
        """The library that encodes."""
        return "gigatoken" if self._fast else "tokenizers"

    def check(self, texts: Sequence[str]) -> bool:
        """Return True if gigatoken gives the ids of HF tokenizers for these texts. If not, stop using it."""
        if self._fast is not None:
            ids, lengths = self.encode(texts)
            expected, counts = self._slow(texts)
            if not (np.array_equal(lengths, counts) and np.array_equal(ids, expected)):
                self._fast = None
        return self._fast is not None

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Return the ids of texts. A text that contains the name of a special token is encoded like any other text.

        Raises UnicodeEncodeError or TypeError for lone surrogates, which valid UTF-8 does not contain.
        """
        if self._fast is None or not texts:
            return self._slow(texts)
        unsure = self._fast.unsure(texts)
        if not unsure:
            return self._fast.encode(texts)
        found = [self._slow([text]) if at in unsure else self._fast.encode([text]) for at, text in enumerate(texts)]
        return np.concatenate([ids for ids, _ in found]), np.concatenate([counts for _, counts in found])

    def _slow(self, texts: Sequence[str]) -> Encoded:
        found = [self._hf.encode(text, add_special_tokens=False).ids for text in texts]
        ids = np.fromiter(chain.from_iterable(found), dtype=np.uint32)
        return ids, np.array([len(one) for one in found], dtype=np.int64)


def odd_texts() -> list[str]:
    """Return the texts on which encoders are known to differ, and a hundred random strings.

    The result is always the same.
    """
    runs = [run * 70 for run in (" ", "\n", "\r\n", "\t ", "a", "é", "日本", "7", "٣", "!", "\u200d", "\0")]
    texts = [
        "",
        "I'll DON'T we'Ve it'ſ K'S o'clock ’s",  # long s and the Kelvin sign become s and k when case is ignored
        "1 12 123 1234 12345 a1234567b ١٢٣٤٥ １２３４ ²³¼Ⅷ 3.14159 1,000,000",
        "x  y   z \n\n  w\t\tv \r\n\r\n u\n",
        "naïve e\u0301 Ω שלום مرحبا नमस्ते ไทย 漢字かなカナ 한국어 👩‍👩‍👧‍👦🇩🇪",
        "\ufeff\u2028\u00a0\u3000\ue000\U0010ffff\U0001f9ff\u0378\x7f\x80",
        "def f(x):\n    return {'a': [x, ...]}  # <|endoftext|>\n",
        *runs,
        *("a" + run + "b " + run + " 1" for run in runs),
    ]
    rng = random.Random(0)
    ranges = [(0, 0x80), (0x80, 0x250), (0x250, 0x3000), (0x3000, 0xD800), (0xE000, 0x10000), (0x10000, 0x30000)]
    for _ in range(100):
        low, high = rng.choice(ranges)
        letters = [chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 40))]
        texts.append("".join(rng.choice((letter, letter, " ", "9", "\n", "a")) for letter in letters))
    return texts
