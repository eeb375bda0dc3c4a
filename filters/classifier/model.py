"""A classifier as a folder: a fastText model, and classifier.json, which says what the model sees and how its
probabilities are calibrated.

    {"labels": ["bad", "good"], "wanted": "good", "view": {"parts": ["words"], "chars": 5000},
     "calibration": {"good": [0.81, -0.2], …}, "model": {"file": "model.bin", "sha256": "…"}}

A model file alone is a classifier, too. It sees the whole text, with newlines as spaces, and is not calibrated.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from corpus.document import Document
from corpus.errors import ConfigError, did_you_mean
from corpus.json_data import Maybe, check_shape, parse_json
from filters.classifier.tokens import PARTS, View, line_of
from filters.fasttext_file import FastText, digest_of_model, open_fasttext

FACTS = "classifier.json"
MODELS = Path(__file__).parent / "models"
"""The models that ship with corpus."""

TODO = "Name a folder that `corpus classifier train` made, a fastText model file, or a model that ships: page_type."
_SHAPE = {
    "labels": [str], "wanted": Maybe(str), "view": {"parts": [str], "chars": int}, "calibration": {str: list},
    "model": {"file": str, "sha256": str},
}  # fmt: skip
_LEAST = 1e-6


@dataclass(frozen=True)
class Calibration:
    """The map from a model's probability p to the share of documents that have the label: the logistic function of
    a · logit(p) + b (Platt 1999)."""

    a: float = 1.0
    b: float = 0.0

    def __call__(self, probability: float) -> float:
        return 1.0 / (1.0 + math.exp(-max(min(self.a * logit(probability) + self.b, 500.0), -500.0)))


def logit(probability: float) -> float:
    """Return the logarithm of the odds. The probability is first put between 1e-6 and 1 - 1e-6: that of fastText may
    be 0 or a little above 1."""
    inside = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(inside / (1 - inside))


@dataclass(frozen=True)
class Model:
    """A classifier on disk. `view` is None for a model file alone."""

    file: Path
    labels: tuple[str, ...]
    digests: Mapping[str, str]
    wanted: str = ""
    view: View | None = None
    calibration: Mapping[str, Calibration] = field(default_factory=dict)

    def load(self) -> Scorer:
        """Load the model. All stages of a process share it."""
        return Scorer(self, open_fasttext(self.file, self.digests[self.file.name], TODO))


@dataclass(frozen=True)
class Scorer:
    """The predictions of a loaded classifier."""

    model: Model
    fasttext: FastText

    def judge(self, doc: Document, wanted: str = "") -> tuple[str | None, float | None]:
        """Return the most likely label, and the calibrated probability of the wanted label, or of the most likely one.
        Both are None if the model knows nothing of the document. The label is the most likely one before the
        calibration."""
        view = self.model.view
        asked = [number for number, label in enumerate(self.fasttext.labels) if label == wanted]
        label, probability, found = self.fasttext.predict(line_of(doc, view) if view else doc.text, asked)
        if label is None:
            return None, None
        if wanted:
            probability = max(found, default=0.0)
        return label, self.model.calibration.get(wanted or label, Calibration())(probability)


def open_model(name: str) -> Model:
    """Open a folder, a model file, or a model that ships. Raises ConfigError."""
    path = MODELS / name if name in shipped() else Path(name)
    try:
        if path.is_dir():
            return _of_folder(path)
        size, changed = path.stat().st_size, path.stat().st_mtime_ns
    except FileNotFoundError:
        raise ConfigError(f"There is no model '{name}'.", f"{did_you_mean(name, shipped())} {TODO}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"The model {name} can't be read: {getattr(error, 'strerror', error)}.", TODO) from None
    return _of_file(path, size, changed)


def shipped() -> list[str]:
    """Return the names of the models that ship with corpus."""
    return sorted(path.name for path in MODELS.iterdir() if (path / FACTS).is_file()) if MODELS.is_dir() else []


@lru_cache(maxsize=8)
def _of_file(path: Path, size: int, changed: int) -> Model:
    digest = digest_of_model(path, TODO)
    return Model(path, tuple(open_fasttext(path, digest, TODO).labels), {path.name: digest})


def _of_folder(folder: Path) -> Model:
    try:
        data = (folder / FACTS).read_bytes()
    except OSError:
        raise ConfigError(f"{folder} is not a classifier: it has no {FACTS}.", TODO) from None
    try:
        facts = parse_json(data)
        check_shape(facts, _SHAPE)
        view = View(tuple(facts["view"]["parts"]), facts["view"]["chars"])
        calibration = {label: _calibration(pair) for label, pair in facts["calibration"].items()}
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{folder / FACTS} is damaged: {error}.", "Restore it, or train the model again.") from None
    if unknown := sorted(set(view.parts) - set(PARTS)):
        raise ConfigError(f"{folder / FACTS} names the part '{unknown[0]}'.", did_you_mean(unknown[0], PARTS))
    file = folder / Path(facts["model"]["file"]).name
    found = _of_file(file, *_state(file))
    if found.digests[file.name] != facts["model"]["sha256"] or sorted(found.labels) != sorted(facts["labels"]):
        raise ConfigError(f"{file} is not the model that {FACTS} names.", "Restore it, or train the model again.")
    digests = {**found.digests, FACTS: hashlib.sha256(data).hexdigest()}
    return Model(file, found.labels, digests, facts.get("wanted") or "", view, calibration)


def _state(file: Path) -> tuple[int, int]:
    try:
        return file.stat().st_size, file.stat().st_mtime_ns
    except OSError as error:
        raise ConfigError(f"The model {file} can't be read: {error.strerror}.", TODO) from None


def _calibration(pair: Sequence[Any]) -> Calibration:
    a, b = pair
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in pair):
        raise ValueError("a calibration is not a pair of numbers")
    return Calibration(float(a), float(b))
