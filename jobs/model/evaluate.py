"""The quality of a model in bits per byte, a unit that does not depend on the tokenizer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

from jobs.model.model import GPT
from jobs.model.train_settings import TrainWorker
from jobs.model.windows import Ids, in_order

_LOGITS_AT_ONCE = 2**24


@torch.no_grad()
def evaluate(model: GPT, split: Ids, token_bytes: np.ndarray, limit: int, worker: TrainWorker) -> dict[str, Any]:
    """Return the loss over the first `limit` targets of a split: nats and bits per token, bits per byte of text.

    The bytes are those of each token, because a token may end within a character of the text. Special tokens have no
    bytes and are not counted. If no target counts, the result is empty.
    """
    lengths = torch.from_numpy(token_bytes.astype(np.int64)).to(worker.device)
    sums = torch.zeros(3, dtype=torch.float64, device=worker.device)  # nats, tokens, bytes
    window = model.shape.window
    rows = max(1, _LOGITS_AT_ONCE // (model.shape.vocab_size * window))
    for number, (ids, targets) in enumerate(in_order(split, window, limit, rows)):
        if number % worker.workers != worker.rank:
            continue
        wanted = targets.to(worker.device).flatten()
        nats = F.cross_entropy(model(ids.to(worker.device)).flatten(0, 1), wanted, reduction="none").double()
        size = lengths[wanted]
        sums += torch.stack([nats[size > 0].sum(), (size > 0).sum().double(), size.sum().double()])
    if worker.workers > 1:
        dist.all_reduce(sums)
    total, count, size = sums.tolist()
    if not count:
        return {}
    bits = total / math.log(2)
    return {"val_loss": total / count, "bits_per_token": bits / count, "bpb": bits / size, "val_tokens": int(count)}
