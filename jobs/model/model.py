"""A GPT. It takes token ids and returns the logits of the next token. Read this file from top to bottom.

Compared with GPT-2, it has parts that learn more from the same tokens (docs/trainer.md): RMSNorm without gain, rotary
positions, normalized queries and keys, ReLU², no biases, an untied head, softly capped logits, and projections into the
residual stream that begin at zero.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jobs.model.train_settings import Shape

SOFTCAP = 15.0
ROPE_BASE = 10_000.0
LOGITS_AT_ONCE, LOGITS_AT_ONCE_GPU = 2**19, 2**28
"""The number of logits in a piece of the loss. This many logits fit the cache of a CPU core, or take 1 GiB on a GPU."""
ROWS_AT_ONCE = 128
"""The least number of rows in a piece.

Each piece reads the head and its gradient, so pieces of a few rows are slow. On a CPU, pieces of 2^19 logits take 1.5
times as long as this at 32,768 ids, and 5 times at 131,072. 256 rows are no faster. If the width is at least 128, these
rows of logits are no larger than the head, and a training holds the head several times anyway.
"""


class Cache:
    """Keys and values of the positions read so far, for one batch of sequences, with room for `positions`.

    `padding` is the number of positions before each sequence (batch), which no position sees. Only the distance between
    positions counts, so a sequence may begin anywhere.
    """

    def __init__(self, shape: Shape, positions: int, padding: Tensor, dtype: torch.dtype) -> None:
        size = (shape.depth, len(padding), shape.heads, positions, shape.width // shape.heads)
        self.keys = torch.zeros(size, device=padding.device, dtype=dtype)
        self.values = torch.zeros(size, device=padding.device, dtype=dtype)
        self.padding = padding
        self.length = 0

    def keep(self, rows: Tensor) -> None:
        """Keep only these sequences."""
        self.keys, self.values, self.padding = self.keys[:, rows], self.values[:, rows], self.padding[rows]

    def visible(self, time: int) -> Tensor:
        """Return the positions that each of `time` new positions sees, as a mask: (batch, 1, time, all positions)."""
        end = self.length + time
        past = torch.ones(time, end, dtype=torch.bool, device=self.padding.device).tril(self.length)
        there = torch.arange(end, device=self.padding.device) >= self.padding[:, None]
        itself = torch.eye(end, dtype=torch.bool, device=self.padding.device)[self.length :]  # padding must see some
        return (past & there[:, None, None]) | itself

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values (batch, heads, time, head width) of new positions.

        Return the keys and values of all positions.
        """
        end = self.length + keys.size(2)
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


def capped(logits: Tensor) -> Tensor:
    """Return SOFTCAP * tanh(logits / SOFTCAP). As a sigmoid, it takes a CPU a tenth of the time."""
    return torch.sigmoid(logits * (2 / SOFTCAP)) * (2 * SOFTCAP) - SOFTCAP


def norm(x: Tensor) -> Tensor:
    """Apply RMSNorm over the last dimension, without a gain."""
    return F.rms_norm(x, (x.size(-1),))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + half) of x (…, time, head width) by the angle of its position (arXiv:2104.09864)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class Linear(nn.Linear):
    """A projection without bias. The projection computes in the type of its input, but its weight stays in float32."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class CappedLoss(torch.autograd.Function):
    """The weighted sum of cross entropies of capped logits, and its gradient. Both are computed in one pass, some rows
    at a time.

    The logits of a whole batch are by far its largest tensor, and are needed only once. Rows that fit the cache are
    faster on a CPU, and the gradient needs no second pass. The arguments are x (rows, width), weight (vocabulary,
    width), targets (rows) and counts (rows), which say how much each row counts. The result is in nats.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
        rows = max(ROWS_AT_ONCE, (LOGITS_AT_ONCE if x.device.type == "cpu" else LOGITS_AT_ONCE_GPU) // len(weight))
        total = torch.zeros((), device=x.device)
        to_x, to_weight = torch.empty_like(x), torch.zeros_like(weight)
        cast = weight.to(x.dtype)
        for start in range(0, len(x), rows):
            part, wanted, count = (given[start : start + rows] for given in (x, targets, counts))
            logits = capped((part @ cast.T).float())
            logs = F.log_softmax(logits, dim=-1)
            total -= logs.gather(1, wanted[:, None])[:, 0] @ count
            grad = logs.exp_()
            grad.scatter_add_(1, wanted[:, None], grad.new_full((len(wanted), 1), -1.0))
            grad.addcmul_(grad, logits.square_(), value=-(SOFTCAP**-2))  # 1 - tanh² is the slope of the cap
            grad = grad.to(x.dtype)
            torch.mm(grad, cast, out=to_x[start : start + rows])
            to_weight += grad.T @ (part * count[:, None].to(x.dtype))
        ctx.save_for_backward(to_x.mul_(counts[:, None].to(x.dtype)), to_weight)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_x, to_weight = ctx.saved_tensors
        return grads[0].to(to_x.dtype) * to_x, grads[0] * to_weight, None, None


class Attention(nn.Module):
    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.layer, self.heads = layer, shape.heads
        self.query, self.key, self.value, self.out = (Linear(shape.width, shape.width) for _ in range(4))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: Cache | None, visible: Tensor | None) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (
            layer(x).view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        q, k = rotate(norm(q), cos, sin), rotate(norm(k), cos, sin)
        if cache is None:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            k, v = cache.extend(self.layer, k, v)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, time, width))
        return out


class Block(nn.Module):
    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.attention = Attention(shape, layer)
        self.up = Linear(shape.width, 4 * shape.width)
        self.down = Linear(4 * shape.width, shape.width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: Cache | None, visible: Tensor | None) -> Tensor:
        x = x + self.attention(norm(x), cos, sin, cache, visible)
        out: Tensor = x + self.down(F.relu(self.up(norm(x))).square())
        return out


class GPT(nn.Module):
    """The model. `model(ids)` gives logits (batch, time, vocabulary) in float32. `model(ids, targets, counts)` gives
    the loss in nats.

    The loss is the sum over all targets, each multiplied by its count. Without `counts`, it is the mean. Only targets
    with a count pass through the head.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape, compute: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.shape, self.compute = shape, compute
        self.embed = nn.Embedding(shape.vocab_size, shape.width)
        self.blocks = nn.ModuleList(Block(shape, layer) for layer in range(shape.depth))
        self.head = Linear(shape.width, shape.vocab_size)
        half = shape.width // shape.heads // 2
        angles = torch.outer(torch.arange(shape.window), ROPE_BASE ** (-torch.arange(half) / half))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def init_weights(self, seed: int) -> None:
        """Draw all weights. The same seed gives the same weights on every device."""
        draw = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                std = 0.0  # zero, so that each block begins as the identity
            elif name == "head.weight":
                std = 0.001
            elif name == "embed.weight":
                std = 1.0
            else:
                std = self.shape.width**-0.5
            weight.data.copy_(torch.empty(weight.shape).normal_(0, std, generator=draw))

    def trunk(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """Return the input of the head: (batch, time, width)."""
        start = cache.length if cache is not None else 0
        end = start + ids.size(1)
        x = norm(self.embed(ids).to(self.compute))
        cos, sin = self.cos[start:end].to(self.compute), self.sin[start:end].to(self.compute)
        visible = cache.visible(ids.size(1)) if cache is not None else None
        for block in self.blocks:
            x = block(x, cos, sin, cache, visible)
        if cache is not None:
            cache.length = end
        return norm(x)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits for outputs of the trunk (…, width)."""
        return capped(self.head(x).float())

    def forward(self, ids: Tensor, targets: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
        x = self.trunk(ids)
        if targets is None:
            return self.logits(x)
        if counts is None:
            counts = torch.full(targets.shape, 1 / targets.numel(), device=x.device)
        x, targets, counts = x.flatten(0, 1), targets.flatten(), counts.flatten()
        there = counts.nonzero()[:, 0]
        if len(there) < len(x):
            x, targets, counts = (given.index_select(0, there) for given in (x, targets, counts))
        loss: Tensor = CappedLoss.apply(x, self.head.weight, targets, counts)
        return loss
