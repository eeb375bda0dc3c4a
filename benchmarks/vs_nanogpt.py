"""Our trainer beside nanoGPT's model and loop: the tokens and the time that each needs for the same validation loss.

    python -m benchmarks.vs_nanogpt --runs runs.jsonl     # a run that is in the file already is not made again

The texts are English ones of real pages, divided by hash of the page into training, tuning and validation documents.
Both sides have the same tokens, batch, number of weights (to 3%) and grid of peak learning rates, tuned on the tuning
documents with seed 0. nanoGPT trains on its whole budget of tokens. We plan whole runs of a share of that budget. Each
run has one thread, and two runs go at a time.
"""

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.machine import machine_line, shared_data

VOCAB, WINDOW, BATCH = 2048, 256, 16
STEPS = 366  # nanoGPT's steps: 1.5 million tokens
SHARES = (0.2, 0.3)
TUNED_AT = 0.3
GRID = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
SEEDS = (0, 1, 2)
NANO = {"layers": 4, "heads": 4, "width": 128}
DEPTH = 3


class Ids:
    """A split in memory."""

    def __init__(self, ids: np.ndarray) -> None:
        self.ids, self.tokens = ids, len(ids)

    def read(self, start: int, count: int) -> np.ndarray:
        return self.ids[start : start + count]


def make_data(folder: Path) -> None:
    """Tokenize the English pages of the shared data by a BPE of the training documents."""
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    pages = pq.read_table(shared_data() / "parity" / "datatrove_0.10.1.parquet").to_pylist()
    english = sorted((p for p in pages if p["stage"] not in ("language", "extract", "url")), key=lambda p: p["id"])
    splits: dict[str, list[str]] = {"train": [], "tune": [], "val": []}
    for page in english:
        place = hashlib.sha256(page["id"].encode()).digest()[0]
        splits["val" if place < 16 else "tune" if place < 32 else "train"].append(page["text"])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<|bos|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(splits["train"], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, texts in splits.items():
        ids = [number for one in tokenizer.encode_batch(texts) for number in (0, *one.ids)]
        np.save(folder / f"{name}.npy", np.array(ids, np.uint16))


def read_data(folder: Path) -> dict[str, np.ndarray]:
    return {name: np.load(folder / f"{name}.npy") for name in ("train", "tune", "val")}


def mean_loss(model: Any, ids: np.ndarray) -> float:
    """The nats per token over a split's windows. One function serves both sides."""
    import torch
    import torch.nn.functional as F

    whole = (len(ids) - 1) // WINDOW
    total = 0.0
    with torch.no_grad():
        for first in range(0, whole, BATCH):
            count = min(BATCH, whole - first)
            part = torch.from_numpy(ids[first * WINDOW : (first + count) * WINDOW + 1].astype(np.int64))
            logits = model(part[:-1].view(count, WINDOW)).flatten(0, 1)
            total += F.cross_entropy(logits, part[1:]).item() * count
    return total / whole


def one_run(side: str, steps: int, lr: float, seed: int, data_folder: Path) -> dict[str, Any]:
    """Train and judge one model; CPU and wall seconds are of training alone, our checkpoints included."""
    import torch

    torch.set_num_threads(1)
    data = read_data(data_folder)
    clock, cpu = time.perf_counter(), time.process_time()
    model = train_ours(data, steps, lr, seed, data_folder) if side == "ours" else train_theirs(data, steps, lr, seed)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    weights = sum(weight.numel() for weight in model.parameters())
    losses = {name: round(mean_loss(model, data[name]), 5) for name in ("tune", "val")}
    return {
        "side": side,
        "steps": steps,
        "lr": lr,
        "seed": seed,
        "weights": weights,
        "cpu": cpu,
        "wall": clock,
        **losses,
    }


def train_theirs(data: dict[str, np.ndarray], steps: int, lr: float, seed: int) -> Any:
    from benchmarks.nanogpt import NanoShape, train_nano

    return train_nano(NanoShape(VOCAB, WINDOW, **NANO), data["train"], BATCH, steps, lr, seed)


def train_ours(data: dict[str, np.ndarray], steps: int, lr: float, seed: int, data_folder: Path) -> Any:
    """`corpus train`, without its command line."""
    import torch

    from jobs.model.checkpoint import load_model
    from jobs.model.pretraining import Pretraining
    from jobs.model.train import train
    from jobs.model.train_settings import Settings, TrainWorker

    tokens: Any = SimpleNamespace(
        info={"files": []}, vocab_size=VOCAB, bos=0, token_bytes=np.ones(VOCAB, np.int32),
        tokenizer_path=data_folder / "tokenizer.json", train=Ids(data["train"]), val=Ids(data["val"]),
    )  # fmt: skip
    settings = Settings(
        depth=DEPTH, window=WINDOW, batch=BATCH, steps=steps, lr=lr, seed=seed, precision="fp32",
        eval_every=steps, eval_tokens=0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder) / "model", Pretraining(tokens, settings), TrainWorker())
        return load_model(Path(folder) / "model", torch.device("cpu"))[0]


def speed(data_folder: Path, rounds: int = 5, steps: int = 15) -> dict[str, list[float]]:
    """Tokens per wall second with two threads, in turns, in this process alone."""
    import torch

    torch.set_num_threads(2)
    data = read_data(data_folder)
    rates: dict[str, list[float]] = {"ours": [], "nano": []}
    for _ in range(rounds):
        for side in rates:
            started = time.perf_counter()
            if side == "ours":
                train_ours(data, steps, 1e-3, 0, data_folder)
            else:
                train_theirs(data, steps, 1e-3, 0)
            rates[side].append(steps * BATCH * WINDOW / (time.perf_counter() - started))
    return rates


class Runs:
    """The runs made so far, in a file of JSON lines."""

    def __init__(self, path: Path, data_folder: Path) -> None:
        self.path, self.data_folder = path, data_folder
        self.rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def find(self, side: str, steps: int, lr: float, seed: int) -> dict[str, Any] | None:
        wanted = (side, steps, lr, seed)
        return next((r for r in self.rows if (r["side"], r["steps"], r["lr"], r["seed"]) == wanted), None)

    def make(self, wanted: list[tuple[str, int, float, int]], workers: int) -> list[dict[str, Any]]:
        todo = [run for run in dict.fromkeys(wanted) if self.find(*run) is None]
        with ProcessPoolExecutor(workers) as pool:
            for row in pool.map(one_run, *zip(*todo, strict=True), [self.data_folder] * len(todo)) if todo else ():
                self.rows.append(row)
                with open(self.path, "a") as file:
                    file.write(json.dumps(row) + "\n")
        return [found for run in wanted if (found := self.find(*run)) is not None]


def spread(values: list[float], digits: int) -> str:
    mean = statistics.mean(values)
    return f"{mean:.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def tuned(runs: Runs, side: str, steps: int, workers: int) -> float:
    rows = runs.make([(side, steps, lr, 0) for lr in GRID], workers)
    print(f"  {side:5} at {steps} steps: " + "  ".join(f"{row['lr']:g}: {row['tune']:.3f}" for row in rows))
    return float(min(rows, key=lambda row: row["tune"])["lr"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="file of results, made or continued")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(machine_line())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder)
        report(Runs(options.runs, folder), folder, options.workers)


def report(runs: Runs, folder: Path, workers: int) -> None:
    sizes = {name: len(ids) for name, ids in read_data(folder).items()}
    print(f"tokens: {sizes}, vocabulary {VOCAB}; {BATCH} windows of {WINDOW} a step")
    print("Peak learning rates, loss on the tuning documents, seed 0")
    nano_lr = tuned(runs, "nano", STEPS, workers)
    ours_lr = tuned(runs, "ours", round(TUNED_AT * STEPS), workers)
    nano = runs.make([("nano", STEPS, nano_lr, seed) for seed in SEEDS], workers)
    print(f"Validation loss, nats per token: mean (min–max) of {len(SEEDS)} seeds")
    show("nanoGPT", nano, nano)
    reached = []
    for share in SHARES:
        ours = runs.make([("ours", round(share * STEPS), ours_lr, seed) for seed in SEEDS], workers)
        show(f"ours, {share:g} of the tokens", ours, nano)
        if max(row["val"] for row in ours) <= min(row["val"] for row in nano):
            reached.append((share, statistics.mean(r["cpu"] for r in ours) / statistics.mean(r["cpu"] for r in nano)))
    if reached:
        print(f"Every seed of ours below every one of nanoGPT: from {reached[0][0]:g} of its tokens and "
              f"{reached[0][1]:.2f} of its CPU time on")  # fmt: skip
    rates = speed(folder)
    print("Tokens a second by the wall clock, two threads, in turns: median (min–max)")
    for side, values in rates.items():
        print(f"  {side:5} {statistics.median(values):7.0f} ({min(values):.0f}–{max(values):.0f})")


def show(name: str, rows: list[dict[str, Any]], nano: list[dict[str, Any]]) -> None:
    ratio = [row["cpu"] / other["cpu"] for row, other in zip(rows, nano, strict=True)]
    print(
        f"  {name:24} lr {rows[0]['lr']:<7g} {rows[0]['weights']:,} weights  "
        f"{rows[0]['steps'] * BATCH * WINDOW / 1e6:.2f} M tokens  loss {spread([row['val'] for row in rows], 3)}  "
        f"CPU s {spread([row['cpu'] for row in rows], 0)}, {spread(ratio, 2)} of nanoGPT's"
    )


if __name__ == "__main__":
    main()
