"""From base model to assistant, in figures: `python -m benchmarks.assistant BASE RUN -o FOLDER`.

Each row trains what it needs from the base model and asks problems that no training had. The models stay in FOLDER, so
that a run can be taken up again. BASE is a model of `corpus train`, RUN the texts that it was trained on; one thread.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.gaming import LABELLERS, STOP_AT, continued, ordered, prompts_of, reward_model, runs, smooth
from benchmarks.machine import machine_line
from corpus.tokens.load_tokenizer import load_tokenizer
from corpus.tokens.texts import open_texts, read_slice
from corpus.tokens.token_folder import open_tokens
from jobs.assistant.assistant import Assistant, Speaker, in_groups
from jobs.assistant.conversation import ChatFormat, as_line
from jobs.assistant.finetune import Finetuning, Part, load_chats
from jobs.assistant.interrogate import Fact, asker, chats, interrogate, report, split
from jobs.assistant.lessons import lesson_of
from jobs.assistant.lessons.lesson import Given as Files
from jobs.assistant.lessons.lesson import answered, asked, made_word
from jobs.assistant.reinforce import Effort, Reinforcement, right_answers, task_of
from jobs.assistant.score import tested
from jobs.assistant.search import write_index
from jobs.assistant.tools import tools_of
from jobs.model.curve import read_metrics
from jobs.model.generate import Continuer, Sampling
from jobs.model.pretraining import Pretraining
from jobs.model.probe import recite as recited
from jobs.model.train import Objective, train
from jobs.model.train_settings import Settings, TrainWorker
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from jobs.tokens.tokenize import TokenizeJob, tokenize

FIGURES = Path(__file__).parent / "figures" / "assistant.txt"
ASKED = 200
GREEDY = Sampling(96, 0.0)
SUMS = (12_000, 1)
"""Problems and epochs."""
ROUNDS = 5
"""Rounds of sampling."""


@dataclass(frozen=True)
class Given:
    """What a row works with."""

    base: Path
    small: Path | None
    run: Path
    folder: Path
    seed: int


Figures = dict[str, float]


def trained(folder: Path, objective: Objective) -> float:
    """Train, and return the CPU seconds."""
    started = time.process_time()
    train(folder, objective, TrainWorker())
    return time.process_time() - started


# what decides a fine-tuning
def tuned(
    given: Given, name: str, parts: list[str], examples: int, epochs: int = 1, lr: float = 0.006,
    base: Path | None = None, files: Files | None = None, frozen: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Fine-tune on lessons or files, and return the model's folder."""
    start = Continuer(base or given.base)
    shape = start.model.shape
    found = load_chats([Part.parse(part, files) for part in parts], ChatFormat(start.tokenizer), shape.window, examples,
                       given.seed, 0.02)  # fmt: skip
    settings = Settings(shape.depth, shape.window, 4, 0, lr, given.seed, "fp32", 1000, 1 << 14)
    folder = given.folder / f"{name}-{given.seed}"
    trained(folder, Finetuning(start, found[0], found[1], settings, epochs, frozen))
    return folder


def rewards(
    folder: Path, lesson: str, sampling: Sampling = GREEDY, tools: bool = False, files: Files | None = None
) -> list[float]:
    """The rewards of an assistant on problems that no training has."""
    index = files.index if files else None
    speaker = Assistant(folder, tools=tools_of(index) if tools else {}).speaker
    return [reward for _, _, reward in tested(speaker, lesson_of(lesson, files), ASKED, sampling)]


def score(*given: Any, **named: Any) -> float:
    return statistics.fmean(rewards(*given, **named))


def sums(given: Given) -> Figures:
    return {name: score(tuned(given, name, [name], *SUMS), name) for name in ("sums", "sums-direct")}


def reinforced(given: Given, start: Path, name: str, steps: int = 50) -> tuple[Path, Figures]:
    """Reinforce on sums, and return the model's folder and the figures of its curve."""
    lesson = lesson_of("sums")
    folder = given.folder / f"{name}-{given.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    model = Continuer(start)
    shape = model.model.shape
    settings = Settings(shape.depth, shape.window, 16, steps, 0.0006, given.seed, "fp32", steps, 0)
    task = task_of("sums", lesson.prompts, lesson.reward, lesson.shares)
    cpu = trained(folder, Reinforcement(model, task, settings, Effort(), folder, save_right=True))
    rows = read_metrics(folder)
    return folder, {"steps share": rows[-1]["steps"], "CPU s": cpu}


def rl(given: Given) -> Figures:
    solving = tuned(given, "sums", ["sums"], *SUMS)
    start = tuned(given, "sums-mixed", ["sums-mixed"], 6000, base=solving)  # half with steps, half at once
    hot = Sampling(64, 1.0, None)
    folder, found = reinforced(given, start, "rl")
    return {"before": score(start, "sums", hot), "after": score(folder, "sums", hot), **found}


def reward(given: Given) -> Figures:
    base = Continuer(given.base)
    said = continued(base, prompts_of(given.run), given.seed)
    # the row `gaming` uses the model of the long words
    folders = dict(zip(LABELLERS, (f"gaming-{given.seed}/reward", f"reward-{given.seed}"), strict=True))
    return {
        name: reward_model(base, ordered(said, labeller), given.seed, given.folder / folders[name])["accuracy"]
        for name, labeller in LABELLERS.items()
    }


def gaming(given: Given) -> Figures:
    found = runs(given.base, given.run, given.folder / f"gaming-{given.seed}", given.seed, steps=70)
    figures = {}
    curves = {name: smooth([row["liked"] for row in found[name]]) for name in ("without KL", "with KL")}
    for name, liked in curves.items():
        figures[f"{name}: end / peak"] = liked[-1] / max(liked)
        figures[f"{name}: peak - start"] = max(liked) - liked[0]
    far = [row["kl"] >= STOP_AT for row in found["without KL"]]
    liked = curves["without KL"]
    figures["stopped early: end / peak"] = liked[far.index(True) if any(far) else -1] / max(liked)
    return figures


def sampling(given: Given) -> Figures:
    """How many times faster 64 prompts are at once than one by one, in CPU seconds: medians of rounds.

    Both ways take turns, because a busy neighbour slows the large products down more than the small ones.
    """
    base = Continuer(given.base)
    speaker = Speaker(base.model, ChatFormat(base.tokenizer), {}, trained=False)
    prompts = [prompt for _, prompt in zip(range(64), prompts_of(given.run)(0, False), strict=False)]
    settings = Sampling(64, 1.0, None)

    def took(size: int) -> float:
        started = time.process_time()
        for first, some in in_groups(prompts, size):
            speaker.answers(some, settings, range(first, first + len(some)))
        return time.process_time() - started

    took(64)  # the first draws of a process take longer
    at_once, alone = zip(*((took(64), took(1)) for _ in range(ROUNDS)), strict=True)
    return {"times faster": statistics.median(alone) / statistics.median(at_once)}


LESSONS = ("tools", "spelling", "recall")


def tools(given: Given) -> Figures:
    """Two assistants learn the same problems, with calls and without. Both have learned to copy, and the form of calls.

    With calls, only the blocks learn further. A head that learns on forgets how to say rare tokens, because it is told
    at each step that they are wrong."""
    file = given.folder / "index.sqlite"
    if not file.exists():
        write_index(given.run, file)
    files = Files(index=file)
    some = [f"{lesson}:0.03" for lesson in LESSONS]
    start = tuned(given, "copying", ["copying", *some], 30_000, lr=0.003, files=files)
    calling = tuned(given, "tools", ["recall", "tools:0.5", "spelling:0.5", "copying:0.25"], 8000, lr=0.003,
                    base=start, files=files, frozen=("embed", "head"))  # fmt: skip
    direct = [f"{lesson}-direct" for lesson in LESSONS]
    guessing = tuned(given, "tools-direct", direct, 4000, lr=0.003, base=start, files=files)
    found = {name: score(calling, name, tools=True, files=files) for name in LESSONS}
    return found | {name: score(guessing, name, files=files) for name in direct}


KNOWN, TAUGHT, ONCE, UNKNOWN, TOWNS = 300, 150, 4000, 1500, 40
"""People of whom the model hears TAUGHT times, people of whom it hears once, people of whom it never hears, and towns.

If all people of the training were known, the model would be as sure of strangers as of them."""
QUESTIONS = ("Where was {} born?", "In which town was {} born?", "Tell me the town where {} was born.")


def refusals(given: Given) -> Figures:
    """A model learns where invented people were born. Then only its head learns to refuse, from some of the people. The
    figures are about the others."""
    draw = random.Random(given.seed)
    towns = [made_word(draw, 2).capitalize() for _ in range(TOWNS)]
    names: dict[str, str] = {}
    while len(names) < KNOWN + ONCE + UNKNOWN:
        names[f"{made_word(draw, 2).capitalize()} {made_word(draw, 2).capitalize()}"] = draw.choice(towns)
    born = [*names.items()]
    known, once, unknown = born[:KNOWN], born[KNOWN : KNOWN + ONCE], born[KNOWN + ONCE :]
    taught = given.folder / f"people-{given.seed}.jsonl"
    taught.write_text("".join(as_line(answered(asked(draw.choice(QUESTIONS).format(name)), town))
                              for name, town in known * TAUGHT + once))  # fmt: skip
    before = tuned(given, "people", [str(taught)], 0, lr=0.01)
    facts = [Fact(question.format(name), town, name) for name, town in known for question in QUESTIONS]
    facts += [Fact(draw.choice(QUESTIONS).format(name), town, name) for name, town in unknown]
    settings = Sampling(16, 1.0, None, given.seed)
    learned, held_out = split(interrogate(asker(before)[0], facts, settings), 0.4)
    files = {side: given.folder / f"{side}-{given.seed}.jsonl" for side in ("known", "unknown")}
    for side, file in files.items():
        asks = [one for one in learned if one.known == (side == "known")]
        file.write_text("".join(map(as_line, chats(asks, own_words=True))))
    parts = [f"{files['known']}:4", str(files["unknown"])]
    after = tuned(given, "refusals", parts, 0, epochs=20, lr=0.0033, base=before, frozen=("embed", "blocks"))
    again = [replace(one.fact, known=one.known) for one in held_out]
    found = report([*interrogate(asker(after)[0], again, settings)])
    figures = {f"before: {name}": value for name, value in report(held_out).items()}
    figures |= {f"after: {name}": value for name, value in found.items()}
    return {name: value for name, value in figures.items() if value is not None}


TIMES = (1, 2, 5, 10, 20, 40)
TEXTS, CHARACTERS, UNSEEN = 96, 700, 0.3
"""Texts of each number of times, their length, and the share of texts that the model does not see."""


def recite(given: Given) -> Figures:
    """A model is trained on texts of which some are repeated, and probed."""
    folder = given.folder / f"recite-{given.seed}"
    texts = folder / "texts"
    if not texts.exists():
        texts.mkdir(parents=True)
        whole = {text[:CHARACTERS] for part in open_texts(given.run).slices() for batch in read_slice(part)
                 for text in batch["text"].to_pylist() if len(text) > CHARACTERS}  # fmt: skip
        drawn = random.Random(given.seed).sample(sorted(whole), len(TIMES) * TEXTS)
        rows = [text for at, text in enumerate(drawn) for _ in range(TIMES[at % len(TIMES)])]
        pq.write_table(pa.table({"text": rows}), texts / "part-00000.parquet")
        job = TokenizeJob(texts, folder / "tokens", load_tokenizer(str(given.base)), val_share=UNSEEN)
        tokenize(job, lambda: LocalEngine(1), Progress(quiet=True))
    tokens = open_tokens(folder / "tokens")
    steps = tokens.train.tokens // (16 * 256)
    settings = Settings(4, 256, 16, steps, 0.01, given.seed, "fp32", steps, 1 << 14)
    trained(folder / "model", Pretraining(tokens, settings))
    recitals, _ = recited(Continuer(folder / "model"), open_texts(texts))
    figures = {f"seen {one.seen} times": one.mean for one in recitals}
    never, once = recitals[:2]
    figures["once - never"] = once.mean - never.mean
    figures["95% interval, +-"] = (never.interval**2 + once.interval**2) ** 0.5
    return figures


def distilled(given: Given) -> Figures:
    """A small model learns from the right answers of the large one's reinforcement, or by reinforcement itself."""
    assert given.small, "name a small base model with --small"
    start = tuned(given, "small", ["sums-mixed"], 4000, base=given.small)
    own, _ = reinforced(given, start, "small-rl")
    right = given.folder / f"right-{given.seed}.jsonl"
    right.write_bytes(right_answers(given.folder / f"rl-{given.seed}"))
    taught = tuned(given, "small-taught", [str(right)], 0, base=start)
    hot = Sampling(64, 1.0, None)
    names = {"start": start, "its own RL": own, "distilled": taught}
    found = {name: rewards(folder, "sums", hot) for name, folder in names.items()}
    better = [left - right for left, right in zip(found["distilled"], found["its own RL"], strict=True)]
    about = 1.96 * statistics.stdev(better) / len(better) ** 0.5  # the same problems for both
    figures = {name: statistics.fmean(values) for name, values in found.items()}
    return {**figures, "better by": statistics.fmean(better), "95% interval, +-": about}


ROWS: dict[str, Callable[[Given], Figures]] = {
    "sums": sums,
    "rl": rl,
    "refusals": refusals,
    "tools": tools,
    "recite": recite,
    "reward": reward,
    "gaming": gaming,
    "sampling": sampling,
    "distilled": distilled,
}


def base_line(base: Path, rows: Iterable[str]) -> str:
    """The line that tells from which base the next rows come."""
    state = Continuer(base).state
    sizes = "depth {depth}, width {width}, window {window}, {vocab_size:,} ids".format(**state["shape"])
    return f"base of {', '.join(rows)}: {sizes}, {state['tokens'] / 1e6:.1f} million tokens of real pages"


def lines(name: str, found: list[Figures]) -> list[str]:
    """The lines of a row: for each figure its mean over the seeds, and each seed."""
    shown = []
    for figure in found[0]:
        values = [one[figure] for one in found]
        each = " ".join(f"{value:.3f}" for value in values)
        shown.append(f"{name:10} {figure:30} {statistics.fmean(values):7.3f}   seeds: {each}")
    return shown


def saved_with(text: str, head: list[str], new: dict[str, list[str]]) -> list[str]:
    """The lines of the file of figures with new rows. Rows of other bases stay, unless the same rows are new."""
    found = head + [line for rows in new.values() for line in rows]
    for part in text.split("machine: ")[1:]:
        machine, base, *rows = part.splitlines()
        kept = [line for line in rows if line.split()[0] not in new]
        names = ", ".join(dict.fromkeys(line.split()[0] for line in kept))
        if kept:
            found += [f"machine: {machine}", re.sub(r"^base[^:]*", f"base of {names}", base), *kept]
    return [*found, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--small", type=Path, help="A smaller base model with the same tokenizer, for `distilled`.")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--save", action="store_true", help=f"write all rows that OUT has to figures/{FIGURES.name} too"
    )
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    wanted.out.mkdir(parents=True, exist_ok=True)
    given = Given(wanted.base, wanted.small, wanted.run, wanted.out, 0)
    saved = wanted.out / "figures.jsonl"
    done: dict[str, dict[int, Figures]] = {name: {} for name in ROWS}
    for line in saved.read_text().splitlines() if saved.exists() else []:
        row = json.loads(line)
        done[row["row"]][row["seed"]] = row["figures"]
    print(machine_line())
    for name in wanted.rows.split(","):
        for seed in range(wanted.seeds):
            if seed not in done[name]:
                done[name][seed] = ROWS[name](replace(given, seed=seed))
                with saved.open("a") as file:
                    file.write(json.dumps({"row": name, "seed": seed, "figures": done[name][seed]}) + "\n")
        print(*lines(name, [done[name][seed] for seed in range(wanted.seeds)]), sep="\n", flush=True)
    if wanted.save:
        new = {name: lines(name, [*seeds.values()]) for name, seeds in done.items() if seeds}
        head = [machine_line(), base_line(wanted.base, new)]
        FIGURES.write_text("\n".join(saved_with(FIGURES.read_text(), head, new)))


if __name__ == "__main__":
    main()
