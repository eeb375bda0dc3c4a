"""Training with several workers: the same loop in Ray Train's TorchTrainer. Ray Train is imported in this file only."""

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
from jobs.model.train_settings import Place, Settings
from jobs.runner.engine import Stop
from jobs.runner.ray_engine import RayEngine

_STOP, _FAILED, _SCRATCH = ".stop", ".failed-", ".ray-"
_RESTARTS = 3
_LOOK_EVERY_S = 0.5


# nine parameters: those of `train`, and where Ray is
def train_on_ray(
    folder: Path, tokens_folder: Path, settings: Settings, place: Place, threads: int, address: str | None,
    stop: Stop, progress: TrainingProgress | None, insecure: bool = False,
) -> dict[str, Any] | None:  # fmt: skip
    """Run `train` on `place.workers` workers of `threads` threads each. All share the folders.

    A lost worker costs the steps since the newest checkpoint: Ray starts all workers again, and they go on from there.
    """
    place.check(settings.batch)
    folder = folder.resolve()
    checkpoint.bind(folder, settings.bound(open_tokens(tokens_folder)))
    if done := checkpoint.finished(folder):
        return done
    _clear(folder)
    engine = RayEngine(place.workers * threads, address, folder, insecure)
    scratch = tempfile.mkdtemp(prefix=_SCRATCH, dir=folder)
    try:
        from ray.train import FailureConfig, RunConfig, ScalingConfig  # only now: the engine sets Ray's token mode
        from ray.train.torch import TorchTrainer

        trainer = TorchTrainer(
            _worker,
            train_loop_config={
                "folder": str(folder), "tokens": str(tokens_folder.resolve()), "threads": threads,
                "settings": asdict(settings), "place": asdict(place),
            },
            scaling_config=ScalingConfig(
                num_workers=place.workers, use_gpu=place.device == "cuda", resources_per_worker={"CPU": threads}
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


def _fit(trainer: Any, folder: Path, settings: Settings, stop: Stop, progress: TrainingProgress | None) -> None:
    """Run the trainer in a thread. Meanwhile show the metrics that the first worker writes, and pass on a stop
    signal."""
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
        if progress and len(rows) > shown:
            shown = len(rows)
            if not showing:  # only now, since workers take a while to start
                progress.start(settings.steps, shown, settings.batch * settings.window)
                showing = True
            progress.step(rows[-1])
    if progress and showing:
        progress.end()
    if raised and isinstance(raised[0], TrainingFailedError):
        last = str(raised[0]).strip().splitlines()[-1]
        raise CorpusError(f"Workers failed {_RESTARTS + 1} times, at last with: {last}.", "The same command goes on.")
    if raised:
        raise raised[0]


def _worker(config: dict[str, Any]) -> None:
    """Run the training in a worker. An expected failure is written to its file, since another try would change
    nothing."""
    import torch
    from ray.train import get_context
    from ray.train.torch import get_device

    from jobs.model.train import FailedElsewhere, together, train

    torch.set_num_threads(config["threads"])
    folder, context = Path(config["folder"]), get_context()
    place = replace(
        Place(**config["place"]),
        device=str(get_device()),
        rank=context.get_world_rank(),
        workers=context.get_world_size(),
    )
    try:
        with together(place):
            tokens = open_tokens(config["tokens"])
        train(folder, tokens, Settings(**config["settings"]), place, (folder / _STOP).exists)
    except FailedElsewhere:
        return
    except CorpusError as error:
        (folder / f"{_FAILED}{place.rank}").write_text(json.dumps([place.rank, error.what, error.todo]))


def _clear(folder: Path) -> None:
    """Remove the files that a run, perhaps a killed one, leaves for its own use."""
    for leftover in (folder / _STOP, *folder.glob(f"{_FAILED}*")):
        leftover.unlink(missing_ok=True)
    for scratch in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(scratch, ignore_errors=True)
