"""The merges of byte-level BPE."""

import pytest

from corpus.tokens.byte_level_bpe import merge_of


def test_the_halves_of_a_token():
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b"cd": 257, b"abc": 258, b"abcd": 259}
    assert merge_of(b"abc", ranks) == (b"ab", b"c")
    assert merge_of(b"abcd", ranks) == (b"ab", b"cd")
    with pytest.raises(ValueError, match="rank 260"):
        merge_of(b"xyz", {**ranks, b"xyz": 260})
