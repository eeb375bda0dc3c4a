"""`train` and `generate`: a small base model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.cpus import usable_cpus
from corpus.errors import ConfigError
from corpus.storage.store import Location
from corpus.tokens.token_folder import open_tokens
from jobs.model.train_settings import DEFAULTS, PRESETS, Settings, Shape, TrainWorker, plan_steps
from jobs.runner.terminal import say, show, show_json
from jobs.verbs.options import (
    SEED,
    Finite,
    address_of_environment,
    address_option,
    folder_type,
    insecure_option,
    json_option,
    location_type,
    need_torch,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from corpus.tokens.tokenizer import Tokenizer
    from jobs.model.generate import Drawn
    from jobs.model.train import Objective
    from jobs.runner.engine import Stop

device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="Device to compute on. With auto, CUDA if there is a device.",
)  # fmt: skip
threads_option = click.option("--threads", type=click.IntRange(min=1), help="CPU threads. Default: the usable CPUs.")


def load_torch(wanted: str, threads: int | None = None) -> str:
    """Return the device to compute on, and set torch's threads, by default to the usable CPUs.

    Raises ConfigError if torch or the device is missing.
    """
    need_torch()
    import torch

    torch.set_num_threads(threads or usable_cpus())  # torch does not know the CPU quota of a cgroup
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("There is no CUDA device here.", "Use --device cpu.")
    return wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


@click.command("train")
@click.argument("tokens_folder", metavar="TOKENS", type=folder_type)
@click.option("-o", "--out", required=True, type=folder_type, help="Folder to write the model to.")
@click.option("--depth", type=click.IntRange(min=1), help="Layers. All other sizes follow from them. Default: 4.")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="Values for options that are not given.")
@click.option("--window", type=click.IntRange(min=2), help="Tokens that the model sees at once. Default: 256.")
@click.option("--batch", type=click.IntRange(min=1), help="Windows per step, over all workers. Default: 16.")
@click.option("--tokens", type=click.IntRange(min=1), help="Tokens to train on. Default: 10 per weight, but at most "
              "4 epochs.")  # fmt: skip
@click.option("--lr", type=Finite(0, 1000, min_open=True), default=0.01, show_default=True, help="Peak learning rate "
              "at depth 4. It falls with the square root of the width.")  # fmt: skip
@click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Seed for the first weights and the order of windows."
)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True,
              help="Type of activations. With auto, bf16 on CUDA and fp32 on a CPU.")  # fmt: skip
@click.option("--eval-every", type=click.IntRange(min=1), help="Steps between validations. Default: 100.")
@click.option("--eval-tokens", type=click.IntRange(min=1), help="Tokens per validation. Default: 131,072.")
@click.option("--checkpoint-seconds", type=Finite(min=0), default=60.0, show_default=True,
              help="Shortest time between checkpoints, in seconds.")  # fmt: skip
@device_option
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads per worker. Default: the usable CPUs of this "
              "machine, divided by the workers.")  # fmt: skip
@click.option(
    "--micro-batch", type=click.IntRange(min=1), help="Windows per forward pass. Lower it if memory is short."
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True,
              help="Training processes. Several run on Ray, started here if there is no --address.")  # fmt: skip
@address_option
@insecure_option
@json_option
# click passes each option as a parameter of its own
def train_command(
    tokens_folder: Path, out: Path, preset: str | None, lr: float, seed: int, precision: str,
    checkpoint_seconds: float, device: str, threads: int | None, micro_batch: int | None, workers: int,
    address: str | None, insecure: bool, as_json: bool, **sizes: int | None,
) -> None:  # fmt: skip
    """Train a small base model on tokens. The same command continues a stopped run.

    \b
    Example: corpus train tokens -o model --preset cpu-5min
    Example: corpus train tokens -o model --depth 12 --window 1024 --batch 256 --workers 8 --device cuda
    """
    address = address or address_of_environment()
    if not address:
        device = load_torch(device)
    elif device == "auto":
        device = "cpu"  # this machine does not know the devices of the cluster
    threads = threads or max(1, usable_cpus() // workers)
    worker = TrainWorker(device, micro_batch, checkpoint_seconds, workers=workers, threads=threads)
    values = {**DEFAULTS, **PRESETS.get(preset or "", {}), **{k: v for k, v in sizes.items() if v is not None}}
    tokens = open_tokens(tokens_folder)
    shape = Shape.of_depth(values["depth"], tokens.vocab_size, values["window"])
    if precision == "auto":
        precision = "bf16" if device == "cuda" else "fp32"
    steps = plan_steps(shape, values["batch"], tokens.train.tokens, values.pop("tokens", None))
    settings = Settings(steps=steps, lr=lr, seed=seed, precision=precision, **values)
    result = _run(tokens_folder, out, settings, worker, address, insecure)
    if as_json:
        show_json({key: result.get(key) for key in _FACTS})
    score = f", {result['bpb']:.3f} bits per byte on validation text" if "bpb" in result else ", no validation text"
    say(f"{out}: {result['tokens']:,} tokens, loss {result['loss']:.3f}{score}")
    say(f'Loss curve: {out}/loss.svg   Try it: corpus generate {out} "Once upon"')


_FACTS = ("step", "tokens", "parameters", "loss", "val_loss", "bits_per_token", "bpb", "seconds")


def _run(
    tokens_folder: Path, out: Path, settings: Settings, worker: TrainWorker, address: str | None, insecure: bool
) -> dict[str, Any]:
    """Train here, or on Ray with several workers."""
    from jobs.model.curve import TrainingProgress
    from jobs.model.pretraining import Pretraining
    from jobs.runner.derived import register

    if worker.workers == 1 and not address:
        return train_here(tokens_folder, out, Pretraining(open_tokens(tokens_folder), settings), worker)
    register(tokens_folder, "model", out)
    with _only_run(out) as stop:
        from jobs.model.train_ray import train_on_ray

        progress = TrainingProgress()
        result = train_on_ray(out, tokens_folder, settings, worker, stop, progress, address, insecure)
    return _or_end(result, out, stop)


def train_here(made_from: Path, out: Path, objective: Objective, worker: TrainWorker) -> dict[str, Any]:
    """Train in this process, and note in the folder `made_from` that `out` is made from it.

    After a stop signal, end the program.
    """
    import torch

    from jobs.model.curve import TrainingProgress
    from jobs.model.train import train
    from jobs.runner.derived import register

    register(made_from, "model", out)
    torch.set_num_threads(worker.threads)
    with _only_run(out) as stop:
        result = train(out, objective, worker, stop.asked, TrainingProgress())
    return _or_end(result, out, stop)


@contextmanager
def _only_run(out: Path) -> Iterator[Stop]:
    """Keep other runs out of the folder, and catch stop signals."""
    from jobs.runner.engine import Stop
    from jobs.runner.folder import open_folder

    with open_folder(out).only_run(), Stop("the current step is finished, and a checkpoint is written.") as stop:
        yield stop


def _or_end(result: dict[str, Any] | None, out: Path, stop: Stop) -> dict[str, Any]:
    if result is None:
        say(f"Interrupted. Run the same command again to continue. Folder: {out}")
        sys.exit(128 + stop.signal)
    return result


@click.command("generate")
@click.argument("model", type=folder_type)
@click.argument("prompt")
@click.option("-n", "count", type=click.IntRange(min=1), default=1, show_default=True, help="Continuations.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=200, show_default=True, help="Tokens per text.")
@click.option(
    "--temperature", type=Finite(min=0), default=0.8, show_default=True, help="With 0, always take the likeliest token."
)
@click.option("--top-k", type=click.IntRange(min=0), default=50, show_default=True,
              help="Number of likeliest tokens to draw from. With 0, draw from all tokens.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed for the draws.")
@click.option("--show-probs", is_flag=True, help="Print the likeliest next tokens with their probabilities.")
@device_option
@threads_option
@json_option
# click passes each option as a parameter of its own
def generate_command(
    model: Path, prompt: str, count: int, max_tokens: int, temperature: float, top_k: int, seed: int,
    show_probs: bool, device: str, threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Continue a prompt, as if a page began with it.

    \b
    Example: corpus generate model "The best way to" -n 5 --temperature 0.7
    Example: corpus generate model "The best way to" --show-probs --max-tokens 10
    """
    device = load_torch(device, threads)
    from jobs.model.generate import Continuer, Sampling

    sampling = Sampling(max_tokens, temperature, top_k, seed)
    continuer = Continuer(model, device)
    ids = continuer.encode(prompt)
    for number in range(count):
        drawn = continuer.draw(ids, sampling, number, _SHOWN if show_probs else 0)
        if as_json:
            _print_json(prompt, continuer.tokenizer, drawn, show_probs)
        elif show_probs:
            _print_probabilities(continuer.tokenizer.tokens, drawn)
        else:
            _print_text(prompt, continuer.tokenizer.tokens, drawn)


@click.command("probe")
@click.argument("model", type=folder_type)
@click.option("--on", "texts_folder", required=True, type=location_type, metavar="RUN", help="Run, or folder of "
              "parquet files, that the model was trained on.")  # fmt: skip
@click.option("-o", "--out", required=True, type=folder_type, help="Folder for probe.json and probe.html.")
@click.option("--examples", type=click.Path(path_type=Path), metavar="FILE",
              help="JSONL file of questions and answers. The model is asked with 0 to 16 examples "
              "in the prompt.")  # fmt: skip
@click.option("--prompt", "prompts", multiple=True, help="Show the tree of likeliest continuations. Repeatable.")
@device_option
@threads_option
@json_option
# click passes each option as a parameter of its own
def probe_command(
    model: Path, texts_folder: Location, out: Path, examples: Path | None, prompts: tuple[str, ...], device: str,
    threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure what a base model has learned.

    The probes cover texts that the model knows by heart, tasks with examples in the prompt, and likely continuations.

    \b
    Example: corpus probe model --on out -o probed --prompt "The town council"
    """
    device = load_torch(device, threads)
    from corpus.storage.replacing import write_whole
    from corpus.tokens.texts import open_texts
    from jobs.model.generate import Continuer
    from jobs.model.probe import probe
    from jobs.report.render import render_page

    found = probe(Continuer(model, device), open_texts(texts_folder), examples, prompts)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "probe.json", (json.dumps(found, indent=1) + "\n").encode())
    write_whole(out / "probe.html", render_page("probe.html", name=model.name, found=found).encode())
    if as_json:
        show_json(found)
    for one in found["regurgitation"]:
        mean = f"{one['mean']:5.1f} ± {one['interval']:.1f} of {found['recited']} tokens verbatim"
        say(f"seen {one['seen']:4} times: {mean} ({one['texts']} texts)")
    for row in found["few_shot"]:
        say(f"{row['examples']:4} examples: {row['right']:.1%} right")
    say(f"Look at {out}/probe.html")


def _print_text(prompt: str, tokens: Sequence[bytes | None], found: Iterable[Drawn]) -> None:
    from jobs.model.generate import TextStream

    stream = TextStream(tokens)
    show(prompt, end="")
    for drawn in found:
        show(stream.add(drawn.id), end="")
    show(stream.end() + "\n")


_SHOWN = 5


def _print_probabilities(tokens: Sequence[bytes | None], found: Iterable[Drawn]) -> None:
    from jobs.model.generate import token_text

    say(f"{'drawn':16} the model's likeliest")
    for drawn in found:
        likeliest = "  ".join(f"{share:5.1%} {token_text(tokens[token])}" for token, share in drawn.likeliest)
        show(f"{token_text(tokens[drawn.id]):16} {likeliest}")
    show("")


def _print_json(prompt: str, tokenizer: Tokenizer, found: Iterable[Drawn], show_probs: bool) -> None:
    """Print a continuation as a line of JSON. In its text, U+FFFD replaces bytes that are not UTF-8."""
    found = list(found)
    row: dict[str, Any] = {"prompt": prompt, "ids": [drawn.id for drawn in found]}
    row["text"] = tokenizer.decode(row["ids"]).decode("utf-8", "replace")
    if show_probs:
        row["likeliest"] = [[{"id": i, "probability": share} for i, share in drawn.likeliest] for drawn in found]
    show_json(row)
