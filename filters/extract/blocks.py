"""The main text of a page by blocks: `native` cuts the page, and a trained model chooses among its blocks.

`python -m benchmarks.train_extractor` makes the model from pages whose main text people have marked.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from corpus.errors import ConfigError, reason_of
from native import kernels

MODEL = resources.files("filters") / "extract" / "blocks.npz"
CHANCES = 4096
"""A chance of 1, as the model writes it."""


@cache
def load_model(file: Traversable | Path = MODEL) -> kernels.BlockExtractor:
    """Load a model. Raises ConfigError if the file is missing or is no such model."""
    try:
        with file.open("rb") as opened, np.load(opened) as model:
            lexicon = kernels.Lexicon()
            for kind in range(5):
                lexicon.fill(kind, model[f"words{kind}"].tolist(), model[f"values{kind}"].tolist())
            return kernels.BlockExtractor(
                nodes=model["nodes"].tolist(),
                leaves=model["leaves"].tolist(),
                roots=model["roots"].tolist(),
                table=model["chances"].tolist(),
                step=int(model["step"]),
                lexicon=lexicon,
                block_features=int(model["features"][0]),
                page_features=int(model["features"][1]),
            )
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"The model {file} can't be read: {reason_of(error)}.", "Install corpus again.") from None
