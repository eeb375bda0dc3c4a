"""The decision rule over simulated noise: what it finds, and how often it is wrong."""

import itertools

import numpy as np
import pytest
from scipy import stats

from jobs.ablate.decide import BETTER, NULL_VERDICT, SAME, UNCLEAR, WORSE, detectable, differences, judge

ARMS = ["base", "null", "one", "two"]
SETS = ["base", "one", "two"]


def scores_of(draw, seeds=3, spread=(1, 1, 1, 1), correlation=0.5, effects=(0, 0, 0, 0)):
    """The scores of an ablation. Arms may differ in their spread, and learning rates and sets have noise in common."""
    common = draw.normal(size=(len(ARMS), seeds, 1, 1))
    own = draw.normal(size=(len(ARMS), seeds, 2, len(SETS)))
    noise = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    noise = noise * np.array(spread)[:, None, None, None] + np.array(effects)[:, None, None, None]
    noise += 5 * draw.normal(size=(1, seeds, 1, 1))  # first weights and order of windows, which arms share
    places = itertools.product(enumerate(ARMS), range(seeds), range(2), enumerate(SETS))
    return {(arm, seed, at, name): 2 + 0.01 * noise[a, seed, at, s] for (a, arm), seed, at, (s, name) in places}


def pages(count, seed=0, seeds=3, **noise):
    draw = np.random.default_rng(seed)
    for _ in range(count):
        yield judge(scores_of(draw, seeds, **noise), ARMS, range(seeds), 2, SETS)[0]


@pytest.mark.parametrize("spread", [(1, 1, 1, 1), (1, 1, 1, 4), (4, 1, 1, 1)])
@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_a_page_of_equal_arms_is_wrong_at_most_once_in_twenty(spread, correlation):
    count = 100
    wrong = sum(any(one.verdict in (BETTER, WORSE) for one in page)
                for page in pages(count, spread=spread, correlation=correlation))  # fmt: skip
    assert wrong <= 0.05 * count


def test_at_one_learning_rate_equal_arms_differ_at_most_once_in_twenty():
    draw, wrong, count = np.random.default_rng(1), 0, 500
    for _ in range(count):
        wrong += any(one.verdict != SAME for one in differences(draw.normal(size=(4, 3)), 2))
    assert wrong <= 0.05 * count


def test_the_null_arm_is_never_better_or_worse():
    draw = np.random.default_rng(2)
    for _ in range(200):
        scores = draw.normal(size=(4, 3)) * draw.choice([1e-9, 1, 100], size=(4, 1)) + draw.normal(size=(4, 1)) * 100
        assert differences(scores, 6)[0].verdict == SAME
    far = next(pages(1, effects=(0, 50, 0, 0)))
    assert {one.verdict for one in far if one.arm == "null"} == {NULL_VERDICT}


def test_no_arm_differs_by_less_than_the_null_arm():
    found = next(pages(1, effects=(0, 50, -45, 55)))
    assert {one.verdict for one in found if one.arm == "one"} == {SAME}


def test_large_effects_are_found_and_their_direction_is_right():
    found = list(pages(100, effects=(0, 0, -25, 25)))
    for arm, verdict in (("one", BETTER), ("two", WORSE)):
        own = [one.verdict for page in found for one in page if one.arm == arm]
        assert own.count(verdict) > 0.9 * len(own)
        assert {BETTER: WORSE, WORSE: BETTER}[verdict] not in own


def test_verdicts_that_depend_on_the_learning_rate_are_inconclusive():
    scores = scores_of(np.random.default_rng(3))
    changed = {key: value - (0.5 if key[0] == "one" and key[2] == 0 else 0) for key, value in scores.items()}
    found, _ = judge(changed, ARMS, range(3), 2, SETS)
    assert {one.verdict for one in found if one.arm == "one"} == {UNCLEAR}
    assert [one.verdict for one in found if one.arm == "one"] == [UNCLEAR] * 3
    opposite = {key: value - {0: 0.5, 1: -0.5}[key[2]] * (key[0] == "one") for key, value in scores.items()}
    assert {one.verdict for one in judge(opposite, ARMS, range(3), 2, SETS)[0] if one.arm == "one"} == {UNCLEAR}


def test_the_interval_is_that_of_an_analysis_of_variance():
    scores = np.array([[1.0, 2, 3], [1.1, 1.9, 3.0], [1.3, 2.1, 3.2], [1.0, 2.1, 2.9]])
    rest = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
    noise = np.sqrt(2 * (rest**2).sum() / 6)
    found = differences(scores, 2)[2]
    assert found.mean == pytest.approx(0)
    own = np.std(scores[3] - scores[0], ddof=1)
    assert found.half == pytest.approx(stats.t.ppf(1 - 0.05 / 4, 6) * max(noise, own) / np.sqrt(3))


def test_what_is_called_detectable_is_found_in_four_of_five_cases():
    difference = detectable(np.sqrt(2), 4, 5, 2)
    draw, found, count = np.random.default_rng(4), 0, 300
    for _ in range(count):
        scores = draw.normal(size=(4, 5))
        scores[3] -= difference
        found += differences(scores, 2)[2].verdict == BETTER
    assert 0.65 < found / count < 0.9
