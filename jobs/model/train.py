"""Train a model on tokens. Read this file, the whole loop, from top to bottom.

Pretraining, fine-tuning, reinforcement and reward models are one loop with different objectives: an objective says with
which weights to begin, and gives the batch of each step and how much each of its tokens counts. It alone decides the
weights. A run can end at any moment. The same command continues from the newest checkpoint and, in fp32 on the same
number of threads, ends with the same weights bit for bit: batches and the learning rate are functions of the step and
of the weights.
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
"""The shares of all steps in which the learning rate rises, and falls to zero. In between it is constant."""

EMBED_LR, HEAD_LR = 30.0, 3.0
"""AdamW's learning rates for embedding and head, as multiples of Muon's for the matrices."""

BASE_WIDTH = 128
"""The width (depth 4) at which the rates and DECAY were tuned."""

DECAY = 0.1
"""Weight decay of the matrices: a step takes `lr * DECAY` off each of their weights. Tables have none."""


def lr_share(step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0, as a share of the peak rate."""
    rise = (step + 1) / max(1.0, WARMUP * steps)
    fall = (steps - step) / max(1.0, WARMDOWN * steps)
    return min(1.0, rise, fall)


def make_optimizers(model: GPT, lr: float) -> dict[str, torch.optim.Optimizer]:
    """Return Muon for the matrices of the blocks, and AdamW for embedding and head, which are tables of vectors.

    `lr` is the rate at the base width. All rates fall with the square root of the width. nanochat's AdamW does so. A
    step of Muon then has the same spectral norm at every width. The decay rises by as much, so that a step takes the
    same share off the weights at every width (Wang and Aitchison, arXiv:2405.13698).
    """
    wider = (model.shape.width / BASE_WIDTH) ** 0.5
    lr /= wider
    muon = Muon(model.blocks.parameters(), lr, DECAY * wider, model.compute)
    rates = {model.embed.weight: lr * EMBED_LR, model.head.weight: lr * HEAD_LR}
    tables = [{"params": [table], "lr": rate} for table, rate in rates.items()]
    adamw = torch.optim.AdamW(tables, betas=(0.8, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
    return {"muon": muon, "adamw": adamw}


@dataclass(frozen=True)
class Batch:
    """The part of a step that one worker has: ids, the id after each of them, and how much the loss of each target
    counts, all (rows, time). For a mean loss the counts add up to 1. `facts` go into the step's line of metrics."""

    ids: Tensor
    targets: Tensor
    counts: Tensor
    facts: dict[str, Any] = field(default_factory=dict)
    last: bool = False
    """True if the run ends with this step, whatever its settings say."""


class Objective(Protocol):
    """Where a training begins, and what it learns from."""

    settings: Settings

    @property
    def tokenizer(self) -> bytes:
        """The tokenizer.json that the model's folder gets."""

    def bound(self) -> dict[str, Any]:
        """Return everything that decides the weights. The folder is bound to it."""

    def facts(self) -> dict[str, Any]:
        """Return what the state of the model says of it, beside its shape."""

    def first(self) -> GPT:
        """Return the model with its first weights."""

    def batch(self, model: GPT, step: int, worker: TrainWorker) -> Batch:
        """Return a worker's part of a step. `model` has the weights of this step."""

    def evaluate(self, model: GPT, worker: TrainWorker) -> dict[str, Any]:
        """Return `val_loss` and other measures for the line of metrics, or nothing."""


def compute_type(settings: Settings) -> torch.dtype:
    """Return the type of activations."""
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32


# long, so that the loop can be read from top to bottom
def train(
    folder: Path, objective: Objective, worker: TrainWorker,
    stopped: Callable[[], bool] = lambda: False, progress: TrainingProgress | None = None,
) -> dict[str, Any] | None:  # fmt: skip
    """Train until the last step, write the finished model, and return its facts, or None if `stopped` ended the run.

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
    if lead and step:
        draw_curve(folder)
    if not lead or not ended:
        return None
    facts |= {"settings": asdict(settings), **read_metrics(folder)[-1]}
    return checkpoint.finish(folder, model, facts)


def backward(model: nn.Module, batch: Batch, worker: TrainWorker) -> float:
    """Add up the gradients of the loss of a batch, some rows at a time. All workers then have the mean gradient. Return
    the mean loss. By default there are two parts, or one per worker: more would enlarge any difference."""
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
    """Raised if another worker failed. Its own error says why."""


@contextmanager
def together(worker: TrainWorker) -> Iterator[None]:
    """Guard work at which one worker may fail alone, and end all workers in that case. Otherwise the others would wait
    for it at the next sum over workers, for half an hour. Raises FailedElsewhere in the others."""
    try:
        yield
    except CorpusError:
        _any(True, worker)
        raise
    if _any(False, worker):
        raise FailedElsewhere("Another worker failed.", "See its error.")


def _check_agreed(step: int, folder: Path, worker: TrainWorker) -> None:
    """Raise CorpusError if workers begin at different steps, since then they do not see the same folder."""
    if worker.workers > 1:
        ends = torch.tensor([step, -step], device=worker.device)
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        if ends.sum() != 0:
            raise CorpusError(f"Workers see different checkpoints in {folder}.", "Give a folder that they share.")


def _any(flag: bool, worker: TrainWorker) -> bool:
    """Return True if the flag of any worker is set. All must ask, so that they stop at the same step."""
    if worker.workers == 1:
        return flag
    total = torch.tensor(float(flag), device=worker.device)
    dist.all_reduce(total)
    return bool(total > 0)
