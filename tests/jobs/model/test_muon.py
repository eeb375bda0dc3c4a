"""Muon: orthogonal updates, and torch's rule for them."""

import pytest
import torch

from jobs.model.model import GPT
from jobs.model.muon import Muon, orthogonal
from jobs.model.train import DECAY, make_optimizers
from jobs.model.train_settings import Shape


@pytest.mark.parametrize(("compute", "rounding"), [(torch.float32, 1e-3), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize("size", [(16, 16), (64, 16), (16, 64), (1, 8)])
def test_an_orthogonal_matrix_has_the_vectors_of_its_source_and_singular_values_near_one(size, compute, rounding):
    draw = torch.Generator().manual_seed(0)
    matrices = torch.randn(3, *size, generator=draw) * torch.tensor([1e-3, 1, 1e3])[:, None, None]
    for before, after in zip(matrices, orthogonal(matrices, compute).float(), strict=True):
        left, values, right = torch.linalg.svd(before, full_matrices=False)
        found = left.T @ after @ right.T
        torch.testing.assert_close(found, torch.diag(found.diagonal()), atol=rounding, rtol=0)
        assert ((found.diagonal() > 0.5) & (found.diagonal() < 1.3))[values > values.max() / 100].all()


def test_a_gradient_of_zeros_or_of_one_direction_gives_finite_updates():
    one = torch.outer(torch.arange(8.0), torch.ones(16))
    found = orthogonal(torch.stack([torch.zeros(8, 16), one]), torch.float32)
    assert not found[0].any()
    assert 0.5 < torch.linalg.matrix_norm(found[1], 2) < 1.3
    assert torch.linalg.matrix_rank(found[1], rtol=1e-2) == 1


def test_steps_are_those_of_torch():
    draw = torch.Generator().manual_seed(0)
    start = [torch.randn(size, generator=draw) for size in [(8, 8), (32, 8), (8, 8), (8, 32)]]
    ours, theirs = ([torch.nn.Parameter(weight.clone()) for weight in start] for _ in range(2))
    optimizers = [
        Muon(ours, lr=0.02, decay=0.1, compute=torch.float32),
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(3):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.randn(own.shape, generator=draw)
            other.grad = own.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for own, other, first in zip(ours, theirs, start, strict=True):
        moved = (other - first).abs().max().item()
        torch.testing.assert_close(own, other, rtol=0, atol=0.03 * moved)  # torch rounds to bf16


def test_rates_fall_with_the_width_and_what_a_step_decays_does_not():
    groups = {}
    for depth in (4, 16):
        optimizers = make_optimizers(GPT(Shape.of_depth(depth, 32, 4)), lr=0.01)
        groups[depth] = [group for optimizer in optimizers.values() for group in optimizer.param_groups]
    for small, large in zip(groups[4], groups[16], strict=True):
        assert large["lr"] == pytest.approx(small["lr"] / 2)
        assert large["lr"] * large["weight_decay"] == pytest.approx(small["lr"] * small["weight_decay"])
    assert groups[4][0] == groups[4][0] | {"lr": 0.01, "weight_decay": DECAY}
