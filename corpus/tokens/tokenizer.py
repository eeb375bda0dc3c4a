"""A byte-level BPE tokenizer, loaded from a tokenizer.json, with its ids and their bytes.

Text never gives a special id. The code that writes documents or conversations adds these ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from corpus.errors import ConfigError
from corpus.json_data import parse_json
from corpus.tokens.byte_level_bpe import to_bytes

SEPARATORS = ("<|bos|>", "<|endoftext|>", "<|begin_of_text|>", "<bos>", "<s>")
"""The tokens that may stand before each document, in order of preference."""

_SPARE, _SPARSE = 1 << 16, 16
"""A vocabulary may have up to `_SPARE` + `_SPARSE` × tokens ids. Ids beyond this would only use up memory."""


class TurnMarks(NamedTuple):
    """The names of the special tokens that conversations are written with:

    <start> role <sep> content <end>, where an assistant's content may end with calls: <call> name <sep> input
    """

    start: str
    sep: str
    end: str
    call: str


class Tokenizer:
    """A tokenizer with the content of a tokenizer.json.

    Raises ConfigError if the tokenizer is not a byte-level BPE that keeps every byte of a text. The ids of any other
    tokenizer would not add up to the bytes of a text.
    """

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.data = data
        try:
            self.content: dict[str, Any] = parse_json(data)
            splitter = self.content.get("pre_tokenizer") or {}
            level = [step for step in splitter.get("pretokenizers", [splitter]) if step.get("type") == "ByteLevel"]
            changed = self.content.get("normalizer") or any(step.get("add_prefix_space") for step in level)
            if self.content["model"]["type"] != "BPE" or not level or changed:
                raise keeps_no_text(name)
            vocab: dict[str, int] = self.content["model"]["vocab"]
            added: list[dict[str, Any]] = self.content.get("added_tokens") or []
            self.specials: dict[str, int] = {token["content"]: token["id"] for token in added if token.get("special")}
            self.vocab_size = 1 + max([*vocab.values(), *(token["id"] for token in added)])
            if min([0, *vocab.values()]) < 0 or self.vocab_size > _SPARE + _SPARSE * (len(vocab) + len(added)):
                raise ValueError("ids far beyond the number of tokens")  # each id takes memory
            self.tokens: list[bytes | None] = [None] * self.vocab_size
            """The bytes of each id. Specials and unused ids have None."""
            for text, number in vocab.items():
                self.tokens[number] = to_bytes(text)
            for token in added:
                self.tokens[token["id"]] = None if token.get("special") else token["content"].encode()
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ConfigError(f"{name} is not a tokenizer.json.", "Give a file that HF tokenizers writes.") from None
        missing = 256 - len({token for token in self.tokens if token is not None and len(token) == 1})
        if missing:  # without all 256 bytes, some texts would have no encoding
            raise ConfigError(f"{name} lacks {missing} of the 256 bytes.", "Give a byte-level tokenizer.")

    @cached_property
    def sha256(self) -> str:
        """The digest of tokenizer.json. The digest binds tokens to their tokenizer."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def bos(self) -> int:
        """The id that separates documents. Raises ConfigError if the tokenizer has none."""
        return self.specials[self.bos_text]

    @cached_property
    def bos_text(self) -> str:
        for text in SEPARATORS:
            if text in self.specials:
                return text
        known = ", ".join(SEPARATORS)
        raise ConfigError(f"{self.name} has no special token that separates documents.", f"It needs one of {known}.")

    @cached_property
    def turn_marks(self) -> TurnMarks:
        """The special tokens of conversations. Raises ConfigError if one is missing.

        In the first tokenizers of `corpus tokenizer train`, the mark of a call had the name of a reserved token.
        """
        call = "<|reserved_0|>" if "<|call|>" not in self.specials and "<|reserved_0|>" in self.specials else "<|call|>"
        marks = TurnMarks("<|im_start|>", "<|im_sep|>", "<|im_end|>", call)
        if missing := [mark for mark in marks if mark not in self.specials]:
            what = f"The tokenizer {self.name} has no {' and no '.join(missing)}, so it can't write conversations."
            raise ConfigError(what, "Use one that `corpus tokenizer train` made.")
        return marks

    @cached_property
    def token_bytes(self) -> np.ndarray:
        """The number of bytes of each id, int32 (vocab_size,). It is 0 for specials."""
        return np.array([len(token or b"") for token in self.tokens], dtype=np.int32)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest little-endian type that holds every id."""
        return np.dtype("<u2" if self.vocab_size <= 1 << 16 else "<u4")

    def decode(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of ids. Special ids have no bytes. One id may be a part of a character."""
        return b"".join(self.tokens[number] or b"" for number in ids)

    def plain(self) -> dict[str, Any]:
        """Return the content without special tokens, so that no text gives their ids.

        Parts that add ids, omit ids or draw ids by chance are left out, too.
        """
        added = [token for token in self.content.get("added_tokens") or [] if not token.get("special")]
        model = {**self.content["model"], "dropout": None}
        unused = dict.fromkeys(("post_processor", "truncation", "padding"))
        return {**self.content, "added_tokens": added, "model": model, **unused}


def keeps_no_text(name: str) -> ConfigError:
    """Return the error for a tokenizer whose ids do not add up to the bytes of a text."""
    todo = "Give one such as those of GPT-2, GPT-4 or Llama 3, or train one: `corpus tokenizer train`."
    return ConfigError(f"{name} is not a byte-level BPE that keeps text as it is.", todo)
