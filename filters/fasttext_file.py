"""A fastText model file: it is checked before fastText loads it, and fastText itself predicts.

fastText loads a damaged file without an error, and crashes at the first prediction (facebookresearch/fastText#1087).

Source: fastText 0.9.2, fasttext.cc, dictionary.cc, densematrix.cc, quantmatrix.cc.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.errors import ConfigError

MAGIC = (793712314).to_bytes(4, "little")
"""The first bytes of every fastText model."""

LABEL = "__label__"
_VERSIONS = (11, 12)
_SUPERVISED = 3

Labels = list[tuple[str, float]]
Predict = Callable[[str, int], Labels]
"""A function of a text and the greatest number of labels. It returns labels and their probabilities, most likely first.
-1 stands for all labels."""


class ModelFile:
    """A reader of little-endian values."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.data, self.at = data, 0

    def values(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def array(self, kind: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def string(self) -> bytes:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise ValueError("a string without an end")
        found = self.data[self.at : end]
        self.at = end + 1
        return found


def digest_of_model(path: Path, todo: str) -> str:
    """Return the sha256 of a model file. Raises ConfigError with `todo` if the file can't be read, or if it is not from
    fastText."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"The model {path} can't be read: {error.strerror}.", todo) from None
    if magic != MAGIC:
        raise ConfigError(f"{path} is not a fastText model.", todo)
    return digest


def labels_of_model(path: Path, todo: str) -> list[str]:
    """Return the labels of a classifier, after walking through the whole file. Raises ConfigError with `todo` if the
    file is damaged, or if it is not a classifier."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _walk(ModelFile(data))
    except (OSError, ValueError, struct.error, UnicodeDecodeError) as error:
        reason = "it is not a classifier" if "classifier" in str(error) else "it is damaged"
        raise ConfigError(f"The model {path} can't be used: {reason}.", todo) from None


def _walk(file: ModelFile) -> list[str]:
    _, version = file.values("2i")
    dim, *_, model, _, _, _, _ = file.values("12i")
    file.values("d")
    if model != _SUPERVISED:
        raise ValueError("no classifier")
    size, words, labels, _, pruned = file.values("3i2q")
    if version not in _VERSIONS or not 0 < labels <= size or words + labels != size:
        raise ValueError("other counts")
    names = []
    for _ in range(size):
        names.append(file.string())
        file.values("qb")
    file.array("<i4", 2 * max(pruned, 0))
    (quantized,) = file.values("?")
    _skip_matrix(file, dim, quantized)
    (quantized_output,) = file.values("?")
    _skip_matrix(file, dim, quantized and quantized_output)
    if file.at != len(file.data):
        raise ValueError("another length")
    return [name.decode().removeprefix(LABEL) for name in names[words:]]


def _skip_matrix(file: ModelFile, dim: int, quantized: bool) -> None:
    """Move past a matrix with rows of `dim` numbers, plain or product-quantized."""
    (with_norms,) = file.values("?") if quantized else (False,)
    rows, columns = file.values("2q")
    if rows < 0 or columns != dim:
        raise ValueError("another dimension")
    if not quantized:
        file.array("<f4", rows * columns)
        return
    (codes,) = file.values("i")
    file.array("u1", codes)
    _skip_centroids(file)
    if with_norms:
        file.array("u1", rows)
        _skip_centroids(file)


def _skip_centroids(file: ModelFile) -> None:
    dim, *_ = file.values("4i")
    file.array("<f4", dim * 256)


def load_fasttext(path: Path) -> Predict:
    """Load a checked model. In a text, a newline counts as a space, and a lone surrogate as a question mark."""
    import fasttext

    # unlike the method of the Python class, this needs no numpy
    slow = fasttext.load_model(str(path)).f.predict

    def predict(text: str, k: int) -> Labels:
        line = text.replace("\n", " ") + "\n"  # fastText reads up to the newline
        try:
            found = slow(line, k, 0.0, "strict")
        except TypeError:  # the binding rejects lone surrogates
            found = slow(line.encode("utf-8", "replace").decode("utf-8"), k, 0.0, "strict")
        return [(label.removeprefix(LABEL), probability) for probability, label in found]

    return predict
