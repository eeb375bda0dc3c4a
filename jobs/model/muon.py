"""Muon: momentum whose update is made orthogonal, for the matrices of the blocks (Jordan et al. 2024).

The update rule is that of `torch.optim.Muon` with `match_rms_adamw`. torch's version always computes in bf16, which
takes a CPU without bf16 arithmetic some 20 times as long as fp32. Our version uses the type of the activations. By
default this is bf16 on CUDA and fp32 on a CPU, so all CPUs agree up to fp32's rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_MOMENTUM = 0.95
_STEPS, _A, _B, _C = 5, 3.4445, -4.7750, 2.0315


def orthogonal(matrices: Tensor, compute: torch.dtype) -> Tensor:
    """Return matrices (count, rows, columns) with nearly the same singular vectors, and singular values between .7 and
    1.2.

    Each Newton–Schulz step applies an odd polynomial to the singular values, which raises small values most.
    """
    flat = matrices.size(-2) <= matrices.size(-1)
    x = (matrices if flat else matrices.mT).to(compute)
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # no singular value is above 1
    for _ in range(_STEPS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=_B, alpha=_C), x, beta=_A)
    return x if flat else x.mT


class Muon(torch.optim.Optimizer):
    """The optimizer of matrices. The root mean square of an update is 0.2 times the learning rate, as in AdamW."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, decay: float, compute: torch.dtype) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": decay})
        self.compute = compute

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        """Update all matrices. Matrices of the same shape are made orthogonal together."""
        for group in self.param_groups:
            same: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                momentum = state["momentum_buffer"]
                momentum.lerp_(weight.grad, 1 - _MOMENTUM)
                same.setdefault(weight.shape, []).append((weight, weight.grad.lerp(momentum, _MOMENTUM)))
            for shape, updates in same.items():
                directions = orthogonal(torch.stack([update for _, update in updates]), self.compute)
                for (weight, _), direction in zip(updates, directions, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(direction, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)
