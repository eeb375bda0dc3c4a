"""Predict with lid.176.ftz as fastText does: the same result to the last bit, in a fourth of the time.

fastText looks up the n-grams of a text one by one in a hash table. This module hashes and looks up all of them at
once, in numpy arrays. The rest follows fastText's order and precision: the vectors of the n-grams that the model kept
are added one after another in 32 bits, and the walk down the Huffman tree calls the same functions of the C library.
`FastModel.of` compares the results with fastText's before the model is used. Other kinds of models (not quantized,
another loss, word n-grams) are left to fastText: see `filters.language.identification.Predictor`.

Sources: fastText 0.9.2, dictionary.cc, productquantizer.cc, loss.cc; Joulin et al. 2016, arXiv:1612.03651.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filters.fasttext_file import LABEL, ModelFile, Predict

Floats = NDArray[np.float32]

_FNV_OFFSET, _FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)
_LABEL = LABEL.encode()
_EOS = b"</s>"
_HIERARCHICAL_SOFTMAX = 1
_NONE = np.uint16(0xFFFF)
_TINY = 1e-5  # fastText adds this before it takes a logarithm
_MEMO_LIMIT = 150_000
"""The number of tokens whose rows are remembered, some 25 MB. When the limit is reached, all rows are forgotten."""

_MEMO_BYTES = 48
"""Longer tokens, such as lines without spaces, are not remembered."""

_ROWS_AT_ONCE = 1 << 15  # 2 MiB of vectors

_CHECKS = (
    "",
    "a",
    "the",
    "x" * 300,
    "<b> > <",
    "then </s> end </s>",
    "a __label__en b\0c",
    "Hello world, this is a test.",
    "Das ist ein Satz\tmit Umlauten: äöüß.",
    "日本語のテキスト 中文",
    "Привет, мир! İstanbul’da \u00a0hava",
    "नमस्ते दुनिया",
    "😀 emoji \U0001f469\u200d\U0001f467 and 1,234.50 €",
)
"""The texts on which a model is compared with fastText before it is used."""


class FastModel:
    """A quantized fastText classifier with hierarchical softmax. Newlines in a text count as spaces."""

    def __init__(self, data: bytes) -> None:
        file = ModelFile(data)
        file.values("2i")
        _, _, _, _, _, word_ngrams, loss, _, bucket, minn, maxn, _ = file.values("12i")
        file.values("d")
        size, words, labels, _, pruned = file.values("3i2q")
        entries = [(file.string(), *file.values("qb")) for _ in range(size)]
        kept = file.array("<i4", 2 * pruned).reshape(-1, 2)
        (quantized,) = file.values("?")
        plain = loss == _HIERARCHICAL_SOFTMAX and word_ngrams == 1 and minn >= 2
        if not quantized or not plain or not 0 < pruned < _NONE - words:
            raise ValueError("another kind of model")
        self._bucket, self._minn, self._maxn = np.uint32(bucket), minn, maxn
        self._words = {entry[0]: number for number, entry in enumerate(entries[:words])}
        self._slots = np.full(bucket, _NONE, np.uint16)
        self._slots[kept[:, 0]] = words + kept[:, 1]
        self._vectors = _quantized(file)
        (quantized_output,) = file.values("?")
        if quantized_output:
            raise ValueError("another kind of model")
        rows, columns = file.values("2q")
        output = file.array("<f4", rows * columns).reshape(rows, columns)
        self._output = np.ascontiguousarray(output[: labels - 1].T)  # by dimension, to add in fastText's order
        self._tree = _huffman([count for _, count, _ in entries[words:]])
        self.labels = [name.removeprefix(_LABEL).decode() for name, _, _ in entries[words:]]
        """The labels of the model, without the prefix."""
        self._paths = dict(zip(self.labels, _paths(self._tree), strict=False))
        self._expf = _expf()
        self._end = struct.pack("<H", self._words[_EOS])  # this token has no n-grams, inside a line too
        self._memo = {_EOS: self._end}

    @classmethod
    def of(cls, path: Path, predict: Predict) -> FastModel | None:
        """Read a model. Return None if it is of another kind or its results differ from those of fastText's
        `predict`."""
        try:
            model = cls(path.read_bytes())
        except (ValueError, struct.error, OSError):
            return None
        for text in _CHECKS:
            own = dict(predict(text, -1))
            best = model.predict(text)
            if best != next(iter(own.items()), None) or model.probabilities(text, own) != list(own.values()):
                return None
        return model

    def predict(self, text: str) -> tuple[str, float] | None:
        """Return the most likely label and its probability, or None if no label reaches 1e-5."""
        dots = self._dots(text)
        best, found = -math.inf, -1
        ways = [(len(self._tree) - 1, 0.0)]
        while ways:
            node, score = ways.pop()
            if score < best or score < _LEAST:
                continue
            left, right = self._tree[node]
            if left < 0:
                best, found = score, node  # if scores are equal, fastText's heap keeps the later one
                continue
            to_left, to_right = self._steps(dots[node - len(self.labels)])
            ways.append((right, _f32(score + to_right)))
            ways.append((left, _f32(score + to_left)))
        return (self.labels[found], self._expf(best)) if found >= 0 else None

    def probabilities(self, text: str, labels: Any) -> list[float]:
        """Return the probability of each label. It is 0 if it is below 1e-5 or the model does not know the label."""
        dots = self._dots(text)
        steps = cache(lambda node: self._steps(dots[node - len(self.labels)]))  # paths have nodes in common
        return [self._along(steps, self._paths[label]) if label in self._paths else 0.0 for label in labels]

    def _along(self, steps: Callable[[int], tuple[float, float]], path: list[tuple[int, bool]]) -> float:
        score = 0.0
        for node, right in path:
            score = _f32(score + steps(node)[right])
            if score < _LEAST:
                return 0.0
        return self._expf(score)

    def _steps(self, dot: float) -> tuple[float, float]:
        """Return the terms that a node adds to the score of its left and right child."""
        chance = _f32(1.0 / _f32(1.0 + self._expf(-dot)))
        return _f32(math.log(_f32(1.0 - chance) + _TINY)), _f32(math.log(chance + _TINY))

    def _dots(self, text: str) -> list[float]:
        """Return the dot product of the text's vector with the vector of each inner node."""
        rows = self._rows(text)
        hidden = np.zeros(len(self._output), np.float32)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            vectors = self._vectors.take(rows[start : start + _ROWS_AT_ONCE], axis=0)  # eight times as fast as []
            vectors[0] += hidden
            hidden = np.add.reduce(vectors, axis=0, dtype=np.float32)  # row by row, never in pairs
        hidden *= np.float32(1.0 / max(len(rows), 1))
        products = self._output * hidden[:, None]
        dots: list[float] = np.add.reduce(products, axis=0, dtype=np.float32).tolist()
        return dots

    def _rows(self, text: str) -> NDArray[np.uint16]:
        """Return the rows of words and n-grams that the model kept, in fastText's order."""
        line = text.encode("utf-8", "replace").replace(b"\0", b" ")
        tokens = line.split()
        tokens.append(_EOS)
        if _EOS in line:
            del tokens[tokens.index(_EOS) + 1 :]  # fastText stops reading here
        memo = self._memo
        try:
            found = b"".join(map(memo.__getitem__, tokens))
        except KeyError:
            unknown = list(set(tokens).difference(memo))
            if len(memo) + len(unknown) > _MEMO_LIMIT:
                self._memo = {_EOS: self._end}
            learned = self._learn(unknown)
            self._memo.update((token, rows) for token, rows in learned.items() if len(token) <= _MEMO_BYTES)
            found = b"".join([learned[token] if token in learned else memo[token] for token in tokens])
        return np.frombuffer(found, np.uint16)

    def _learn(self, tokens: list[bytes]) -> dict[bytes, bytes]:
        """Return the rows of each token, after looking up the n-grams of all tokens at once.

        The row of the token itself comes first, if the token is a word of the model. Then come the rows of its n-grams,
        by the character at which they start, short n-grams first.
        """
        line = b"<" + b"><".join(tokens) + b">"
        data = np.frombuffer(line, np.uint8)
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens)) + 2
        ends = np.cumsum(lengths)
        starts = ends - lengths
        signed = data.view(np.int8).astype(np.int32).view(np.uint32)  # fastText's characters are signed
        wide: _Wide | None = None
        if (data >= 0x80).any():
            (at,) = ((data & 0xC0) != 0x80).nonzero()
            sizes = np.empty_like(at)
            np.subtract(at[1:], at[:-1], out=sizes[:-1])
            sizes[-1] = 1  # the last character is ">"
            wide = at, sizes, int(sizes.max())
            starts, ends = np.searchsorted(at, starts), np.searchsorted(at, ends)
        count = int(ends[-1])
        rows = np.full((count, 2 + self._maxn - self._minn), _NONE, np.uint16)
        rows[starts, 0] = np.fromiter(map(self._words.get, tokens, repeat(int(_NONE))), np.uint16, len(tokens))
        left = np.repeat(ends, ends - starts) - np.arange(count)  # the number of characters up to the end of the token
        hashes = np.full(count, _FNV_OFFSET)
        for n in range(1, self._maxn + 1):
            hashes = _add_character(hashes[: count - n + 1], signed, wide, n - 1)
            if n >= self._minn:
                found = self._slots.take(hashes % self._bucket)
                found[left[: len(found)] < n] = _NONE
                rows[: len(found), n - self._minn + 1] = found
        kept = rows != _NONE
        flat = rows[kept].tobytes()
        before = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))
        cuts = (2 * before[np.append(starts, count)]).tolist()
        learned = {token: flat[start:end] for token, start, end in zip(tokens, cuts, cuts[1:], strict=False)}
        if _LABEL in line:  # fastText reads such a token as a label, not as a word
            learned.update((token, b"") for token in tokens if token.startswith(_LABEL))
        return learned


_Wide = tuple[NDArray[np.int64], NDArray[np.int64], int]
"""The starts of the characters in a text that is not ASCII, their lengths in bytes, and the greatest length."""


def _add_character(
    hashes: NDArray[np.uint32], signed: NDArray[np.uint32], wide: _Wide | None, ahead: int
) -> NDArray[np.uint32]:
    """Extend the FNV-1a hash that starts at each character by the character at distance `ahead`."""
    if wide is None:
        return (hashes ^ signed[ahead:]) * _FNV_PRIME
    at, lengths = wide[0][ahead:], wide[1][ahead:]
    hashes = (hashes ^ signed[at]) * _FNV_PRIME
    for byte in range(1, wide[2]):
        (longer,) = (lengths > byte).nonzero()
        hashes[longer] = (hashes[longer] ^ signed[at[longer] + byte]) * _FNV_PRIME
    return hashes


def _quantized(file: ModelFile) -> Floats:
    """Return the vectors of a product-quantized matrix. Each value is the one that fastText computes while it adds."""
    (with_norms,) = file.values("?")
    rows, _ = file.values("2q")
    (code_size,) = file.values("i")
    codes = file.array("u1", code_size)
    columns, parts, width, last = file.values("4i")
    centroids = file.array("<f4", columns * 256)
    if last != width or code_size != rows * parts:
        raise ValueError("another kind of model")
    vectors = centroids.reshape(parts, 256, width)[np.arange(parts), codes.reshape(rows, parts)].reshape(rows, columns)
    if not with_norms:
        return np.ascontiguousarray(vectors, np.float32)
    norm_codes = file.array("u1", rows)
    file.values("4i")
    norms = file.array("<f4", 256)[norm_codes]
    return np.ascontiguousarray(norms[:, None] * vectors, np.float32)


def _huffman(counts: list[int]) -> list[tuple[int, int]]:
    """Return the children of each node in the tree over labels. `counts` fall.

    A leaf has (-1, -1). The root is last.
    """
    size = len(counts)
    weights = [float(count) for count in counts] + [1e15] * (size - 1)
    tree = [(-1, -1)] * (2 * size - 1)
    leaf, node = size - 1, size
    for parent in range(size, 2 * size - 1):
        pair = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        tree[parent] = pair[0], pair[1]
        weights[parent] = weights[pair[0]] + weights[pair[1]]
    return tree


def _paths(tree: list[tuple[int, int]]) -> list[list[tuple[int, bool]]]:
    """Return the nodes from the root to each node. The flag of a node is True if the path turns right there."""
    paths: list[list[tuple[int, bool]]] = [[] for _ in tree]
    for node in reversed(range(len(tree))):  # a parent comes after its children
        for right, child in enumerate(tree[node]):
            if child >= 0:
                paths[child] = [*paths[node], (node, bool(right))]
    return paths


def _f32(value: float) -> float:
    return ctypes.c_float(value).value


_LEAST = _f32(math.log(_TINY))


def _expf() -> Callable[[float], float]:
    """Return expf of the C library, which fastText calls. The one in numpy rounds differently."""
    try:
        function = ctypes.CDLL(None).expf
    except (OSError, AttributeError):
        raise ValueError("the C library has no expf") from None
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    called: Callable[[float], float] = function
    return called
