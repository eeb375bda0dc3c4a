"""The loss curve of a training run: a line per step in metrics.jsonl, its picture, and progress for people."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from corpus.errors import IntegrityError
from corpus.json_data import Maybe, check_shape, parse_json
from corpus.storage.replacing import replacing, write_whole
from jobs.runner.progress import Progress

_NUMBER = (int, float)


class Metrics:
    """The file metrics.jsonl.

    It has one JSON object per step with `step`, `tokens`, `loss` (nats per token), `lr` and `seconds`. After a
    validation the object also has `val_loss`, `bpb` and `bits_per_token`.
    """

    def __init__(self, folder: Path, step: int) -> None:
        """Continue after `step`.

        Remove the lines of later steps, because these steps have no checkpoint and are done again.
        """
        path = folder / "metrics.jsonl"
        kept = [row for row in read_metrics(folder) if row["step"] <= step]
        write_whole(path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115  the file stays open until the run ends

    def add(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Make sure that the added lines survive a crash of the machine."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the complete lines of metrics.jsonl. A crash may have cut the last line short."""
    path = folder / "metrics.jsonl"
    *complete, _ = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
    try:
        rows = [parse_json(line) for line in complete]
        for row in rows:
            check_shape(
                row, {"step": int, "tokens": int, "loss": _NUMBER, "bpb": Maybe(_NUMBER), "val_loss": Maybe(_NUMBER)}
            )
    except ValueError:
        raise IntegrityError(f"{path} is damaged.", "Restore it, or train again.") from None
    return rows


def draw_curve(folder: Path) -> Path:
    """Draw loss.svg from metrics.jsonl: training loss, its running mean, and validation loss if there is any.

    For a reinforcement, draw rewards instead.
    """
    from matplotlib.figure import Figure

    rows = read_metrics(folder)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    x, name, unit = ("step", "reward", "reward") if "reward" in rows[-1] else ("tokens", "loss", "nats per token")
    at, values = [row[x] for row in rows], [row[name] for row in rows]
    axes.plot(at, values, color="#9ecae1", linewidth=0.8, label=f"training {name}")
    axes.plot(at, _running_mean(values), color="#08519c", linewidth=1.5, label="its running mean")
    axes.set(xlabel=x.rstrip("s") + "s", ylabel=unit, title=name.capitalize())
    axes.grid(alpha=0.3)
    measured = [row for row in rows if row.get(f"val_{name}") is not None]
    if measured:
        end = f"; at the end {measured[-1]['bpb']:.3f} bits per byte" if "bpb" in measured[-1] else ""
        axes.plot([row[x] for row in measured], [row[f"val_{name}"] for row in measured], "o-", color="#d94801", ms=4,
                  label=f"validation {name}{end}")  # fmt: skip
    axes.legend()
    path = folder / "loss.svg"
    with replacing(path) as scratch:
        figure.savefig(scratch, format="svg", metadata={"Date": None})
    return path


def _running_mean(values: list[float], share: float = 0.1) -> list[float]:
    """Return an exponential mean. Each new value has the weight `share`; the first values have more."""
    mean, means = 0.0, []
    for count, value in enumerate(values, 1):
        mean += max(share, 1 / count) * (value - mean)
        means.append(mean)
    return means


class TrainingProgress(Progress):
    """The progress of a training: steps done, loss, bits per byte, tokens per second and time left."""

    def start_training(self, steps: int, done: int, tokens: int) -> None:
        """Start to show a run of `steps` steps, of which `done` are done. A step has `tokens` tokens."""
        self._tokens, self._bpb = tokens, None
        self._row: dict[str, Any] = {}
        self.start("step", steps, done)

    def step(self, row: dict[str, Any]) -> None:
        """Show a row of metrics.jsonl."""
        self._row, self._bpb = row, row.get("bpb", self._bpb)
        self._done = row["step"] - 1
        self.unit_done()

    def _facts(self, start: str = "") -> str:
        if not self._row:
            return ""
        if "reward" in self._row:
            shown = ("reward", "pass@1", "steps", "length", "kl")
            return start + ", ".join(f"{name} {self._row[name]:.3f}" for name in shown if name in self._row)
        rate = (self._done - self._skipped) * self._tokens / max(time.monotonic() - self._started, 1e-3)
        bpb = f"{self._bpb:.3f} bits per byte, " if self._bpb else ""
        return f"{start}loss {self._row['loss']:.3f}, {bpb}{rate:,.0f} tokens/s"
