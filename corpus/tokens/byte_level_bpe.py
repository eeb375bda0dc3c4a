"""Byte-level BPE as a tokenizer.json: bytes as visible characters, merges, and the split pattern.

The characters are GPT-2's: a printable byte stands for itself, the others for code points from 256 on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%d}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
GPT4_PATTERN = _GPT4 % 3
OUR_PATTERN = _GPT4 % 2
"""GPT-4's pattern, with numbers in groups of two digits. At 32,768 ids nanochat measured 0.965 bits per byte with two
digits, 0.969 with one and 0.972 with three (its dev/LOG.md)."""

_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K_PATTERN = "|".join(
    [
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_ENDING}",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_ENDING}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)

_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_HIDDEN = [byte for byte in range(256) if byte not in _VISIBLE]
CHAR_OF_BYTE = {byte: chr(byte) for byte in _VISIBLE} | {byte: chr(256 + n) for n, byte in enumerate(_HIDDEN)}
BYTE_OF_CHAR = {char: byte for byte, char in CHAR_OF_BYTE.items()}


def to_chars(token: bytes) -> str:
    """Return the bytes of a token as tokenizer.json writes them."""
    return "".join(map(CHAR_OF_BYTE.__getitem__, token))


def to_bytes(token: str) -> bytes | None:
    """Return the bytes of a token of tokenizer.json, or None if it is not written in byte characters."""
    try:
        return bytes(map(BYTE_OF_CHAR.__getitem__, token))
    except KeyError:
        return None


def tokenizer_json(
    vocab: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    pattern: str,
    specials: Mapping[str, int],
    ignore_merges: bool = False,
) -> bytes:
    """Return the content of a tokenizer.json, for `tokenizers` and `transformers`. The same arguments give the same
    bytes."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": text, **flags} for text, number in specials.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": ignore_merges,
            "vocab": dict(sorted(vocab.items(), key=lambda item: item[1])),
            "merges": list(merges),
        },
    }
    return (json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def merge_of(token: bytes, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes]:
    """Return the two tokens that were merged into this one, by encoding it with the lower ranks alone.

    Raises ValueError if the result is not two tokens.
    """
    most = ranks[token]
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        least = min(ranks.get(left + right, most) for left, right in pairwise(parts))
        if least >= most:
            break
        merged: list[bytes] = []
        for part in parts:
            if merged and ranks.get(merged[-1] + part) == least:
                merged[-1] += part
            else:
                merged.append(part)
        parts = merged
    if len(parts) != 2:
        raise ValueError(f"the token of rank {most} is not a merge of two lower ones")
    return parts[0], parts[1]
