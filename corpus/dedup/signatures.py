"""MinHash signatures of shingle hashes, and the band keys by which near-duplicates meet.

    signature = sign(shingles(text))                  # 112 numbers, or None for a text of fewer than five words
    keys = band_keys(signature)                       # 14 numbers; documents that share one are candidates
    estimated_jaccard(signature, other)

Two schemes:

    affine32     datasketch 2.0's default: `datasketch.MinHash(hashvalues=signature, scheme="affine32")` continues
                 with it. Its 32-bit token hash is the low half of the shingle's hash (`corpus.text.shingles`).
    datatrove    datatrove 0.10.1's `get_signature` with 64-bit hashes, over `joined_shingles`.

A pair of Jaccard similarity s shares one of b bands of r rows with probability 1 - (1 - s^r)^b: .23 at s = .6, .56
at .7, .92 at .8. The estimate from 112 values has a standard error of sqrt(s (1 - s) / 112): .043 at s = .7.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from corpus.text.shingles import Hashes, fold
from native import kernels

Scheme = Literal["affine32", "datatrove"]
Signature = NDArray[np.uint32] | NDArray[np.uint64] | NDArray[np.uint16]
"""The values of one document, or a matrix with a row per document.

The type is uint32 for affine32, uint64 for datatrove, and uint16 for the lower bits of either.
"""

BANDS = 14
ROWS = 8

_SEED = 1  # datasketch's and datatrove's default; only signatures with the same seed and count can be compared
_MERSENNE = 2**61 - 1
_SHINGLES_PER_BLOCK = 512  # × 112 × 4 bytes stay in a core's cache
_SIGNATURES_PER_BLOCK = 2048


def sign(hashes: Hashes, count: int = BANDS * ROWS, scheme: Scheme = "affine32") -> Signature | None:
    """Return the least value of each of `count` permutations of the hashes, or None if there are no hashes."""
    if not len(hashes):
        return None
    a, b = permutations(count, scheme)
    if scheme == "affine32":
        return kernels.least_values(hashes, a.astype(np.uint32), b.astype(np.uint32))
    lowest: Signature = np.full(count, np.iinfo(a.dtype).max, dtype=a.dtype)
    for start in range(0, len(hashes), _SHINGLES_PER_BLOCK):
        permuted = hashes[start : start + _SHINGLES_PER_BLOCK, None] * a
        permuted += b
        _modulo_mersenne(permuted)
        np.minimum(lowest, permuted.min(axis=0), out=lowest)
    return lowest


@cache
def permutations(count: int = BANDS * ROWS, scheme: Scheme = "affine32") -> tuple[Signature, Signature]:
    """Return the factors and the summands of `count` permutations x → a·x + b, drawn as in the scheme's source."""
    random = np.random.RandomState(_SEED)
    if scheme == "affine32":  # mod 2^32; an odd factor makes it a bijection
        a = random.randint(0, 2**31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
        return a, random.randint(0, 2**32, count, dtype=np.uint32)
    factors = random.randint(1, _MERSENNE, count, dtype=np.uint64)  # mod 2^64, then mod 2^61 - 1
    return factors, random.randint(0, _MERSENNE, count, dtype=np.uint64)


def band_keys(signature: Signature, bands: int = BANDS, rows: int = ROWS) -> Hashes:
    """Return a 64-bit key for each band of `rows` values. For a matrix of signatures, the result has a row of keys for
    each signature.

    A key is `corpus.text.shingles.fold` of the band's number and its values. Values shorter than 64 bits are packed
    into 64-bit integers, with the first value in the low bits. So keys differ from band to band, and are spread evenly
    over their range.
    """
    assert signature.shape[-1] == bands * rows, (signature.shape, bands, rows)
    values: NDArray[Any] = np.ascontiguousarray(signature).reshape(-1, bands, rows)
    if rows * values.itemsize % 8 == 0:
        values = values.view("<u8")
    keys = np.empty(values.shape[:2], dtype=np.uint64)
    numbers = np.arange(bands, dtype=np.uint64)
    for start in range(0, len(values), _SIGNATURES_PER_BLOCK):
        block = values[start : start + _SIGNATURES_PER_BLOCK]
        first = np.broadcast_to(numbers, block.shape[:2])
        keys[start : start + len(block)] = fold([first, *np.moveaxis(block, 2, 0)])
    return keys.reshape(*signature.shape[:-1], bands)


def estimated_jaccard(left: Signature, right: Signature) -> NDArray[np.float64]:
    """Return the share of equal values over the last axis.

    Two signatures give a scalar array, two matrices one value per row.
    """
    return np.asarray(np.count_nonzero(left == right, axis=-1) / left.shape[-1])


def text_hash(text: str) -> bytes:
    """Return 16 bytes that are equal for equal texts.

    They come from SHA-256, so nobody can construct another text with the same bytes. Lone surrogates are hashed
    unchanged.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _modulo_mersenne(values: Signature) -> None:
    """Reduce values mod 2^61 - 1, in place, by adding the high bits to the low bits and subtracting once."""
    high = values >> np.uint64(61)
    values &= np.uint64(_MERSENNE)
    values += high
    np.minimum(values, values - np.uint64(_MERSENNE), out=values)
