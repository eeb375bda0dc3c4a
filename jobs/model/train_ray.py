"""Training with several workers: the same loop in Ray Train's TorchTrainer. No other file imports Ray Train."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from corpus.errors import CorpusError
from corpus.tokens.token_folder import open_tokens
from jobs.model import checkpoint
from jobs.model.curve import TrainingProgress, read_metrics
from jobs.model.train_settings import Settings, TrainWorker
from jobs.runner.engine import Stop
from jobs.runner.ray_engine import RayEngine

_STOP, _FAILED, _SCRATCH = ".stop", ".failed-", ".ray-"
_RESTARTS = 3
_LOOK_EVERY_S = 0.5


# eight parameters: those of `train`, and the Ray cluster
def train_on_ray(
    folder: Path, tokens_folder: Path, settings: Settings, worker: TrainWorker, stop: Stop, progress: TrainingProgress,
    address: str | None, insecure: bool,
) -> dict[str, Any] | None:  # fmt: skip
    """Run `train` on `worker.workers` workers, which share the folders.

    If a worker is lost, the steps since the newest checkpoint are lost. Ray starts all workers again, and they continue
    from this checkpoint.
    """
    worker.check(settings.batch)
    folder = folder.resolve()
    checkpoint.bind(folder, settings.bound(open_tokens(tokens_folder)))
    if done := checkpoint.finished(folder):
        return done
    _clear(folder)
    engine = RayEngine(worker.workers * worker.threads, address, folder, insecure)
    scratch = tempfile.mkdtemp(prefix=_SCRATCH, dir=folder)
    try:
        # imported here, because the engine must set Ray's token mode first
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        trainer = TorchTrainer(
            _worker,
            train_loop_config={
                "folder": str(folder), "tokens": str(tokens_folder.resolve()), "settings": asdict(settings),
                "worker": asdict(worker),
            },
            scaling_config=ScalingConfig(
                num_workers=worker.workers, use_gpu=worker.device == "cuda",
                resources_per_worker={"CPU": worker.threads},
            ),
            run_config=RunConfig(
                name="train", storage_path=scratch, failure_config=FailureConfig(max_failures=_RESTARTS)
            ),
        )  # fmt: skip
        _fit(trainer, folder, settings, stop, progress)
    finally:
        engine.close()
    failures = sorted(json.loads(file.read_text()) for file in folder.glob(f"{_FAILED}*"))
    _clear(folder)
    if failures:
        rank, what, todo = failures[0]
        raise CorpusError(f"Worker {rank}: {what}" if rank else what, todo)
    return checkpoint.finished(folder)


def _fit(trainer: Any, folder: Path, settings: Settings, stop: Stop, progress: TrainingProgress) -> None:
    """Run the trainer in a thread. Meanwhile, show the first worker's metrics, and pass on a stop signal."""
    from ray.train import TrainingFailedError

    raised: list[Exception] = []

    def fit() -> None:
        try:
            trainer.fit()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    shown, showing = len(read_metrics(folder)), False
    while thread.is_alive():
        thread.join(_LOOK_EVERY_S)
        if stop.asked():
            (folder / _STOP).touch()
        rows = read_metrics(folder)
        if len(rows) > shown:
            shown = len(rows)
            if not showing:  # started only here, because workers take a while to start
                progress.start_training(settings.steps, shown, settings.batch * settings.window)
                showing = True
            progress.step(rows[-1])
    if showing:
        progress.end()
    for error in raised:
        if not isinstance(error, TrainingFailedError):
            raise error
        last = str(error).strip().splitlines()[-1]
        raise CorpusError(f"Workers failed {_RESTARTS + 1} times, at last with: {last}.", "The same command continues.")


def _worker(config: dict[str, Any]) -> None:
    """Run the training in a worker. Write an expected failure to a file, because another try would change nothing."""
    import torch
    from ray.train import get_context
    from ray.train.torch import get_device

    from jobs.model.pretraining import Pretraining
    from jobs.model.train import FailedElsewhere, together, train

    folder, context = Path(config["folder"]), get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()
    worker = replace(TrainWorker(**config["worker"]), device=str(get_device()), rank=rank, workers=workers)
    torch.set_num_threads(worker.threads)
    try:
        with together(worker):
            objective = Pretraining(open_tokens(config["tokens"]), Settings(**config["settings"]))
        train(folder, objective, worker, (folder / _STOP).exists)
    except FailedElsewhere:
        return
    except CorpusError as error:
        (folder / f"{_FAILED}{worker.rank}").write_text(json.dumps([worker.rank, error.what, error.todo]))


def _clear(folder: Path) -> None:
    """Remove temporary files of a run, which may have been killed."""
    for leftover in (folder / _STOP, *folder.glob(f"{_FAILED}*")):
        leftover.unlink(missing_ok=True)
    for scratch in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(scratch, ignore_errors=True)
