"""The settings that decide a model, and those that only decide how fast it is trained. This file imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from corpus.digests import digest
from corpus.errors import ConfigError
from corpus.tokens.token_folder import Tokens

RULES = 2
"""The version of the rules by which settings and tokens give weights.

In version 1, learning rates did not depend on the width. A run that began under another version is not continued.
"""

PARTS = ("embed", "blocks", "head")
"""The parts of a model: the embedding, all layers together, and the head (unembedding), which gives the logits."""

WIDTH_PER_LAYER = 32
HEAD_WIDTH = 64

TOKENS_PER_WEIGHT = 10
"""The default number of training tokens per weight of blocks and head.

With Muon, this is about the best use of compute (nanochat measured 10.5).
"""
EPOCHS = 4
"""The most epochs by default.

Up to this number, repeated text is nearly as good as new text (Muennighoff et al. 2023, arXiv:2305.16264).
"""


@dataclass(frozen=True)
class Shape:
    """The sizes of a model. `of_depth` derives them from one number."""

    vocab_size: int
    window: int
    depth: int
    width: int
    heads: int

    @classmethod
    def of_depth(cls, depth: int, vocab_size: int, window: int) -> Shape:
        """Return the shape of this depth. The width is 32 per layer, rounded up to whole heads of 64."""
        heads = -(-depth * WIDTH_PER_LAYER // HEAD_WIDTH)
        return cls(vocab_size, window, depth, heads * HEAD_WIDTH, heads)

    @property
    def scaling_weights(self) -> int:
        """The number of weights that each token passes through as matrix products: the weights of the blocks and the
        head.
        """
        return 12 * self.depth * self.width**2 + self.vocab_size * self.width


@dataclass(frozen=True)
class Settings:
    """Everything, except the tokens, that decides the weights and the points of the curve.

    A folder is bound to these values.
    """

    depth: int
    window: int
    batch: int
    """The number of windows per step, over all workers."""
    steps: int
    lr: float
    seed: int
    precision: str
    """The type of activations: fp32 or bf16. Weights and their moments are always fp32."""
    eval_every: int
    """The number of steps between validations. A validation always follows the last step."""
    eval_tokens: int

    def bound(self, tokens: Tokens) -> dict[str, Any]:
        """Return the data to which a folder is bound: the settings, the digest of the tokens, and the version of the
        rules.
        """
        return {**asdict(self), "tokens": digest(tokens.info["files"]), "rules": RULES}


@dataclass(frozen=True)
class TrainWorker:
    """One process of a training: its device, its rank among all `workers`, and its threads.

    If these change, weights change by no more than rounding errors.
    """

    device: str = "cpu"
    micro_batch: int | None = None
    """The number of windows per forward pass.

    The default is half a step, or all windows of a worker if there are several workers.
    """
    checkpoint_s: float = 60.0
    rank: int = 0
    workers: int = 1
    threads: int = 1
    picture: bool = True
    """True if the loss curve is drawn at the end."""

    def check(self, batch: int) -> None:
        """Raise ConfigError if the windows of a step can't be divided evenly among the workers."""
        if batch % self.workers:
            what = f"A batch of {batch} windows can't be shared by {self.workers} workers."
            raise ConfigError(what, "Give a --batch that is a multiple of --workers.")


DEFAULTS = {"depth": 4, "window": 256, "batch": 16, "eval_every": 100, "eval_tokens": 1 << 17}
PRESETS = {
    "demo": {"window": 128, "tokens": 300 << 11, "eval_every": 100, "eval_tokens": 1 << 15},
    "cpu-5min": {"tokens": 750 << 12, "eval_every": 150, "eval_tokens": 1 << 16},
}
"""Values of options. If the user gives an option, its value counts instead."""


def plan_steps(shape: Shape, batch: int, train_tokens: int, wanted: int | None) -> int:
    """Return the number of steps that `wanted` tokens take.

    Without `wanted`, the number suits the model and the corpus.
    """
    tokens = wanted or min(TOKENS_PER_WEIGHT * shape.scaling_weights, EPOCHS * train_tokens)
    return max(1, tokens // (batch * shape.window))
