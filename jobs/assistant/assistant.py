"""An assistant: a model that was trained on conversations, and the tools that it may call."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from corpus.errors import InputError
from jobs.assistant.conversation import BadConversation, ChatFormat, Conversation, Message, check_order
from jobs.assistant.tools import Tool, use
from jobs.model.generate import Continuer, Drawn, Sampling, draw, endings
from jobs.model.model import GPT

MOST_ROUNDS = 4
"""The rounds of calls in an answer. After the last one the assistant must answer without tools."""


class Assistant:
    """A trained model with its tokens of conversations. Raises InputError if `folder` has no model of conversations."""

    def __init__(self, folder: Path, device: str = "cpu", tools: Mapping[str, Tool] | None = None) -> None:
        continuer = Continuer(folder, device)
        if not continuer.state.get("chat"):
            what = f"The model in {folder} was not trained on conversations."
            raise InputError(what, "Run `corpus finetune` on it first, or use `corpus generate`.")
        self.name = folder.resolve().name
        self.state: dict[str, Any] = continuer.state
        self.speaker = Speaker(continuer.model, ChatFormat(continuer.tokenizer), tools or {})


class Speaker:
    """Answers conversations with a model, many at once."""

    def __init__(self, model: GPT, chat: ChatFormat, tools: Mapping[str, Tool]) -> None:
        self.model, self.chat, self.tools = model, chat, tools
        self._ends = endings(chat.tokenizer) - {chat.call, chat.sep}
        self._unused = range(len(chat.tokenizer.tokens), model.shape.vocab_size)

    def speak(
        self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling],
        numbers: Sequence[int] | None = None, shown: int = 0, dropped: Collection[int] = (), calls_end: bool = False,
    ) -> Iterator[tuple[int, Drawn | Message]]:  # fmt: skip
        """Yield the tokens of all answers as they are drawn, and each complete turn: the assistant's, and the
        results of its calls. Each comes with the place of its conversation. An answer is also over when whoever reads
        puts its place into `dropped`. With `calls_end` it is over after its first calls, which nobody runs here.

        A call's input is text that the model wrote, and a result is text for the model: neither can give a special id.
        Raises InputError if a conversation does not fit the window. One that results make too long for it is over.
        """
        numbers = numbers or range(len(conversations))
        each = [sampling] * len(conversations) if isinstance(sampling, Sampling) else sampling
        waiting = {place: list(messages) for place, messages in enumerate(conversations)}
        for left in range(MOST_ROUNDS, -1, -1):
            prompts = {}
            for place in list(waiting):
                try:
                    prompts[place] = self.prompt(waiting[place])
                except InputError:
                    if left == MOST_ROUNDS:
                        raise
                    del waiting[place]
            if not waiting:
                return
            places = list(prompts)
            banned = [*self._unused, *([] if (self.tools or calls_end) and left else [self.chat.call])]
            own = [numbers[place] + (MOST_ROUNDS - left << 32) for place in places]
            said: list[list[int]] = [[] for _ in places]
            gone: set[int] = set()
            settings = [each[place] for place in places]
            drawing = draw(self.model, [*prompts.values()], settings, self._ends, own, shown, banned, dropped=gone)
            for drawn in drawing:
                said[drawn.row].append(drawn.id)
                place = places[drawn.row]
                yield place, replace(drawn, row=place)
                if place in dropped:
                    gone.add(drawn.row)
                    del waiting[place]
                    continue
                if not drawn.last:
                    continue
                turn = self.chat.message(said[drawn.row])
                called = turn.calls if drawn.id == self.chat.end else ()  # a call that was cut is none
                turn = replace(turn, calls=called)
                yield place, turn
                if not called or calls_end:
                    del waiting[place]
                    continue
                results = [Message("tool", use(self.tools, call.name, call.input)) for call in called]
                for result in results:
                    yield place, result
                waiting[place] += [turn, *results]

    def answers(
        self, conversations: Sequence[Conversation], sampling: Sampling, numbers: Sequence[int] | None = None
    ) -> list[list[Message]]:
        """Return the turns of each answer: calls and results, if any, and at the end what the assistant says."""
        turns: list[list[Message]] = [[] for _ in conversations]
        for place, one in self.speak(conversations, sampling, numbers):
            if isinstance(one, Message):
                turns[place].append(one)
        return turns

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids of a conversation. If it is long, its first turns are left out, but not a system message.
        Raises InputError if it waits for no answer, or if its last turns are too long."""
        try:
            check_order(messages, ends="user")
        except BadConversation as error:
            raise InputError(f"The conversation {error}.", "End with a message of the user.") from None
        system = [message for message in messages[:1] if message.role == "system"]
        rest = list(messages[len(system) :])
        while True:
            ids = self.chat.prompt([*system, *rest])
            if len(ids) < self.model.shape.window:
                return ids
            users = [at for at, message in enumerate(rest) if message.role == "user" and at]
            if not users:
                what = f"The conversation has {len(ids)} tokens, and the window {self.model.shape.window}."
                raise InputError(what, "Shorten the last message, or train a model with a larger --window.")
            rest = rest[users[0] :]


def in_groups(conversations: Sequence[Conversation], size: int) -> Iterator[tuple[int, Sequence[Conversation]]]:
    """Yield the place of the first of each group, and the group."""
    for first in range(0, len(conversations), size):
        yield first, conversations[first : first + size]


def text_of(turns: Collection[Message]) -> str:
    """Return what an assistant says at the end of its turns."""
    return [*turns][-1].content
