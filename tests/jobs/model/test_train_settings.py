"""The number of steps, and presets."""

import pytest

from jobs.model.train_settings import DEFAULTS, PRESETS, Shape, plan_steps


def test_steps_follow_from_tokens_or_from_model_and_corpus():
    shape = Shape.of_depth(4, 4096, 256)
    assert plan_steps(shape, 16, 10**9, 4096 * 10) == 10
    assert plan_steps(shape, 16, 10**12, None) == 10 * shape.scaling_weights // 4096
    assert plan_steps(shape, 16, 100_000, None) == 4 * 100_000 // 4096
    assert plan_steps(shape, 16, 300, None) == 1


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_name_options(preset):
    assert {*PRESETS[preset]} <= {*DEFAULTS, "tokens"}
