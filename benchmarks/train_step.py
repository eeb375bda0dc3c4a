"""The CPU time of a training step, beside the same step with torch's Muon and pieces of the loss as small as the cache:
`python -m benchmarks.train_step`.

torch's Muon makes updates orthogonal in bf16. So the time depends on whether the CPU computes in bf16 (AVX-512 BF16 or
AMX). Each comparison is made twice: on this CPU as it is, and with oneDNN, torch's library of such products, held to
AVX2, as on a CPU that has no bf16. Both ways start from the same weights, see the same windows, and take turns; one
thread.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from typing import TypedDict

from benchmarks.machine import machine_line

WINDOW, BATCH, STEPS = 256, 16, 6
CASES = ((4, 4096), (6, 4096), (8, 4096), (4, 32768))
ISAS: dict[str, dict[str, str]] = {"this CPU as it is": {}, "held to AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}


class Took(TypedDict):
    """The CPU seconds of each step, the optimizers' part in them, and the loss of the last step."""

    step: list[float]
    optimizers: list[float]
    loss: float


def measure(depth: int, vocab: int) -> dict[str, Took]:
    """What each way takes."""
    import torch

    from jobs.model import model as model_file
    from jobs.model.model import GPT
    from jobs.model.train import make_optimizers
    from jobs.model.train_settings import Shape

    torch.set_num_threads(1)
    least_rows = model_file.ROWS_AT_ONCE
    draw = torch.Generator().manual_seed(0)
    # powers of a uniform number, so that some ids are frequent, as in text
    ids = (torch.rand(STEPS, BATCH, WINDOW + 1, generator=draw) ** 3 * vocab).long()
    ways = {}
    for name in ("torch's Muon", "ours"):
        model = GPT(Shape.of_depth(depth, vocab, WINDOW))
        model.init_weights(0)
        optimizers = make_optimizers(model, 0.01)
        if name != "ours":
            (group,) = optimizers["muon"].param_groups
            optimizers["muon"] = torch.optim.Muon(
                group["params"], lr=group["lr"], weight_decay=group["weight_decay"], adjust_lr_fn="match_rms_adamw"
            )
        ways[name] = model, optimizers
    found: dict[str, Took] = {name: {"step": [], "optimizers": [], "loss": 0.0} for name in ways}
    for windows in ids:
        for name, (model, optimizers) in ways.items():
            model_file.ROWS_AT_ONCE = least_rows if name == "ours" else 1
            started = time.process_time()
            found[name]["loss"] = 0.0
            for half in windows.chunk(2):  # as `backward` does
                loss = model(half[:, :-1], half[:, 1:]) / 2
                loss.backward()
                found[name]["loss"] += loss.item()
            between = time.process_time()
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad()
            found[name]["step"].append(time.process_time() - started)
            found[name]["optimizers"].append(time.process_time() - between)
    return found


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
        return
    print(machine_line())
    print(f"CPU seconds of a step, {BATCH} windows of {WINDOW}: median of {STEPS - 1} steps (the optimizers' part)")
    print("before: torch's Muon, and pieces of the loss of 2^19 logits. now: our Muon, and pieces of 128 rows or more")
    for isa, environment in ISAS.items():
        for depth, vocab in CASES:
            command = [sys.executable, "-m", "benchmarks.train_step", str(depth), str(vocab)]
            output = subprocess.run(command, env=os.environ | environment, capture_output=True, check=True).stdout
            before, now = json.loads(output).values()
            times = []
            for way in (before, now):
                step, own = (statistics.median(way[part][1:]) for part in ("step", "optimizers"))
                times.append((step, f"{step:.2f} ({own:.2f})"))
            print(
                f"{isa}, depth {depth}, vocabulary {vocab}: before {times[0][1]}, now {times[1][1]}, "
                f"{times[0][0] / times[1][0]:.2f} times as fast; last loss {before['loss']:.3f} and {now['loss']:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
