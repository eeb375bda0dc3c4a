"""A fastText model: the kernel checks its file, and predicts what fastText predicts.

The file is mapped into memory, so the processes of a machine share it.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from corpus.errors import ConfigError
from native import kernels

MAGIC = (793712314).to_bytes(4, "little")
"""The first bytes of every fastText model."""

LABEL = "__label__"


class FastText:
    """The predictions of a model. In a text, a newline counts as a space, and a lone surrogate as a question mark."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._model = kernels.FastText(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.labels = [label.removeprefix(LABEL) for label in self._model.labels()]

    def predict(self, text: str, asked: Sequence[int] = ()) -> tuple[str | None, float, list[float]]:
        """Return the most likely label and its probability, and the probabilities of the labels with some numbers. The
        label is None if the model knows nothing of the text."""
        number, probability, others = self._model.predict(text.encode("utf-8", "replace"), asked)
        return (self.labels[number] if number >= 0 else None), probability, others


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


@lru_cache(maxsize=8)
def open_fasttext(path: Path, digest: str, todo: str) -> FastText:
    """Open a model of which `digest_of_model` returned the digest. All stages of a process share it. Raises ConfigError
    with `todo` if the file is damaged, or if it is not a classifier."""
    try:
        return FastText(path)
    except (OSError, ValueError) as error:
        reason = "it is not a classifier" if "classifier" in str(error) else "it is damaged"
        raise ConfigError(f"The model {path} can't be used: {reason}.", todo) from None
