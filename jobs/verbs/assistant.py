"""`finetune`, `chat`, `lessons`, `index` and `interrogate`: from a base model to an assistant."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.cpus import usable_cpus
from corpus.storage.store import Location
from jobs.model.train_settings import PARTS
from jobs.runner.terminal import say, show, show_json
from jobs.verbs.models import device_option, load_torch, threads_option, train_here
from jobs.verbs.options import SEED, Finite, folder_type, json_option, location_type

if TYPE_CHECKING:
    from jobs.assistant.assistant import Assistant
    from jobs.assistant.conversation import Message

examples_option = click.option(
    "--examples",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Number of conversations of each lesson.",
)
index_option = click.option(
    "--index", type=folder_type, metavar="FILE",
    help="Index for the tool `search` and the lesson `recall`, made by `corpus index`.",
)  # fmt: skip
identity_option = click.option(
    "--identity", type=folder_type, metavar="FILE",
    help='For `self`: JSON such as {"name": "Ada", "maker": "Lovelace Ltd", "date": "May 2026"}. Default: the name is '
    "Corpus.",
)  # fmt: skip


def sampling_options(command: Any) -> Any:
    """Add the options for how tokens are drawn."""
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
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Number of times that training reads all chats.",
)
@examples_option
@index_option
@identity_option
@click.option("--batch", type=click.IntRange(min=1), default=4, show_default=True, help="Windows per step.")
@click.option("--lr", type=Finite(min=0, min_open=True), default=0.006, show_default=True,
              help="Peak learning rate. In pretraining it is 0.01.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed for lessons and the order of chats.")
@click.option("--freeze", "frozen", type=click.Choice(PARTS), multiple=True,
              help="Part of the model that keeps its weights. Give it twice to train only the third part.")  # fmt: skip
@click.option("--val-share", type=Finite(0, 0.5), default=0.02, show_default=True, help="Share of chats held out.")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True,
              help="Type of activations. With auto, bf16 on CUDA and fp32 on a CPU.")  # fmt: skip
@click.option("--eval-every", type=click.IntRange(min=1), default=100, show_default=True,
              help="Steps between validations.")  # fmt: skip
@device_option
@threads_option
@click.option("--micro-batch", type=click.IntRange(min=1), help="Windows per forward pass.")
@json_option
# click passes each option as a parameter of its own
def finetune_command(
    model: Path, chats: tuple[str, ...], out: Path, epochs: int, examples: int, batch: int, lr: float, seed: int,
    frozen: tuple[str, ...], val_share: float, precision: str, eval_every: int, device: str, threads: int | None,
    micro_batch: int | None, index: Path | None, identity: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Train a model on conversations.

    The same command continues a stopped run.

    CHATS are JSONL files (OpenAI's `messages` with tool calls, or ShareGPT's `conversations`) and lessons by name (see
    `corpus lessons`). NAME:WEIGHT says how often its conversations appear in each epoch: 0.3 draws three of ten.

    \b
    Example: corpus finetune model chats.jsonl sums:0.5 -o assistant
    """
    device = load_torch(device)
    from jobs.assistant.conversation import ChatFormat
    from jobs.assistant.finetune import Finetuning, Part, load_chats
    from jobs.assistant.lessons.lesson import Given
    from jobs.model.generate import Continuer
    from jobs.model.train_settings import Settings, TrainWorker

    parts = [Part.parse(given, Given(identity, index)) for given in chats]
    base = Continuer(model)
    shape = base.model.shape
    train, val, faults = load_chats(parts, ChatFormat(base.tokenizer), shape.window, examples, seed, val_share)
    for one in faults:
        say(f"Left out: {one}")
    if precision == "auto":
        precision = "bf16" if device == "cuda" else "fp32"
    settings = Settings(shape.depth, shape.window, batch, 0, lr, seed, precision, eval_every, 1 << 14)
    objective = Finetuning(base, train, val, settings, epochs, frozen)
    say(f"{len(train):,} conversations, {len(val):,} more held out. {objective.settings.steps:,} steps.")
    result = train_here(model, out, objective, TrainWorker(device, micro_batch, threads=threads or usable_cpus()))
    if as_json:
        show_json({key: result.get(key) for key in ("step", "parameters", "loss", "val_loss", "seconds")})
    score = f", {result['val_loss']:.3f} on conversations held out" if "val_loss" in result else ""
    say(f"{out}: loss {result['loss']:.3f}{score}")
    say(f'Loss curve: {out}/loss.svg   Try it: corpus chat {out} "Hello"')


@click.command("chat")
@click.argument("model", type=folder_type)
@click.argument("message", required=False)
@click.option("--system", default="", help="System message, which says how the assistant should answer.")
@click.option("--no-tools", is_flag=True, help="Keep the assistant from calling tools.")
@index_option
@sampling_options
@device_option
@threads_option
# click passes each option as a parameter of its own
def chat_command(
    model: Path, message: str | None, system: str, no_tools: bool, index: Path | None, max_tokens: int,
    temperature: float, top_k: int, seed: int, device: str, threads: int | None,
) -> None:  # fmt: skip
    """Talk with an assistant.

    Without MESSAGE, each line that you type is a message. An empty line ends the conversation.

    \b
    Example: corpus chat assistant "How many r are in strawberry?"
    """
    device = load_torch(device, threads)
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
    say("Type a message. An empty line ends the conversation.")
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
              help="Number of conversations to print, or of problems to ask.")  # fmt: skip
@click.option("--ask", type=folder_type, metavar="MODEL", help="Ask this assistant problems that no training contains.")
@index_option
@identity_option
@sampling_options
@device_option
@threads_option
@json_option
# click passes each option as a parameter of its own
def lessons_command(
    name: str | None, count: int, ask: Path | None, index: Path | None, identity: Path | None, max_tokens: int,
    temperature: float, top_k: int, seed: int, device: str, threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """List lessons, print conversations, or test an assistant.

    Without NAME, all lessons are listed. With NAME, conversations of this lesson are printed as JSONL. With --ask, an
    assistant is tested on the lesson.

    \b
    Example: corpus lessons sums -n 5
    Example: corpus lessons sums --ask assistant -n 200 --temperature 0
    """
    from jobs.assistant.conversation import as_data
    from jobs.assistant.lessons import LESSONS, lesson_of
    from jobs.assistant.lessons.lesson import Given

    if name is None:
        for known, one in LESSONS.items():
            show(f"{known:16} {one.about}")
        return
    lesson = lesson_of(name, Given(identity, index))
    if ask is None:
        for messages in islice(lesson.conversations(seed), count):
            show_json(as_data(messages))
        return
    device = load_torch(device, threads)
    from jobs.assistant.assistant import Assistant
    from jobs.assistant.score import tested
    from jobs.assistant.tools import tools_of
    from jobs.model.generate import Sampling

    speaker = Assistant(ask, device, tools_of(index)).speaker
    rewards = []
    for problem, turns, reward in tested(speaker, lesson, count, Sampling(max_tokens, temperature, top_k, seed)):
        rewards.append(reward)
        if as_json:
            show_json(as_data([*problem, *turns], reward=reward))
    say(f"{sum(rewards) / len(rewards):.3f} of {len(rewards):,} held-out problems of {name} answered right.")


@click.command("index")
@click.argument("run", type=location_type)
@click.option("-o", "--out", type=folder_type, default=Path("index.sqlite"), show_default=True, help="File to write.")
@click.option(
    "--most-bytes", type=click.IntRange(min=1), metavar="N", help="Index only the first texts, up to about N bytes."
)
@json_option
def index_command(run: Location, out: Path, most_bytes: int | None, as_json: bool) -> None:
    """Index the passages of a finished run, for searches.

    The tool `search` of an assistant uses the index, and so does the page of `corpus serve RUN`.

    \b
    Example: corpus index out -o index.sqlite
    """
    from corpus.tokens.texts import open_texts
    from jobs.assistant.search import write_index
    from jobs.runner.progress import Progress

    progress = Progress()
    progress.start("index", len(open_texts(run).slices()), brief=True)
    count = write_index(run, out, most_bytes, progress.unit_done)
    progress.end()
    if as_json:
        show_json({"passages": count})
    say(f"{out}: {count:,} passages.")
    say(f"Next: `corpus chat MODEL --index {out}` lets an assistant search them.")


@click.command("interrogate")
@click.argument("model", type=folder_type)
@click.option("--facts", required=True, type=location_type, metavar="FILE|RUN",
              help='JSONL file of {"question": …, "answer": …}, or a run. The passages of a run become '
              "questions.")  # fmt: skip
@click.option("-o", "--out", required=True, type=folder_type, help="JSONL file of conversations to write.")
@click.option(
    "--count", type=click.IntRange(min=1), default=200, show_default=True, help="Number of questions from a run."
)
@click.option("--times", type=click.IntRange(1, 100), default=5, show_default=True,
              help="Number of answers that decide whether a fact is known. Equally many further answers "
              "give the figures.")  # fmt: skip
@click.option("--judge", type=click.Choice(["contained", "exact"]), default="contained", show_default=True,
              help="How a right answer must contain the words of the fact.")  # fmt: skip
@click.option("--val-share", type=Finite(0, 0.9), default=0.2, show_default=True,
              help="Share of the facts that are held out of the conversations.")  # fmt: skip
@click.option("--max-tokens", type=click.IntRange(min=1), default=32, show_default=True, help="Most tokens.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed for the draws.")
@device_option
@threads_option
@json_option
# click passes each option as a parameter of its own
def interrogate_command(
    model: Path, facts: Location, out: Path, count: int, times: int, judge: str, val_share: float, max_tokens: int,
    seed: int, device: str, threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Find out what a model knows, and write what it should say.

    The conversations in OUT have right answers to facts that the model knows. For all other facts, the conversations
    say that the assistant doesn't know.

    The printed figures describe the model before any training. OUT.facts.jsonl has the facts, with a note on what is
    known. After `corpus finetune`, give this file as --facts to see what has changed.

    \b
    Example: corpus interrogate assistant --facts facts.jsonl -o chats.jsonl
    """
    device = load_torch(device, threads)
    from corpus.storage.replacing import write_whole
    from jobs.assistant.conversation import as_line
    from jobs.assistant.interrogate import asker, chats, cloze, facts_found, interrogate, read_facts, report, split
    from jobs.model.generate import Sampling

    ask, assistant = asker(model, device)
    found = read_facts(facts) if isinstance(facts, Path) and facts.is_file() else cloze(facts, count, seed)
    say(f"Asking {len(found):,} questions, each {2 * times} times.")
    verdicts = [*interrogate(ask, found, Sampling(max_tokens, 1.0, 0, seed), times, judge == "exact")]
    learned, held_out = split(verdicts, val_share)
    write_whole(out, "".join(map(as_line, chats(learned, assistant))).encode())
    write_whole(out.with_suffix(".facts.jsonl"), facts_found(verdicts).encode())
    result = {"all": report(verdicts), "held_out": report(held_out)}
    if as_json:
        show_json(result)
    for name, one in result.items():
        if one["questions"]:
            say(_knowledge("" if name == "all" else "held-out ", one))
    say(f"Next: `corpus finetune MODEL {out}` teaches it to say that it doesn't know.")


def _knowledge(which: str, found: dict[str, Any]) -> str:
    """Return the figures of an interrogation in words."""
    said = [f"The model knows {found['known']:,} of {found['questions']:,} {which}answers."]
    if found["known"]:
        said.append(f"It gives {found['known_right']:.0%} of these right, and refuses {found['known_refused']:.0%}.")
    if found["known"] < found["questions"]:
        made_up, refused = found["unknown_made_up"], found["unknown_refused"]
        said.append(f"To other questions, {made_up:.0%} of its answers are made up, and it refuses {refused:.0%}.")
    return " ".join(said)
