"""Byte-level BPE as a tokenizer.json: bytes as visible characters, merges, and the split pattern.

The characters are GPT-2's. A printable byte is its own character. The other bytes become the code points from 256 on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_BLANKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT4 = rf"{_ENDING}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,%d}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_BLANKS}"
GPT4_PATTERN = _GPT4 % 3
OUR_PATTERN = _GPT4 % 2
"""GPT-4's pattern, but with numbers in groups of two digits.

At 32,768 ids nanochat measured 0.965 bits per byte with two digits, 0.969 with one and 0.972 with three (its
dev/LOG.md).
"""

_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
O200K_PATTERN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_ENDING}?|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_ENDING}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_BLANKS}"
)

_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_HIDDEN = [byte for byte in range(256) if byte not in _VISIBLE]
CHAR_OF_BYTE = {byte: chr(byte) for byte in _VISIBLE} | {byte: chr(256 + n) for n, byte in enumerate(_HIDDEN)}
BYTE_OF_CHAR = {char: byte for byte, char in CHAR_OF_BYTE.items()}


def to_chars(token: bytes) -> str:
    """Return a token in the characters of tokenizer.json."""
    return "".join(map(CHAR_OF_BYTE.__getitem__, token))


def to_bytes(token: str) -> bytes | None:
    """Return the bytes of a token of tokenizer.json, or None if it is not written in byte characters."""
    try:
        return bytes(map(BYTE_OF_CHAR.__getitem__, token))
    except KeyError:
        return None


def tokenizer_json(
    ranks: Mapping[bytes, int], merges: Iterable[tuple[bytes, bytes]], pattern: str, specials: Mapping[str, int],
    ignore_merges: bool = False,
) -> bytes:  # fmt: skip
    """Return a tokenizer.json for `tokenizers` and `transformers`. The same arguments give the same bytes."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    content: dict[str, Any] = {
        "version": "1.0",
        **dict.fromkeys(("truncation", "padding")),
        "added_tokens": [{"id": number, "content": text, **flags} for text, number in specials.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            **dict.fromkeys(("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")),
            **dict.fromkeys(("fuse_unk", "byte_fallback"), False),
            "ignore_merges": ignore_merges,
            "vocab": {to_chars(token): ranks[token] for token in sorted(ranks, key=ranks.__getitem__)},
            "merges": [(to_chars(left), to_chars(right)) for left, right in merges],
        },
    }
    return (json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def merge_of(token: bytes, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes]:
    """Return the two tokens that were merged into `token`, by encoding its bytes with the lower ranks alone.

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
