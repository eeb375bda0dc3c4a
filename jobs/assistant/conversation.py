"""Conversations: files of them, and their tokens.

    <|im_start|> role <|im_sep|> content <|im_end|>                                  one turn
    … content <|call|> name <|im_sep|> input <|call|> name <|im_sep|> input <|im_end|>   an assistant that calls tools

The names in angle brackets are special ids. Text never gives them, so nobody can forge a turn, a call or a result by
writing one. After a turn with calls, each result is a turn of role `tool`. Then it is the assistant's turn again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from corpus.errors import InputError
from corpus.json_data import parse_json
from corpus.tokens.encoder import Encoder
from corpus.tokens.tokenizer import Tokenizer

_Read = TypeVar("_Read")

_ROLES = {"developer": "system", "human": "user", "gpt": "assistant", "observation": "tool", "function": "tool"}
"""Other names of roles: OpenAI's newer name, and the names of ShareGPT."""


@dataclass(frozen=True)
class Call:
    """A call of a tool. Our tools take one text."""

    name: str
    input: str


@dataclass(frozen=True)
class Message:
    """A turn: its role (system, user, assistant or tool), its text, and the calls of an assistant."""

    role: str
    content: str
    calls: tuple[Call, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the message in OpenAI's form."""
        if not self.calls:
            return {"role": self.role, "content": self.content}
        functions = [{"name": call.name, "arguments": json.dumps({"input": call.input})} for call in self.calls]
        calls = [{"id": f"call_{at}", "type": "function", "function": one} for at, one in enumerate(functions)]
        return {"role": self.role, "content": self.content or None, "tool_calls": calls}


Conversation = tuple[Message, ...]


class BadConversation(ValueError):
    """Raised for data that is not a conversation. The message says what is wrong, without quoting the data."""


def messages_of(data: Any) -> Conversation:
    """Return the messages of one conversation: OpenAI's `messages`, or ShareGPT's `conversations`.

    Raises BadConversation.
    """
    if not isinstance(data, dict):
        raise BadConversation("is not a JSON object")
    given = data.get("messages", data.get("conversations"))
    if not isinstance(given, list):
        raise BadConversation("has no list `messages` or `conversations`")
    return tuple(_message(one) for one in given)


def _message(given: Any) -> Message:
    if not isinstance(given, dict):
        raise BadConversation("has a message that is not a JSON object")
    role = given.get("role", given.get("from"))
    content = given.get("content", given.get("value"))
    if isinstance(content, list):  # a list of OpenAI's content parts
        texts = [part.get("text") if isinstance(part, dict) else None for part in content]
        content = "".join(text for text in texts if isinstance(text, str)) if None not in texts else 0
    content = "" if content is None else content
    if not isinstance(role, str) or not isinstance(content, str):
        raise BadConversation("has a message without a role or a text")
    _check_text(content)
    role = _ROLES.get(role, role)
    if role not in ("system", "user", "assistant", "tool"):
        raise BadConversation("has a message of an unknown role")
    calls = given.get("tool_calls") or []
    if not isinstance(calls, list) or (calls and role != "assistant"):
        raise BadConversation("has tool calls that are not a list, or not from the assistant")
    return Message(role, content, tuple(map(_call, calls)))


def _call(given: Any) -> Call:
    """Return a call from OpenAI's form.

    If its arguments are a single text, as for all our tools, only this text is kept.
    """
    try:
        name, arguments = given["function"]["name"], given["function"]["arguments"]
        values = list(parse_json(arguments).values())
    except (LookupError, TypeError, ValueError, AttributeError):
        raise BadConversation("has a tool call of another form") from None
    given = values[0] if len(values) == 1 and isinstance(values[0], str) else arguments
    _check_text(f"{name}{given}")
    return Call(str(name), given)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadConversation("has half a surrogate pair, which is not text") from None


def check_order(messages: Sequence[Message], ends: str = "assistant") -> None:
    """Raise BadConversation unless the turns are in order.

    User and assistant must take turns. A system message may come only at the start, and the results of calls come after
    the calls. `ends` says whether the last turn is an answer (assistant), or waits for an answer (user).
    """
    before = ""
    called = False
    for message in messages:
        allowed = {"": "system user", "system": "user", "user": "assistant", "tool": "tool assistant"}
        after_assistant = "tool" if called else "user"
        if message.role not in allowed.get(before, after_assistant).split():
            raise BadConversation(f"has a turn of `{message.role}` after {before or 'nothing'}")
        if message.role == "assistant":
            called = bool(message.calls)
            if not message.content.strip() and not called:
                raise BadConversation("has an empty answer")
        before = message.role
    if not before:
        raise BadConversation("is empty")
    if (before == "assistant" and not called) != (ends == "assistant"):
        raise BadConversation(f"ends with a turn of `{before}`")


@dataclass
class Faults:
    """The faults in the conversations of a file: for each kind of fault, the numbers of the lines."""

    file: str
    lines: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def __str__(self) -> str:
        shown = []
        for what, lines in self.lines.items():
            places = ", ".join(map(str, lines[:5])) + (", …" if len(lines) > 5 else "")
            shown.append(f"{'1 line' if len(lines) == 1 else f'{len(lines)} lines, each'} {what}: line {places}")
        return f"{self.file}: {'; '.join(shown)}"


def read_lines(path: Path, faults: Faults, read: Callable[[Any], _Read], wanted: str) -> Iterator[tuple[int, _Read]]:
    """Yield line numbers of a JSONL file, and the result of `read` for their data.

    Lines that are not JSON, or for which `read` raises BadConversation, are counted in `faults`. Raises InputError if
    the file can't be read. `wanted` names the expected content, for the error.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    found = read(parse_json(line))
                except BadConversation as error:
                    faults.lines[str(error)].append(number)
                except ValueError:
                    faults.lines["is not JSON"].append(number)
                else:
                    yield number, found
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", f"Name a JSONL file of {wanted}.") from None


def read_chats(path: Path, faults: Faults) -> Iterator[tuple[int, Conversation]]:
    """Yield line numbers and conversations of a JSONL file. Lines that are not conversations are counted in `faults`.

    Raises InputError if the file can't be read.
    """

    def read(data: Any) -> Conversation:
        messages = messages_of(data)
        check_order(messages)
        return messages

    return read_lines(path, faults, read, "conversations")


class ChatFormat:
    """The tokens of conversations. Raises ConfigError for a tokenizer without the special tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.start, self.sep, self.end, self.call = (tokenizer.specials[mark] for mark in tokenizer.turn_marks)
        self._encoder = Encoder(tokenizer)
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text. If the text contains the name of a special token, the name is plain text."""
        ids: list[int] = self._encoder.encode([text])[0].tolist()
        return ids

    def _short(self, text: str) -> list[int]:
        """Return the ids of a role or a tool's name."""
        if text not in self._known:
            self._known[text] = self.encode(text)
        return self._known[text]

    def turn(self, message: Message) -> tuple[list[int], list[int]]:
        """Return the ids of a turn: its head up to `<|im_sep|>`, and the rest."""
        rest = self.encode(message.content)
        for call in message.calls:
            rest += [self.call, *self._short(call.name), self.sep, *self.encode(call.input)]
        return [self.start, *self._short(message.role), self.sep], [*rest, self.end]

    def whole(self, message: Message) -> list[int]:
        """Return all ids of a turn."""
        head, rest = self.turn(message)
        return head + rest

    @property
    def opening(self) -> list[int]:
        """The ids that begin a turn of the assistant."""
        return self.turn(Message("assistant", ""))[0]

    def tokens(self, messages: Iterable[Message]) -> tuple[list[int], list[bool]]:
        """Return the ids of a conversation, and for each id True if it belongs to the assistant."""
        ids, said = [self.tokenizer.bos], [False]
        for message in messages:
            head, rest = self.turn(message)
            ids += head + rest
            said += [False] * len(head) + [message.role == "assistant"] * len(rest)
        return ids, said

    def prompt(self, messages: Iterable[Message]) -> list[int]:
        """Return the ids of a conversation, up to the point where the assistant answers."""
        return self.tokens(messages)[0] + self.opening

    def message(self, ids: Sequence[int]) -> Message:
        """Return the turn of an assistant from its ids. Invalid UTF-8 becomes U+FFFD."""
        pieces: list[list[int]] = [[]]
        for number in ids:
            if number == self.end:
                break
            if number == self.call:
                pieces.append([])
            else:
                pieces[-1].append(number)
        calls = []
        for piece in pieces[1:]:
            at = piece.index(self.sep) if self.sep in piece else len(piece)
            calls.append(Call(self.text(piece[:at]), self.text(piece[at + 1 :])))
        return Message("assistant", self.text(pieces[0]), tuple(calls))

    def text(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids).decode("utf-8", "replace")


def as_data(messages: Iterable[Message], **more: Any) -> dict[str, Any]:
    """Return a conversation in OpenAI's form."""
    return {"messages": [message.as_dict() for message in messages], **more}


def as_line(messages: Iterable[Message], **more: Any) -> str:
    """Return a conversation as a line of JSONL."""
    return json.dumps(as_data(messages, **more), ensure_ascii=False) + "\n"
