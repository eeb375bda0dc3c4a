"""From base model to assistant, in figures: `python -m benchmarks.assistant BASE RUN -o FOLDER`.

Each row trains what it needs from the base model and asks problems that no training had. The models stay in FOLDER, so
that a run can be taken up again. BASE is a model of `corpus train`, RUN the texts that it was trained on; one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.gaming import LABELLERS, ordered, prompts_of, reward_model, runs
from benchmarks.machine import machine_line
from jobs.assistant.assistant import Assistant, Speaker
from jobs.assistant.conversation import ChatFormat
from jobs.assistant.finetune import Finetuning, Part, load_chats
from jobs.assistant.lessons import lesson_of
from jobs.assistant.reinforce import Effort, Reinforcement, task_of
from jobs.assistant.score import tested
from jobs.assistant.tools import tools_of
from jobs.model.curve import read_metrics
from jobs.model.generate import Continuer, Sampling
from jobs.model.train import Source, train
from jobs.model.train_settings import Settings, TrainWorker

EXAMPLES, EPOCHS, ASKED = 5000, 3, 200
GREEDY = Sampling(96, 0.0)


@dataclass(frozen=True)
class Given:
    """What a row works with."""

    base: Path
    run: Path
    folder: Path
    seed: int


Figures = dict[str, float]


def trained(folder: Path, source: Source) -> float:
    """Train, and return the CPU seconds."""
    started = time.process_time()
    train(folder, source, TrainWorker())
    return time.process_time() - started


def tuned(given: Given, name: str, parts: list[str], base: Path | None = None, examples: int = EXAMPLES) -> Path:
    """Fine-tune on lessons or files, and return the model's folder."""
    start = Continuer(base or given.base)
    shape = start.model.shape
    found = load_chats([Part.parse(part) for part in parts], ChatFormat(start.tokenizer), shape.window, examples,
                       given.seed, 0.02)  # fmt: skip
    settings = Settings(shape.depth, shape.window, 8, 0, 0.006, given.seed, "fp32", 1000, 1 << 14)
    folder = given.folder / f"{name}-{given.seed}"
    trained(folder, Finetuning(start, found[0], found[1], settings, EPOCHS))
    return folder


def score(folder: Path, lesson: str, sampling: Sampling = GREEDY, tools: bool = False) -> float:
    """The mean reward of an assistant on problems that no training has."""
    speaker = Assistant(folder, tools=tools_of(None) if tools else {}).speaker
    return statistics.fmean(reward for _, _, reward in tested(speaker, lesson_of(lesson), ASKED, sampling))


def sums(given: Given) -> Figures:
    names = ("sums", "sums-direct")
    return {name: score(tuned(given, name, [name]), name) for name in names}


def reinforced(given: Given, start: Path, name: str, steps: int = 60) -> tuple[Path, Figures]:
    """Reinforce on sums, and return the model's folder and the figures of its curve."""
    lesson = lesson_of("sums")
    folder = given.folder / f"{name}-{given.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    model = Continuer(start)
    shape = model.model.shape
    settings = Settings(shape.depth, shape.window, 16, steps, 0.001, given.seed, "fp32", steps, 0)
    task = task_of("sums", lesson.prompts, lesson.reward, lesson.shares)
    cpu = trained(folder, Reinforcement(model, task, settings, Effort(), folder, save_right=True))
    rows = read_metrics(folder)
    return folder, {"steps share": rows[-1]["steps"], "CPU s": cpu}


def rl(given: Given) -> Figures:
    start = tuned(given, "mixed", ["sums-mixed"])
    hot = Sampling(64, 1.0, None)
    folder, found = reinforced(given, start, "rl")
    return {"before": score(start, "sums", hot), "after": score(folder, "sums", hot), **found}


def reward(given: Given) -> Figures:
    base, prompts = Continuer(given.base), prompts_of(given.run)
    found = {}
    for name, labeller in LABELLERS.items():
        folder = given.folder / f"reward-{name.replace(' ', '-')}-{given.seed}"
        found[name] = reward_model(base, ordered(base, prompts, labeller, given.seed), given.seed, folder)["accuracy"]
    return found


def gaming(given: Given) -> Figures:
    found = runs(given.base, given.run, given.folder / f"gaming-{given.seed}", given.seed, steps=70)
    figures = {}
    for name in ("without KL", "with KL"):
        liked = [row["liked"] for row in found[name]]
        smooth = [statistics.fmean(liked[max(0, at - 4) : at + 1]) for at in range(len(liked))]
        figures[f"{name}: end / peak"] = smooth[-1] / max(smooth)
        figures[f"{name}: peak / start"] = max(smooth) / max(smooth[0], 0.1)
    return figures


def sampling(given: Given) -> Figures:
    """How many times faster 64 prompts are at once than one by one, in wall and CPU time."""
    base = Continuer(given.base)
    speaker = Speaker(base.model, ChatFormat(base.tokenizer), {}, trained=False)
    prompts = [prompt for _, prompt in zip(range(64), prompts_of(given.run)(0, False), strict=False)]
    settings = Sampling(64, 1.0, None)
    started = time.process_time()
    speaker.answers(prompts, settings)
    at_once = time.process_time() - started
    started = time.process_time()
    for number, prompt in enumerate(prompts):
        speaker.answers([prompt], settings, [number])
    return {"times faster": (time.process_time() - started) / at_once}


def tools(given: Given) -> Figures:
    found = {}
    for lesson in ("tools", "spelling"):
        for name, called in ((lesson, True), (f"{lesson}-direct", False)):
            found[name] = score(tuned(given, name, [name]), name, tools=called)
    return found


ROWS: dict[str, Callable[[Given], Figures]] = {
    "sums": sums,
    "rl": rl,
    "tools": tools,
    "reward": reward,
    "gaming": gaming,
    "sampling": sampling,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    wanted.out.mkdir(parents=True, exist_ok=True)
    given = Given(wanted.base, wanted.run, wanted.out, 0)
    saved = wanted.out / "figures.jsonl"
    done = {}
    for line in saved.read_text().splitlines() if saved.exists() else []:
        row = json.loads(line)
        done[row["row"], row["seed"]] = row["figures"]
    print(machine_line())
    for name in wanted.rows.split(","):
        for seed in range(wanted.seeds):
            if (name, seed) not in done:
                done[name, seed] = ROWS[name](replace(given, seed=seed))
                with saved.open("a") as file:
                    file.write(json.dumps({"row": name, "seed": seed, "figures": done[name, seed]}) + "\n")
        found = [done[name, seed] for seed in range(wanted.seeds)]
        for figure in found[0]:
            values = [one[figure] for one in found]
            print(
                f"{name:10} {figure:30} {statistics.fmean(values):7.3f}   seeds: {' '.join(f'{v:.3f}' for v in values)}"
            )


if __name__ == "__main__":
    main()
