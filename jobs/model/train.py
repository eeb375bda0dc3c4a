"""Train a model on tokens. Read this file, the whole loop, from top to bottom.

`Settings` and the tokens alone decide the weights. A run can end at any moment. The same command continues from the
newest checkpoint and, in fp32 on the same number of threads, ends with the same weights bit for bit: the order of
windows and the learning rate are functions of the step, and nothing is drawn after the first weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from corpus.errors import CorpusError
from corpus.storage.replacing import write_whole
from corpus.tokens.token_folder import Tokens
from jobs.model import checkpoint
from jobs.model.curve import Metrics, TrainingProgress, draw_curve, read_metrics
from jobs.model.evaluate import evaluate
from jobs.model.model import GPT
from jobs.model.muon import Muon
from jobs.model.train_settings import Settings, Shape, TrainWorker
from jobs.model.windows import Windows

WARMUP, WARMDOWN = 0.03, 0.6
"""The shares of all steps in which the learning rate rises, and falls to zero. In between it is constant."""

EMBED_LR, HEAD_LR = 30.0, 3.0
"""AdamW's learning rates for embedding and head, as multiples of Muon's for the matrices."""

BASE_WIDTH = 128
"""The width (depth 4) at which the rates and DECAY were found."""

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


# long, so that the loop can be read from top to bottom
def train(
    folder: Path, tokens: Tokens, settings: Settings, worker: TrainWorker,
    stopped: Callable[[], bool] = lambda: False, progress: TrainingProgress | None = None,
) -> dict[str, Any] | None:  # fmt: skip
    """Train until the last step, write the finished model, and return its facts, or None if `stopped` ended the run.

    Raises OutputError if the folder is bound to other settings, InputError if there are too few tokens for one window,
    and CorpusError if the loss is no longer finite.
    """
    worker.check(settings.batch)
    shape = Shape.of_depth(settings.depth, tokens.vocab_size, settings.window)
    lead = worker.rank == 0
    with together(worker):
        windows = Windows(tokens.train, settings.window, settings.seed)
        if lead:
            checkpoint.bind(folder, settings.bound(tokens))
            write_whole(folder / "tokenizer.json", tokens.tokenizer_path.read_bytes())
        done = checkpoint.finished(folder)
    if done:
        return done

    model = GPT(shape, torch.bfloat16 if settings.precision == "bf16" else torch.float32)
    model.init_weights(settings.seed)
    model.to(worker.device)
    optimizers = make_optimizers(model, settings.lr)
    with together(worker):
        state = checkpoint.resume(folder, model, optimizers) or {"step": 0, "seconds": 0.0}
    peaks = [(group, group["lr"]) for optimizer in optimizers.values() for group in optimizer.param_groups]
    step, seconds_before = state["step"], state["seconds"]
    _check_agreed(step, folder, worker)
    parallel: nn.Module = DistributedDataParallel(model, broadcast_buffers=False) if worker.workers > 1 else model

    facts: dict[str, Any] = {
        "shape": asdict(shape),
        "bos": tokens.bos,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "versions": {"corpus": metadata.version("corpus"), "torch": torch.__version__},
    }

    def save() -> None:
        if metrics:
            metrics.sync()
        checkpoint.save(folder, step, model, optimizers, {**facts, "seconds": row["seconds"]})

    row: dict[str, Any] = {}
    share = settings.batch // worker.workers
    started = saved = time.monotonic()
    with ExitStack() as ending:
        metrics = ending.enter_context(closing(Metrics(folder, step))) if lead else None
        if progress:
            progress.start_training(settings.steps, step, settings.batch * settings.window)
            ending.callback(progress.end)
        while step < settings.steps and not _any(stopped(), worker):
            ids, targets = windows.batch(step * settings.batch + worker.rank * share, share)
            loss = backward(parallel, ids.to(worker.device), targets.to(worker.device), worker)
            at = lr_share(step, settings.steps)
            for group, peak in peaks:
                group["lr"] = peak * at
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad()
            step += 1
            seen = step * settings.batch * settings.window
            row = {"step": step, "tokens": seen, "loss": loss, "lr": settings.lr * at}
            if step % settings.eval_every == 0 or step == settings.steps:
                row |= evaluate(model, tokens.val, tokens.token_bytes, settings.eval_tokens, worker)
            for found in (loss, row.get("val_loss", 0.0)):
                if not math.isfinite(found):
                    raise CorpusError(f"The loss is {found} at step {step}.", "Use another folder and a smaller --lr.")
            row["seconds"] = round(seconds_before + time.monotonic() - started, 3)
            if metrics:
                metrics.add(row)
            if progress:
                progress.step(row)
            if lead and time.monotonic() - saved > worker.checkpoint_s and step < settings.steps:
                save()
                saved = time.monotonic()
        if lead and row:
            save()
    if lead and step:
        draw_curve(folder)
    if not lead or step < settings.steps:
        return None
    facts |= {"settings": asdict(settings), **read_metrics(folder)[-1]}
    return checkpoint.finish(folder, model, facts)


def backward(model: nn.Module, ids: Tensor, targets: Tensor, worker: TrainWorker) -> float:
    """Add up the gradients of the mean loss of a worker's windows, some windows at a time. All workers then have the
    mean of their gradients. Return the mean loss over all workers, in nats per token.

    A single worker adds two halves, as two workers would, so that both give the same bits. In bf16, Muon would enlarge
    any difference.
    """
    some = worker.micro_batch or max(1, len(ids) * worker.workers // 2)
    starts = range(0, len(ids), some)
    total = torch.zeros((), device=ids.device)
    for start in starts:
        last = start == starts[-1]
        part, wanted = ids[start : start + some], targets[start : start + some]
        with nullcontext() if last or worker.workers == 1 else model.no_sync():  # type: ignore[operator]
            loss = model(part, wanted) * (len(part) / len(ids))
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
