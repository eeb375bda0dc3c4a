"""Tasks of EleutherAI's lm-evaluation-harness, over the export of a model. The package is not one of our dependencies.

The harness loads the data of its tasks by itself, from the network if they are not in its cache.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError
from jobs.model.export import export_model


def need_lm_eval() -> None:
    """Raise ConfigError if the harness or `transformers` is missing."""
    for name in ("lm_eval", "transformers"):
        try:
            importlib.import_module(name)
        except ImportError:
            todo = "Run `pip install lm-eval transformers`, or leave --lm-eval out."
            raise ConfigError(f"--lm-eval needs the package {name}, which is not installed.", todo) from None


def evaluate_tasks(folder: Path, tasks: Sequence[str], device: str) -> dict[str, dict[str, float]]:
    """Return the figures of a finished model, by task and metric."""
    harness = importlib.import_module("lm_eval")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        export_model(folder, Path(scratch, "export"), "fp32")
        arguments = f"pretrained={Path(scratch, 'export')},dtype=float32"
        done = harness.simple_evaluate(model="hf", model_args=arguments, tasks=list(tasks), device=device)
    found: dict[str, Any] = done["results"]
    return {
        task: {
            name.removesuffix(",none"): float(value)
            for name, value in sorted(metrics.items())
            if isinstance(value, int | float) and "stderr" not in name
        }
        for task, metrics in sorted(found.items())
    }
