"""What an ablation could show, and what it costs, before any training."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from jobs.ablate.decide import detectable
from jobs.model.train_settings import Settings, Shape, TrainWorker

RATES = (1.0, 1 / 30)
"""The learning rates of each arm, as multiples of `--lr`.

Verdicts at the usual rate alone can turn with small changes of it. At a much smaller rate, small models rank corpora
more as large models do (arXiv:2512.24503).
"""

NOISE: tuple[tuple[float, float, tuple[float, float]], ...] = (
    (0.36e6, 0.033e6, (0.1024, 0.0036)),
    (0.35e6, 0.131e6, (0.0511, 0.0138)),
    (1.09e6, 0.696e6, (0.0174, 0.0092)),
    (124e6, 1.8e9, (0.0009, 0.0009)),
)
"""Known noise: weights that scale, tokens, and the standard deviation of a difference in bits per byte between two
selections of the same corpus for one seed, at each of RATES.

`python -m benchmarks.ablate --noise` measures it (benchmarks/figures/ablate_noise.txt). The last row is that of
modded-nanogpt: 0.0019 nats per token over 80 seeds. There the data are the same, so this is the least to expect.
"""


@dataclass(frozen=True)
class Tier:
    """How much the result of an ablation of some size is known to say of large models."""

    name: str
    weights: float
    tokens: float
    evidence: str


TIERS = (
    Tier("claim", 150e6, 15e9, "DataDecide (arXiv:2504.11393): rankings of models of 150M weights, each trained on 100 "
         "tokens per weight, agree with those of 1B weights for about 80% of the pairs of corpora"),
    Tier("proxy", 10e6, 1e9, "DataDecide (arXiv:2504.11393): likelihoods of right answers from 0.01% of the compute of "
         "the target predict more than 80% of its comparisons; that is about this size. RegMix (arXiv:2407.01492) "
         "ranks mixtures by models of 1M weights and 1B tokens"),
    Tier("smoke", 0, 0, "none. Such models show gross damage to a corpus, not which of two sound corpora is better"),
)  # fmt: skip
"""The tiers, the largest first, with the published evidence that a result transfers to large models."""


def tier_of(weights: int, tokens: int) -> Tier:
    return next(tier for tier in TIERS if weights >= tier.weights and tokens >= tier.tokens)


def known_noise(weights: float, tokens: float) -> tuple[tuple[float, float], bool]:
    """Return the noise of the nearest measured size, and True if that size is within a factor of four."""

    def distance(row: tuple[float, float, tuple[float, float]]) -> float:
        return max(abs(math.log(weights / row[0])), abs(math.log(tokens / row[1])))

    nearest = min(NOISE, key=distance)
    return nearest[2], distance(nearest) <= math.log(4)


@dataclass(frozen=True)
class Forecast:
    """What a plan could show, and what it costs. `detectable` is in bits per byte, at each learning rate."""

    tier: str
    evidence: str
    weights: int
    tokens: int
    trainings: int
    comparisons: int
    noise: tuple[float, ...]
    noise_is_near: bool
    detectable: tuple[float, ...]
    hours: float
    """The CPU hours of all trainings, or the hours of the GPU."""


def forecast(settings: Settings, vocab_size: int, arms: int, seeds: int, sets: int, device: str) -> Forecast:
    """Return the forecast for this number of arms, without the null arm, and of validation sets."""
    shape = Shape.of_depth(settings.depth, vocab_size, settings.window)
    weights, tokens = shape.scaling_weights, settings.steps * settings.batch * settings.window
    noise, near = known_noise(weights, tokens)
    comparisons, tier, trainings = (arms - 1) * sets, tier_of(weights, tokens), (arms + 1) * seeds * len(RATES)
    evaluated = math.ceil(settings.steps / settings.eval_every) * sets * settings.eval_tokens
    # an evaluation has no backward pass, which is two thirds of a step
    steps = settings.steps + evaluated / (settings.batch * settings.window) / 3
    hours = trainings * steps * time_step(settings, vocab_size, device) / 3600
    seen = tuple(detectable(one, arms + 1, seeds, comparisons) for one in noise)
    return Forecast(tier.name, tier.evidence, weights, tokens, trainings, comparisons, noise, near, seen, hours)


def time_step(settings: Settings, vocab_size: int, device: str) -> float:
    """Return the seconds that a step takes here, on one thread: the faster of two, after one to warm up."""
    import torch

    from jobs.model.model import GPT
    from jobs.model.train import Batch, backward, compute_type, make_optimizers

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = GPT(Shape.of_depth(settings.depth, vocab_size, settings.window), compute_type(settings)).to(device)
    model.init_weights(0)
    optimizers = make_optimizers(model, settings.lr)
    ids = torch.randint(0, vocab_size, (settings.batch, settings.window), generator=torch.Generator().manual_seed(0))
    batch, best = Batch(ids, ids.roll(-1, 1), torch.full(ids.shape, 1 / ids.numel())), math.inf
    for _ in range(3):
        started = time.thread_time() if device == "cpu" else time.monotonic()
        backward(model, batch, TrainWorker(device))
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        best = min(best, (time.thread_time() if device == "cpu" else time.monotonic()) - started)
    torch.set_num_threads(threads)
    return best
