"""Train a model on tokens. Read this file, the whole loop, from top to bottom.

Pretraining, fine-tuning, reinforcement and reward models are one loop with different objectives. An objective gives the
first weights, the batch of each step, and how much each token of a batch counts. The objective alone decides the
weights. A run can end at any moment. The same command continues from the newest checkpoint. In fp32 on the same number
of threads, it ends with the same weights bit for bit, because batches and the learning rate depend only on the step and
the weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from corpus.errors import CorpusError
from corpus.storage.replacing import write_whole
from jobs.model import checkpoint
from jobs.model.curve import Metrics, TrainingProgress, draw_curve, read_metrics
from jobs.model.model import GPT
from jobs.model.muon import Muon
from jobs.model.train_settings import Settings, TrainWorker

WARMUP, WARMDOWN = 0.03, 0.6
"""The share of steps in which the learning rate rises, and the share in which it falls to zero.

In between it is constant.
"""

EMBED_LR, HEAD_LR = 30.0, 3.0
"""AdamW's learning rates for embedding and head, as multiples of Muon's for the matrices."""

BASE_WIDTH = 128
"""The width (depth 4) at which the rates and DECAY were tuned."""

DECAY = 0.1
"""The weight decay of the matrices. A step subtracts `lr * DECAY` of each weight. Tables have no weight decay."""


def lr_share(step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0, as a share of the peak rate."""
    rise = (step + 1) / max(1.0, WARMUP * steps)
    fall = (steps - step) / max(1.0, WARMDOWN * steps)
    return min(1.0, rise, fall)


def make_optimizers(model: GPT, lr: float) -> dict[str, torch.optim.Optimizer]:
    """Return Muon for the matrices of the blocks, and AdamW for embedding and head, which are tables of vectors. Frozen
    weights, which need no gradient, are left out.

    `lr` is the rate at the base width. All rates fall with the square root of the width, as in nanochat's AdamW. A step
    of Muon then has the same spectral norm at every width. The decay rises by the same factor, so that a step subtracts
    the same share of the weights at every width (Wang and Aitchison, arXiv:2405.13698).
    """
    wider = (model.shape.width / BASE_WIDTH) ** 0.5
    lr /= wider
    rates = {model.embed.weight: lr * EMBED_LR, model.head.weight: lr * HEAD_LR}
    tables = [{"params": [table], "lr": rate} for table, rate in rates.items() if table.requires_grad]
    optimizers: dict[str, torch.optim.Optimizer] = {}
    if matrices := [matrix for matrix in model.blocks.parameters() if matrix.requires_grad]:
        optimizers["muon"] = Muon(matrices, lr, DECAY * wider, model.compute)
    if tables:
        optimizers["adamw"] = torch.optim.AdamW(tables, betas=(0.8, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
    return optimizers


@dataclass(frozen=True)
class Batch:
    """One worker's part of a step: ids, the id after each of them, and how much the loss of each target counts. All are
    (rows, time).

    For a mean loss, the counts add up to 1. `facts` go into the step's line of metrics.
    """

    ids: Tensor
    targets: Tensor
    counts: Tensor
    facts: dict[str, Any] = field(default_factory=dict)
    last: bool = False
    """True if the run ends with this step, even if its settings say otherwise."""


class Objective(Protocol):
    """The start of a training, and the data that it learns from."""

    settings: Settings

    @property
    def tokenizer(self) -> bytes:
        """The tokenizer.json that the model's folder will contain."""

    def bound(self) -> dict[str, Any]:
        """Return everything that decides the weights. The folder is bound to these values."""

    def facts(self) -> dict[str, Any]:
        """Return facts for the state of the model, in addition to its shape."""

    def first(self) -> GPT:
        """Return the model with its first weights."""

    def batch(self, model: GPT, step: int, worker: TrainWorker) -> Batch:
        """Return a worker's part of a step. `model` has the present weights."""

    def evaluate(self, model: GPT, worker: TrainWorker) -> dict[str, Any]:
        """Return `val_loss` and other measures for the line of metrics, or nothing."""


def compute_type(settings: Settings) -> torch.dtype:
    """Return the type of activations."""
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32


# this function is long, so that the loop can be read from top to bottom
def train(
    folder: Path, objective: Objective, worker: TrainWorker,
    stopped: Callable[[], bool] = lambda: False, progress: TrainingProgress | None = None,
) -> dict[str, Any] | None:  # fmt: skip
    """Train until the last step, write the finished model, and return its facts. Return None if `stopped` ended the
    run.

    Raises OutputError if the folder is bound to another objective, and CorpusError if the loss is no longer finite.
    """
    settings = objective.settings
    worker.check(settings.batch)
    lead = worker.rank == 0
    with together(worker):
        if lead:
            checkpoint.bind(folder, objective.bound())
            write_whole(folder / "tokenizer.json", objective.tokenizer)
        done = checkpoint.finished(folder)
    if done:
        return done

    model = objective.first()
    model.to(worker.device)
    optimizers = make_optimizers(model, settings.lr)
    with together(worker):
        state = checkpoint.resume(folder, model, optimizers) or {"step": 0, "seconds": 0.0, "ended": False}
    peaks = [(group, group["lr"]) for optimizer in optimizers.values() for group in optimizer.param_groups]
    step, seconds_before, ended = state["step"], state["seconds"], state["ended"]
    _check_agreed(step, folder, worker)
    parallel: nn.Module = DistributedDataParallel(model, broadcast_buffers=False) if worker.workers > 1 else model

    facts: dict[str, Any] = {
        "shape": asdict(model.shape),
        **objective.facts(),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "versions": {"corpus": metadata.version("corpus"), "torch": torch.__version__},
    }

    def save() -> None:
        if metrics:
            metrics.sync()
        checkpoint.save(folder, step, model, optimizers, {**facts, "seconds": row["seconds"], "ended": ended})

    row: dict[str, Any] = {}
    started = saved = time.monotonic()
    with ExitStack() as ending:
        metrics = ending.enter_context(closing(Metrics(folder, step))) if lead else None
        if progress:
            progress.start_training(settings.steps, step, settings.batch * settings.window)
            ending.callback(progress.end)
        while not ended and not _any(stopped(), worker):
            batch = objective.batch(model, step, worker)
            loss = backward(parallel, batch, worker)
            at = lr_share(step, settings.steps)
            for group, peak in peaks:
                group["lr"] = peak * at
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad()
            step += 1
            seen = step * settings.batch * settings.window
            row = {"step": step, "tokens": seen, "loss": loss, "lr": settings.lr * at, **batch.facts}
            ended = batch.last or step == settings.steps
            if step % settings.eval_every == 0 or ended:
                row |= objective.evaluate(model, worker)
            for found in (loss, row.get("val_loss", 0.0)):
                if not math.isfinite(found):
                    raise CorpusError(f"The loss is {found} at step {step}.", "Use another folder and a smaller --lr.")
            row["seconds"] = round(seconds_before + time.monotonic() - started, 3)
            if metrics:
                metrics.add(row)
            if progress:
                progress.step(row)
            if lead and time.monotonic() - saved > worker.checkpoint_s and not ended:
                save()
                saved = time.monotonic()
        if lead and row:
            save()
    if lead and step and worker.picture:
        draw_curve(folder)
    if not lead or not ended:
        return None
    facts |= {"settings": asdict(settings), **read_metrics(folder)[-1]}
    return checkpoint.finish(folder, model, facts)


def backward(model: nn.Module, batch: Batch, worker: TrainWorker) -> float:
    """Add up the gradients of the loss of a batch, some rows at a time. Afterwards, all workers have the mean gradient.
    Return the mean loss.

    By default there are two parts, or one per worker. More parts would make the differences between machines larger.
    """
    device = torch.device(worker.device)
    rows = len(batch.ids)
    some = worker.micro_batch or max(1, rows * worker.workers // 2)
    total = torch.zeros((), device=device)
    for start in range(0, rows, some):
        part = [given[start : start + some].to(device) for given in (batch.ids, batch.targets, batch.counts)]
        with nullcontext() if start + some >= rows or worker.workers == 1 else model.no_sync():
            loss = model(*part)
            loss.backward()
        total += loss.detach()
    if worker.workers > 1:
        dist.all_reduce(total)
    return float(total) / worker.workers


class FailedElsewhere(CorpusError):
    """Raised if another worker failed. That worker's own error gives the reason."""


@contextmanager
def together(worker: TrainWorker) -> Iterator[None]:
    """Guard work in which one worker may fail alone. In that case, end all workers.

    Otherwise the other workers would wait for half an hour at the next sum over all workers. Raises FailedElsewhere in
    the other workers.
    """
    try:
        yield
    except CorpusError:
        _any(True, worker)
        raise
    if _any(False, worker):
        raise FailedElsewhere("Another worker failed.", "See its error.")


def _check_agreed(step: int, folder: Path, worker: TrainWorker) -> None:
    """Raise CorpusError if workers begin at different steps. This means that they do not see the same folder."""
    if worker.workers > 1:
        ends = torch.tensor([step, -step], device=worker.device)
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        if ends.sum() != 0:
            raise CorpusError(f"Workers see different checkpoints in {folder}.", "Give a folder that they share.")


def _any(flag: bool, worker: TrainWorker) -> bool:
    """Return True if the flag of any worker is set. Every worker must call this, so that all stop at the same step."""
    if worker.workers == 1:
        return flag
    total = torch.tensor(float(flag), device=worker.device)
    dist.all_reduce(total)
    return bool(total > 0)
