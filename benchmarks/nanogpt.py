"""nanoGPT's model and training step (github.com/karpathy/nanoGPT, MIT), written anew from its published description.

GPT-2 with bias=False: LayerNorm, GELU, learned positions, tied head; normal(0, 0.02) with residual projections scaled
by 1/sqrt(2 layers); AdamW with betas 0.9 and 0.95, weight decay 0.1 on matrices, gradients clipped at 1, linear warm-up
and a cosine down to a tenth; windows drawn with replacement.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class NanoShape:
    vocab_size: int
    block_size: int
    layers: int
    heads: int
    width: int


class LayerNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class CausalSelfAttention(nn.Module):
    def __init__(self, shape: NanoShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.c_attn = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.c_proj = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x):
        batch, time, width = x.size()
        q, k, v = (
            part.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(batch, time, width))


class MLP(nn.Module):
    def __init__(self, shape: NanoShape) -> None:
        super().__init__()
        self.c_fc = nn.Linear(shape.width, 4 * shape.width, bias=False)
        self.c_proj = nn.Linear(4 * shape.width, shape.width, bias=False)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, shape: NanoShape) -> None:
        super().__init__()
        self.ln_1, self.attn = LayerNorm(shape.width), CausalSelfAttention(shape)
        self.ln_2, self.mlp = LayerNorm(shape.width), MLP(shape)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class NanoGPT(nn.Module):
    def __init__(self, shape: NanoShape, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.wte = nn.Embedding(shape.vocab_size, shape.width)
        self.wpe = nn.Embedding(shape.block_size, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_f = LayerNorm(shape.width)
        self.lm_head = nn.Linear(shape.width, shape.vocab_size, bias=False)
        self.wte.weight = self.lm_head.weight
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, 0.0, 0.02)
        for name, weight in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(weight, 0.0, 0.02 / math.sqrt(2 * shape.layers))

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.size(1), device=ids.device))
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up, then a cosine to a tenth of the peak at the last step."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    done = (step - warmup) / (steps - warmup)
    return peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


def train_nano(shape: NanoShape, data: np.ndarray, batch: int, steps: int, peak: float, seed: int) -> NanoGPT:
    """The loop of nanoGPT's train.py, on one machine without accumulation; `data` are token ids."""
    model = NanoGPT(shape, seed)
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    kept = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": kept, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.95), eps=1e-8)
    warmup = steps // 20
    tokens = torch.from_numpy(data.astype(np.int64))
    for step in range(steps):
        starts = torch.randint(len(tokens) - shape.block_size, (batch,)).tolist()
        x = torch.stack([tokens[i : i + shape.block_size] for i in starts])
        y = torch.stack([tokens[i + 1 : i + 1 + shape.block_size] for i in starts])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, warmup, peak)
        logits = model(x)
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return model
