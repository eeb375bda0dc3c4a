"""`reinforce` and `reward`: learning from rewards, and from what people prefer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corpus.cpus import usable_cpus
from corpus.errors import ConfigError, InputError, did_you_mean
from corpus.plugins import Plugin, load_plugin, read_plugin
from jobs.runner.terminal import say, show_json
from jobs.verbs.models import device_option, load_torch, threads_option, train_here
from jobs.verbs.options import SEED, Finite, folder_type, json_option, name_type

if TYPE_CHECKING:
    from jobs.assistant.conversation import Conversation, Message
    from jobs.assistant.reinforce import Task

_file_type = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("reinforce")
@click.argument("model", type=folder_type)
@click.option("-o", "--out", required=True, type=folder_type, help="Folder to write the model to.")
@click.option("--task", required=True, metavar="NAME", help="Name of a lesson, or of an allowed module.")
@click.option("--allow-module", "modules", type=name_type, multiple=True, metavar="FILE",
              help="Python module of your own task. It has the functions `prompts(seed)` and "
              "`reward(prompt, answer)`. Repeatable.")  # fmt: skip
@click.option(
    "--reward", "reward_folder", type=folder_type, help="Reward model that judges the answers instead of the task."
)
@click.option("--steps", type=click.IntRange(min=1), default=90, show_default=True, help="Updates.")
@click.option(
    "--problems", type=click.IntRange(min=1), default=16, show_default=True, help="Number of problems per step."
)
@click.option(
    "--samples", type=click.IntRange(min=2), default=8, show_default=True, help="Number of answers to each problem."
)
@click.option("--max-tokens", type=click.IntRange(min=1), default=64, show_default=True, help="Most tokens per answer.")
@click.option("--temperature", type=Finite(min=0, min_open=True), default=1.0, show_default=True,
              help="Temperature of the answers.")  # fmt: skip
@click.option("--kl", type=Finite(min=0), default=0.0, show_default=True,
              help="Penalty for each nat by which an answer becomes likelier than at the start.")  # fmt: skip
@click.option(
    "--stop-at",
    type=Finite(min=0, min_open=True),
    help="End when the model is this far from its start, in nats per answer.",
)
@click.option("--lr", type=Finite(min=0, min_open=True), default=0.0006, show_default=True, help="Peak learning rate.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed for problems and answers.")
@click.option("--eval-every", type=click.IntRange(min=1), default=20, show_default=True,
              help="Steps between validations.")  # fmt: skip
@click.option("--tested", type=click.IntRange(min=1), default=64, show_default=True,
              help="Number of held-out problems in a validation.")  # fmt: skip
@click.option("--save-right", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write all right answers as conversations, for fine-tuning another model.")  # fmt: skip
@device_option
@threads_option
@json_option
# click passes each option as a parameter of its own
def reinforce_command(
    model: Path, out: Path, task: str, modules: tuple[str, ...], reward_folder: Path | None, steps: int, problems: int,
    samples: int, max_tokens: int, temperature: float, kl: float, stop_at: float | None, lr: float, seed: int,
    eval_every: int, tested: int, save_right: Path | None, device: str, threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Let a model learn from the rewards of its own answers.

    The same command continues a stopped run.

    \b
    Example: corpus reinforce assistant -o better --task sums
    Example: corpus reinforce assistant -o liked --task prompts --allow-module prompts.py --reward likes --kl 0.1
    """
    device = load_torch(device)
    from corpus.storage.replacing import write_whole
    from jobs.assistant.reinforce import Effort, Reinforcement, right_answers
    from jobs.assistant.tools import tools_of
    from jobs.model.generate import Continuer
    from jobs.model.train_settings import Settings, TrainWorker

    start = Continuer(model, device)
    shape = start.model.shape
    settings = Settings(shape.depth, shape.window, problems, steps, lr, seed, "fp32", eval_every, 0)
    effort = Effort(samples, max_tokens, temperature, kl, stop_at, tested)
    found = _task(task, modules, reward_folder, device)
    objective = Reinforcement(start, found, settings, effort, out, tools_of(None), say, save_right is not None)
    result = train_here(model, out, objective, TrainWorker(device, threads=threads or usable_cpus()))
    if save_right:
        write_whole(save_right, right_answers(out))
    shown = {key: value for key, value in result.items() if isinstance(value, int | float)}
    if as_json:
        show_json(shown)
    say(f"{out}: reward {result['reward']:.3f}, held out {result['val_reward']:.3f}, "
        f"pass@1 {result['pass@1']:.3f}, pass@{samples} {result[f'pass@{samples}']:.3f}")  # fmt: skip
    say(f"Curves: {out}/loss.svg   Answers: {out}/samples/")


def _task(name: str, modules: Sequence[str], reward_folder: Path | None, device: str) -> Task:
    """Return the task of a lesson or of an allowed module. Raises ConfigError if there is none."""
    from corpus.digests import digest
    from jobs.assistant.lessons import LESSONS, lesson_of
    from jobs.assistant.reinforce import Task, task_of
    from jobs.assistant.reward import Judge

    own = {plugin.name: plugin for plugin in map(read_plugin, modules)}
    if taken := own.keys() & LESSONS.keys():
        raise ConfigError(f"A module has the name of a lesson: {min(taken)}.", "Rename its file.")
    if name in own:
        task = _own_task(own[name])
    elif name in LESSONS:
        lesson = lesson_of(name)
        task = task_of(name, lesson.prompts, lesson.reward, lesson.shares)
    else:
        todo = "Your own task needs --allow-module FILE, and has the name of the file without .py."
        raise ConfigError(f"There is no task {name}.", f"{did_you_mean(name, [*LESSONS, *own])} {todo}".lstrip())
    if reward_folder is None:
        return task
    judge = Judge(reward_folder, device)
    return Task(f"{task.name} {digest(judge.found.state['files'])}", task.prompts, judge, task.shares)


def _own_task(plugin: Plugin) -> Task:
    """Return the task of a user's module. The hash of a prompt decides whether the prompt is held out."""
    from jobs.assistant.lessons.lesson import asked, is_held_out
    from jobs.assistant.reinforce import task_of

    module = load_plugin(plugin)
    for function in ("prompts(seed)", "reward(prompt, answer)"):
        if not hasattr(module, function.partition("(")[0]):
            raise ConfigError(f"The module {plugin.name} has no function {function}.", "See docs/assistant.md.")

    def prompts(seed: int, held_out: bool) -> Iterator[Conversation]:
        return (asked(text) for text in module.prompts(seed) if is_held_out(text) == held_out)

    def reward(prompt: Conversation, turns: Sequence[Message]) -> float:
        return float(module.reward(prompt[-1].content, turns[-1].content))

    return task_of(plugin.digest, prompts, reward)


@click.command("reward")
@click.argument("model", type=folder_type)
@click.argument("pairs_file", metavar="PAIRS", type=_file_type)
@click.option("-o", "--out", required=True, type=folder_type, help="Folder to write the reward model to.")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Number of times that training reads all pairs.",
)
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Pairs per step.")
@click.option("--lr", type=Finite(min=0, min_open=True), default=0.002, show_default=True, help="Peak learning rate.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed for the order of pairs.")
@click.option("--val-share", type=Finite(0, 0.5), default=0.1, show_default=True, help="Share of prompts held out.")
@device_option
@threads_option
@json_option
# click passes each option as a parameter of its own
def reward_command(
    model: Path, pairs_file: Path, out: Path, epochs: int, batch: int, lr: float, seed: int, val_share: float,
    device: str, threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Train a reward model on pairs of answers.

    The same command continues a stopped run.

    PAIRS is a JSONL file. Each line has `prompt` with `chosen` and `rejected`, or `prompt` with `ranked`, a list of
    answers from best to worst. `corpus serve` writes such a file.

    \b
    Example: corpus reward assistant votes.jsonl -o likes
    """
    device = load_torch(device)
    from jobs.assistant.conversation import Faults
    from jobs.assistant.lessons.lesson import is_held_out
    from jobs.assistant.reward import Preferences, read_pairs
    from jobs.model.generate import Continuer
    from jobs.model.train_settings import Settings, TrainWorker

    base = Continuer(model, device)
    faults = Faults(str(pairs_file))
    pairs = read_pairs(pairs_file, faults)
    if faults.lines:
        say(f"Left out: {faults}")
    held = [is_held_out(repr(pair.prompt), val_share) for pair in pairs]
    train, val = ([pair for pair, out in zip(pairs, held, strict=True) if out == side] for side in (False, True))
    if not train:
        raise InputError(f"All {len(pairs)} pairs of {pairs_file} are held out.", "Give more pairs, or --val-share 0.")
    shape = base.model.shape
    steps = max(1, epochs * len(train) // batch)
    settings = Settings(shape.depth, shape.window, batch, steps, lr, seed, "fp32", steps, 0)
    worker = TrainWorker(device, threads=threads or usable_cpus())
    result = train_here(model, out, Preferences(base, train, val, settings), worker)
    if as_json:
        show_json({key: result.get(key) for key in ("step", "loss", "val_loss", "accuracy", "calibration")})
    if "accuracy" not in result:
        say(f"{out}: loss {result['loss']:.3f}, no pairs held out")
        return
    say(f"{out}: {result['accuracy']:.1%} of {len(val):,} held-out pairs right")
    for sure, right in result["calibration"]:
        say(f"  where it is {sure:.0%} sure, {right:.0%} are right")
