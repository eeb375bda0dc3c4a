"""`finetune`, `chat` and `lessons`: from a base model to an assistant."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.cpus import usable_cpus
from jobs.runner.terminal import say, show, show_json
from jobs.verbs.models import device_option, load_torch, train_here
from jobs.verbs.options import SEED, Finite, folder_type, json_option

if TYPE_CHECKING:
    from jobs.assistant.assistant import Assistant
    from jobs.assistant.conversation import Message

examples_option = click.option(
    "--examples", type=click.IntRange(min=1), default=5000, show_default=True, help="Conversations of each lesson."
)


def sampling_options(command: Any) -> Any:
    """The options for how tokens are drawn."""
    for option in (
        click.option("--max-tokens", type=click.IntRange(min=1), default=200, show_default=True, help="Most tokens."),
        click.option("--temperature", type=Finite(min=0), default=0.7, show_default=True, help="0: the likeliest."),
        click.option("--top-k", type=click.IntRange(min=0), default=50, show_default=True,
                     help="Number of likeliest tokens to draw from. With 0, draw from all tokens."),
        click.option("--seed", type=SEED, default=0, show_default=True, help="Seed for the draws."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command("finetune")
@click.argument("model", type=folder_type)
@click.argument("chats", nargs=-1, required=True, metavar="CHATS…")
@click.option("-o", "--out", required=True, type=folder_type, help="Folder to write the assistant to.")
@click.option("--epochs", type=click.IntRange(min=1), default=3, show_default=True, help="Times to see all chats.")
@examples_option
@click.option("--batch", type=click.IntRange(min=1), default=16, show_default=True, help="Windows per step.")
@click.option("--lr", type=Finite(min=0, min_open=True), default=0.004, show_default=True,
              help="Peak learning rate. In pretraining it is 0.01.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed for lessons and the order of chats.")
@click.option("--val-share", type=Finite(0, 0.5), default=0.02, show_default=True, help="Share of chats held out.")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True,
              help="Type of activations. With auto, bf16 on CUDA and fp32 on a CPU.")  # fmt: skip
@click.option("--eval-every", type=click.IntRange(min=1), default=100, show_default=True,
              help="Steps between validations.")  # fmt: skip
@device_option
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads. Default: the usable CPUs.")
@click.option("--micro-batch", type=click.IntRange(min=1), help="Windows per forward pass.")
@json_option
# click passes each option as a parameter of its own
def finetune_command(
    model: Path, chats: tuple[str, ...], out: Path, epochs: int, examples: int, batch: int, lr: float, seed: int,
    val_share: float, precision: str, eval_every: int, device: str, threads: int | None, micro_batch: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Train a model on conversations. The same command continues a stopped run.

    CHATS are JSONL files (OpenAI's `messages` with tool calls, or ShareGPT's `conversations`) and lessons by name (see
    `corpus lessons`). NAME:WEIGHT says how often its conversations appear in each epoch: 0.3 draws three of ten.

    \b
    Example: corpus finetune model chats.jsonl sums:0.5 -o assistant
    """
    device = load_torch(device)
    from jobs.assistant.conversation import ChatFormat
    from jobs.assistant.finetune import Finetuning, Part, load_chats
    from jobs.model.generate import Continuer
    from jobs.model.train_settings import Settings, TrainWorker

    parts = [Part.parse(given) for given in chats]
    base = Continuer(model)
    shape = base.model.shape
    train, val, faults = load_chats(parts, ChatFormat(base.tokenizer), shape.window, examples, seed, val_share)
    for one in faults:
        say(f"Left out: {one}")
    if precision == "auto":
        precision = "bf16" if device == "cuda" else "fp32"
    settings = Settings(shape.depth, shape.window, batch, 0, lr, seed, precision, eval_every, 1 << 14)
    source = Finetuning(base, train, val, settings, epochs)
    say(f"{len(train):,} conversations, {len(val):,} more held out. {source.settings.steps:,} steps.")
    result = train_here(model, out, source, TrainWorker(device, micro_batch, threads=threads or usable_cpus()))
    if as_json:
        show_json({key: result.get(key) for key in ("step", "parameters", "loss", "val_loss", "seconds")})
    score = f", {result['val_loss']:.3f} on conversations held out" if "val_loss" in result else ""
    say(f"{out}: loss {result['loss']:.3f}{score}")
    say(f'Loss curve: {out}/loss.svg   Try it: corpus chat {out} "Hello"')


@click.command("chat")
@click.argument("model", type=folder_type)
@click.argument("message", required=False)
@click.option("--system", default="", help="System message: how the assistant is to answer.")
@click.option("--no-tools", is_flag=True, help="Keep the assistant from calling tools.")
@click.option("--index", type=folder_type, help="Run whose texts the assistant may search.")
@sampling_options
@device_option
# click passes each option as a parameter of its own
def chat_command(
    model: Path, message: str | None, system: str, no_tools: bool, index: Path | None, max_tokens: int,
    temperature: float, top_k: int, seed: int, device: str,
) -> None:  # fmt: skip
    """Talk with an assistant. Without MESSAGE, each line that you write is one; an empty line ends the conversation.

    \b
    Example: corpus chat assistant "How many r are in strawberry?"
    """
    device = load_torch(device)
    from jobs.assistant.assistant import Assistant
    from jobs.assistant.conversation import Message
    from jobs.assistant.tools import tools_of
    from jobs.model.generate import Sampling

    assistant = Assistant(model, device, {} if no_tools else tools_of(index))
    sampling = Sampling(max_tokens, temperature, top_k, seed)
    messages = [Message("system", system)] if system else []
    if message is not None:
        _answer(assistant, [*messages, Message("user", message)], sampling)
        return
    say("Write a message. An empty line ends the conversation.")
    while line := _line():
        messages.append(Message("user", line))
        messages += _answer(assistant, messages, sampling)


def _line() -> str:
    if sys.stdin.isatty():
        show("> ", end="")
    return sys.stdin.readline().strip()


def _answer(assistant: Assistant, messages: list[Message], sampling: Any) -> list[Message]:
    """Print an answer as it comes, and return its turns."""
    from jobs.assistant.conversation import Message
    from jobs.model.generate import TextStream

    chat = assistant.speaker.chat
    stream = TextStream(chat.tokenizer.tokens)
    turns: list[Message] = []
    for _, one in assistant.speaker.speak([tuple(messages)], sampling):
        if not isinstance(one, Message):
            shown = {chat.call: "\n[", chat.sep: ": "}.get(one.id)
            show(stream.add(one.id) if shown is None else shown, end="")
            continue
        turns.append(one)
        if one.role == "tool":
            show(f"] = {one.content}")
    show(stream.end())
    return turns


@click.command("lessons")
@click.argument("name", required=False)
@click.option("-n", "count", type=click.IntRange(min=1), default=3, show_default=True,
              help="Conversations to print, or problems to ask.")  # fmt: skip
@click.option("--ask", type=folder_type, metavar="MODEL", help="Ask this assistant problems that no training has.")
@sampling_options
@device_option
@json_option
# click passes each option as a parameter of its own
def lessons_command(
    name: str | None, count: int, ask: Path | None, max_tokens: int, temperature: float, top_k: int, seed: int,
    device: str, as_json: bool,
) -> None:  # fmt: skip
    """List the lessons, print conversations of one as JSONL, or test an assistant on it.

    \b
    Example: corpus lessons sums -n 5
    Example: corpus lessons sums --ask assistant -n 200 --temperature 0
    """
    from corpus.errors import ConfigError, did_you_mean
    from jobs.assistant.conversation import as_data
    from jobs.assistant.lessons import LESSONS

    if name is None:
        for known, lesson in LESSONS.items():
            show(f"{known:14} {lesson.about}")
        return
    if name not in LESSONS:
        raise ConfigError(f"There is no lesson {name}.", did_you_mean(name, LESSONS))
    if ask is None:
        for messages in islice(LESSONS[name].conversations(seed), count):
            show_json(as_data(messages))
        return
    device = load_torch(device)
    from jobs.assistant.assistant import Assistant
    from jobs.assistant.score import tested
    from jobs.assistant.tools import tools_of
    from jobs.model.generate import Sampling

    speaker = Assistant(ask, device, tools_of(None)).speaker
    rewards = []
    for problem, turns, reward in tested(speaker, LESSONS[name], count, Sampling(max_tokens, temperature, top_k, seed)):
        rewards.append(reward)
        if as_json:
            show_json(as_data([*problem, *turns], reward=reward))
    say(f"{sum(rewards) / len(rewards):.3f} of {len(rewards):,} held-out problems of {name} answered right.")
