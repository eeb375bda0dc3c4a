"""An assistant: a model that was trained on conversations, and the tools that it may call."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from corpus.errors import InputError
from jobs.assistant.conversation import BadConversation, ChatFormat, Conversation, Message, check_order
from jobs.assistant.tool import Tool
from jobs.assistant.tools import use
from jobs.model.generate import Continuer, Drawn, Sampling, draw, endings, unused
from jobs.model.model import GPT

_Item = TypeVar("_Item")

MOST_ROUNDS = 4
"""The number of rounds of calls in an answer. After the last round, the assistant must answer without tools."""


class Assistant:
    """A trained model with its tokens of conversations. Raises InputError if `folder` has no model of conversations."""

    def __init__(self, folder: Path, device: str = "cpu", tools: Mapping[str, Tool] | None = None) -> None:
        continuer = Continuer(folder, device)
        if not continuer.state.get("chat"):
            what = f"The model in {folder} was not trained on conversations."
            raise InputError(what, "Run `corpus finetune` on this model first, or use `corpus generate`.")
        self.name = folder.resolve().name
        self.state: dict[str, Any] = continuer.state
        self.speaker = Speaker(continuer.model, ChatFormat(continuer.tokenizer), tools or {})


@dataclass
class Transcript:
    """A conversation as the model sees it, while an answer grows.

    It has the ids, the logarithms of the probabilities of the ids that the model drew (None for other ids), and the
    turns of the answer.
    """

    ids: list[int]
    logs: list[float | None] = field(default_factory=list)
    turns: list[Message] = field(default_factory=list)
    ended: bool = False
    """True when the model has ended its answer.

    An answer can also be cut, by the limit of tokens or by a full window.
    """

    def __post_init__(self) -> None:
        self.logs = [None] * len(self.ids)

    def read(self, ids: Sequence[int]) -> None:
        self.ids += ids
        self.logs += [None] * len(ids)


class Speaker:
    """A model that answers conversations, many at once.

    A model that was not trained on conversations continues the text of the last message instead, as if a page began
    with it.
    """

    def __init__(self, model: GPT, chat: ChatFormat, tools: Mapping[str, Tool], trained: bool = True) -> None:
        self.model, self.chat, self.tools, self.trained = model, chat, tools, trained
        self._ends = endings(chat.tokenizer) - ({chat.call, chat.sep} if trained else set())
        self._unused = unused(model, chat.tokenizer)

    def speak(
        self, conversations: Sequence[Conversation], sampling: Sampling | Sequence[Sampling],
        numbers: Sequence[int] | None = None, shown: int = 0, dropped: Collection[int] = (), calls_end: bool = False,
    ) -> Iterator[tuple[int, Drawn | Message]]:  # fmt: skip
        """Yield the tokens of all answers as they are drawn, and each complete turn: the assistant's turns, and the
        results of its calls.

        Each item comes with the place of its conversation. The caller can end an answer by adding its place to
        `dropped`. With `calls_end`, an answer ends after its first calls, and the calls are not run. A call's input is
        text from the model, and a result is text for the model, so neither can contain a special id. Raises InputError
        if a conversation does not fit the window.
        """
        return self.go_on([*map(self.begin, conversations)], sampling, numbers, shown, dropped, calls_end)

    def go_on(
        self, transcripts: Sequence[Transcript], sampling: Sampling | Sequence[Sampling],
        numbers: Sequence[int] | None = None, shown: int = 0, dropped: Collection[int] = (), calls_end: bool = False,
    ) -> Iterator[tuple[int, Drawn | Message]]:  # fmt: skip
        """Do the same as `speak`, for transcripts that have only a prompt. The answers are added to the transcripts."""
        numbers = numbers or range(len(transcripts))
        each = [sampling] * len(transcripts) if isinstance(sampling, Sampling) else sampling
        places = list(range(len(transcripts)))
        for left in range(MOST_ROUNDS, -1, -1):
            banned = [*self._unused, *([] if (self.tools or calls_end) and left else [self.chat.call])]
            own = [numbers[place] + (MOST_ROUNDS - left << 32) for place in places]
            begun = [len(transcripts[place].ids) for place in places]
            prompts = [transcripts[place].ids.copy() for place in places]
            settings = [each[place] for place in places]
            called: list[int] = []
            gone: set[int] = set()
            for drawn in draw(self.model, prompts, settings, self._ends, own, shown, banned, dropped=gone):
                place = places[drawn.row]
                one = transcripts[place]
                one.ids.append(drawn.id)
                one.logs.append(drawn.log_probability)
                yield place, drawn if drawn.row == place else replace(drawn, row=place)
                if place in dropped:
                    gone.add(drawn.row)
                    continue
                if not drawn.last:
                    continue
                one.ended = drawn.id in self._ends
                turn = self.chat.message(one.ids[begun[drawn.row] :])
                turn = turn if one.ended else replace(turn, calls=())  # a call that was cut does not count
                one.turns.append(turn)
                yield place, turn
                if calls_end:
                    continue
                for call in turn.calls:
                    marks = len(self.chat.whole(Message("tool", ""))) + len(self.chat.opening)
                    # an eighth of the window is kept for the answer
                    room = self.model.shape.window * 7 // 8 - len(one.ids) - marks
                    found = self.chat.encode(use(self.tools, call.name, call.input))
                    result = Message("tool", self.chat.text(found[: max(0, room)]))
                    one.turns.append(result)
                    yield place, result
                    one.read(self.chat.whole(result))
                if turn.calls:
                    one.read(self.chat.opening)
                    one.ended = False
                    if len(one.ids) < self.model.shape.window:
                        called.append(place)
            places = called
            if not places:
                return

    def answers(
        self, conversations: Sequence[Conversation], sampling: Sampling, numbers: Sequence[int] | None = None
    ) -> list[list[Message]]:
        """Return the turns of each answer: calls and results, if any, and the assistant's last turn."""
        turns: list[list[Message]] = [[] for _ in conversations]
        for place, one in self.speak(conversations, sampling, numbers):
            if isinstance(one, Message):
                turns[place].append(one)
        return turns

    def begin(self, messages: Sequence[Message]) -> Transcript:
        """Return the transcript of a conversation before its answer.

        If a conversation is too long, its first turns are dropped, but the system message is kept. Raises InputError if
        the last message does not fit the window.
        """
        if not self.trained:
            return Transcript([self.chat.tokenizer.bos, *self.chat.encode(messages[-1].content)])
        try:
            check_order(messages, ends="user")
        except BadConversation as error:
            raise InputError(f"The conversation {error}.", "End with a message of the user.") from None
        system = [message for message in messages[:1] if message.role == "system"]
        rest = list(messages[len(system) :])
        while True:
            ids = self.chat.prompt([*system, *rest])
            if len(ids) < self.model.shape.window:
                return Transcript(ids)
            users = [at for at, message in enumerate(rest) if message.role == "user" and at]
            if not users:
                what = f"The conversation has {len(ids)} tokens, and the window {self.model.shape.window}."
                raise InputError(what, "Shorten the last message, or train a model with a larger --window.")
            rest = rest[users[0] :]


def in_groups(items: Sequence[_Item], size: int) -> Iterator[tuple[int, Sequence[_Item]]]:
    """Yield each group with the index of its first item."""
    for first in range(0, len(items), size):
        yield first, items[first : first + size]
