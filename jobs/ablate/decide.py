"""The decision rule. It is fixed before any training, and docs/ablate.md explains it.

Scores are bits per byte, so a smaller score is better. Each arm is compared with the baseline by the differences of
their scores, seed by seed. The null arm is the baseline on other documents, so its differences are noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from scipy import stats

BETTER, WORSE, SAME, UNCLEAR = "better", "worse", "no detectable difference", "inconclusive"
NULL_VERDICT = "same data"
"""What the report says of the null arm. No other word is possible for it."""

ALPHA = 0.05
"""The chance of one wrong verdict or more in a whole report, if no arm differs from the baseline."""

POWER = 0.8
"""The chance that a difference is found which is called detectable."""

ODD = 0.8
"""An arm whose differences vary more than this share of equally noisy arms would is judged by its own spread alone."""


@dataclass(frozen=True)
class Difference:
    """The scores of an arm minus those of the baseline, at one learning rate and on one set. The interval is `mean` ±
    `half`."""

    mean: float
    half: float
    by_seed: tuple[float, ...]
    own_spread: bool = False

    @property
    def verdict(self) -> str:
        return BETTER if self.mean + self.half < 0 else WORSE if self.mean - self.half > 0 else SAME


def differences(scores: np.ndarray, comparisons: int) -> list[Difference]:
    """Return the difference of each arm from the baseline. `scores` (arms, seeds) has the baseline first and the null
    arm second.

    The half width is the largest of three: Student's t times the noise that all arms share, the same with the arm's own
    spread, and the difference of the null arm itself. So the null arm can never be better or worse, and no arm can with
    a difference that the null arm has too. Bonferroni's correction divides ALPHA by the number of comparisons.
    """
    arms, seeds = scores.shape
    level = 1 - ALPHA / (2 * comparisons)
    free = (arms - 1) * (seeds - 1)
    paired = scores[1:] - scores[0]
    shared, null = _noise(scores), abs(float(paired[0].mean()))
    found = []
    for number, row in enumerate(paired, 1):
        own = float(row.std(ddof=1))
        others = _noise(np.delete(scores, number, axis=0))
        most = others * math.sqrt(stats.f.ppf(ODD, seeds - 1, (arms - 2) * (seeds - 1)))
        odd = bool(own > most)
        t = stats.t.ppf(level, seeds - 1 if odd else free)
        spread = own if odd else max(own, shared)
        half = max(float(t) * spread / math.sqrt(seeds), null)
        found.append(Difference(float(row.mean()), half, tuple(row.tolist()), odd))
    return found


def _noise(scores: np.ndarray) -> float:
    """Return the standard deviation of the difference of two arms for one seed: √2 times the residual after the means
    of arms and seeds, as in an analysis of variance with seeds as blocks."""
    rest = scores - scores.mean(1, keepdims=True) - scores.mean(0, keepdims=True) + scores.mean()
    free = (scores.shape[0] - 1) * (scores.shape[1] - 1)
    return math.sqrt(2 * float(np.square(rest).sum()) / free)


def detectable(noise: float, arms: int, seeds: int, comparisons: int) -> float:
    """Return the difference that is found with a chance of POWER. `noise` is the standard deviation of a difference for
    one seed, and `arms` counts baseline and null arm too."""
    free = (arms - 1) * (seeds - 1)
    reach = stats.t.ppf(1 - ALPHA / (2 * comparisons), free) + stats.t.ppf(POWER, free)
    return float(reach) * noise / math.sqrt(seeds)


@dataclass(frozen=True)
class Verdict:
    """The verdict on an arm by one validation set, and its differences from the baseline, by learning rate."""

    arm: str
    set: str
    verdict: str
    differences: tuple[Difference, ...]


def judge(
    scores: Mapping[tuple[str, int, int, str], float], arms: Sequence[str], seeds: Sequence[int], rates: int,
    sets: Sequence[str],
) -> tuple[list[Verdict], dict[str, list[float]]]:  # fmt: skip
    """Return the verdicts by set and arm, and for each set the noise of a difference at each learning rate. `arms` has
    the baseline first and the null arm second, and `scores` is by arm, seed, number of the learning rate, and set.

    An arm is better or worse only if it is so at every learning rate.
    """
    comparisons = (len(arms) - 2) * len(sets)
    verdicts, noise = [], {}
    for name in sets:
        tables = [np.array([[scores[arm, seed, at, name] for seed in seeds] for arm in arms]) for at in range(rates)]
        noise[name] = [_noise(table) for table in tables]
        by_rate = [differences(table, comparisons) for table in tables]
        for number, arm in enumerate(arms[1:]):
            own = tuple(found[number] for found in by_rate)
            words = {one.verdict for one in own}
            word = NULL_VERDICT if number == 0 else words.pop() if len(words) == 1 else UNCLEAR
            verdicts.append(Verdict(arm, name, word, own))
    return verdicts, noise


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of some values, and half of the width of its 95% interval."""
    mean = fmean(values)
    if len(values) < 2:
        return mean, math.inf
    t = float(stats.t.ppf(0.975, len(values) - 1))
    return mean, t * float(np.std(values, ddof=1)) / math.sqrt(len(values))
