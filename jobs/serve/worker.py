"""The thread that owns a model. The thread continues all waiting requests in one batch, and hands their tokens to the
event loop. New requests join the next batch.

Each row of a batch has its own sampling settings, so requests with different settings share a batch. Completions,
conversations with tools and conversations without tools are in separate batches.

After each step, the thread waits until the event loop has passed on the step before. So if the tokens of a request pile
up, its reader takes none. A busy machine is not the cause.
"""

from __future__ import annotations

import asyncio
import codecs
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from corpus.errors import InputError
from jobs.assistant.assistant import Speaker
from jobs.assistant.conversation import ChatFormat, Conversation, Message
from jobs.assistant.tool import Tool
from jobs.model.generate import Continuer, Drawn, Sampling, draw, endings, unused
from jobs.runner.terminal import say

ROWS = 64
"""The most sequences of a batch. Each sequence needs memory for the keys and values of a whole window."""
MOST_WAITING = 256
"""The most sequences that wait for a batch."""
MOST_BEHIND = 256
"""The number of steps that a reader may be behind, after the buffers of its connection are full."""


_STOPPING = "The server is stopping."


class Busy(Exception):
    """Raised if too many sequences wait, or if the server stops."""


@dataclass(frozen=True)
class Piece:
    """A part of the answer to a request: text of one of its choices, with the token that ends the text, or a complete
    turn. `finish` says why the choice is over: stop, length or tool_calls.
    """

    choice: int
    text: str = ""
    drawn: Drawn | None = None
    turn: Message | None = None
    finish: str = ""


@dataclass(eq=False)
class Request:
    """A request: prompts as text or ids, or one conversation, each continued `n` times.

    Only requests of the same `kind` share a batch: completions (text), or conversations. The calls of a conversation
    are run here (tools), left to the client (calls), or forbidden (chat).
    """

    kind: str
    prompts: Sequence[str | list[int] | Conversation]
    sampling: Sampling
    n: int = 1
    shown: int = 0
    stops: Sequence[str] = ()
    ids: list[list[int]] = field(default_factory=list)
    """The ids of the prompts. They are set when the model begins."""
    pieces: asyncio.Queue[Piece | Exception] = field(default_factory=asyncio.Queue)
    reader: asyncio.Task[Any] | None = field(default_factory=asyncio.current_task)
    gone: bool = False
    """True if nobody reads the answer any more. Then its rows end."""

    @property
    def choices(self) -> int:
        return self.n * len(self.prompts)

    async def read(self) -> AsyncIterator[Piece]:
        """Yield the pieces of all choices. Raises the error of the request, if there was one."""
        left = self.choices
        while left:
            piece = await self.pieces.get()
            if isinstance(piece, Exception):
                raise piece
            left -= bool(piece.finish)
            yield piece

    def put(self, piece: Piece | Exception) -> None:
        """Give a piece to the reader. If the reader has stalled, it is dropped."""
        if self.gone:
            return
        self.pieces.put_nowait(piece)
        if self.pieces.qsize() > MOST_BEHIND * self.choices and self.reader:
            self.gone = True
            self.reader.cancel()


class TextEnd:
    """The text of tokens, up to the first stop text.

    Text that may be the beginning of a stop text waits. So do bytes that are not yet a whole character.
    """

    def __init__(self, tokens: Sequence[bytes | None], stops: Sequence[str]) -> None:
        self._tokens, self._stops, self._held, self.over = tokens, stops, "", False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int | None) -> str:
        """Return the text that is certain after this token. None means the end."""
        data = b"" if token is None else self._tokens[token] or b""
        text = self._held + self._decoder.decode(data, final=token is None)
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        self.over = bool(found)
        keep = min(found) if found else len(text) if token is None else len(text) - self._begun(text)
        self._held = "" if self.over else text[keep:]
        return text[:keep]

    def _begun(self, text: str) -> int:
        """Return how many characters at the end may begin a stop text."""
        sizes = (size for stop in self._stops for size in range(len(stop) - 1, 0, -1) if text.endswith(stop[:size]))
        return max(sizes, default=0)


class _Row:
    """One sequence of a batch: a choice of a request."""

    def __init__(self, request: Request, choice: int, worker: Worker) -> None:
        self.request, self.choice, self.worker = request, choice, worker
        self.text = TextEnd(worker.tokens, request.stops)
        self.finish, self.in_call, self.over = "length", False, False

    def piece(self, one: Drawn | Message) -> Piece:
        """Return the piece for a token or for a complete turn. The text of calls is only in the turn."""
        if isinstance(one, Message):
            return self._turn(one)
        ends = one.id in self.worker.ends
        self.finish = "stop" if ends else "length"
        self.in_call |= one.id == self.worker.call and self.request.kind != "text"
        text = "" if self.in_call else self.text.add(one.id)
        if self.text.over:
            self.over, self.finish = True, "stop"
        elif one.last and self.request.kind == "text":
            self.over, text = True, text + self.text.add(None)
        seen = None if ends else replace(one, likeliest=one.likeliest[: self.request.shown])
        return Piece(self.choice, text, seen, finish=self.finish if self.over else "")

    def _turn(self, turn: Message) -> Piece:
        self.in_call = False
        if turn.role == "tool":
            return Piece(self.choice, turn=turn)
        self.over = not turn.calls or self.request.kind == "calls"
        finish = "tool_calls" if turn.calls else self.finish
        return Piece(self.choice, self.text.add(None), turn=turn, finish=finish if self.over else "")


class Worker:
    """A model with its thread. `tools` makes the tools in that thread, because a database belongs to one thread."""

    def __init__(self, name: str, continuer: Continuer, tools: Callable[[], Mapping[str, Tool]]) -> None:
        self.name, self.continuer, self._make_tools = name, continuer, tools
        self.tokens = continuer.tokenizer.tokens
        self.ends = endings(continuer.tokenizer)
        self.unused = unused(continuer.model, continuer.tokenizer)
        self.chat = ChatFormat(continuer.tokenizer) if continuer.state.get("chat") else None
        self.call = self.chat.call if self.chat else None
        if self.chat:
            self.ends -= {self.chat.call, self.chat.sep}
        self._waiting: list[Request] = []
        self._change = threading.Condition()
        self._stopped = False
        self._handed = threading.Event()
        self._handed.set()
        self._thread = threading.Thread(target=self._run, name=f"model {name}", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """End all requests, and the thread."""
        with self._change:
            self._stopped = True
            self._change.notify()

    def join(self) -> None:
        self._thread.join()

    def submit(self, request: Request) -> None:
        """Put a request into the queue for the next batch. Raises Busy."""
        with self._change:
            if self._stopped:
                raise Busy(_STOPPING)
            if sum(one.choices for one in self._waiting if not one.gone) + request.choices > MOST_WAITING:
                raise Busy("Too many requests are waiting. Try again later.")
            self._waiting.append(request)
            self._change.notify()

    def _run(self) -> None:
        if self.chat:
            self._speakers = {
                kind: Speaker(self.continuer.model, self.chat, self._make_tools() if kind == "tools" else {})
                for kind in ("tools", "calls", "chat")
            }
        while batch := self._take():
            rows: list[_Row] = []
            error: Exception | None = None
            try:
                for request in batch:
                    rows += self._begin(request)
                if rows:
                    self._draw(rows)
            except Exception as raised:
                # the error's message may quote a request
                say(f"The model {self.name} failed: {type(raised).__name__}.")
                error = raised
            if error or self._stopped:
                self._hand_over([(request, error or Busy(_STOPPING)) for request in batch])
            else:
                self._hand_over([(row.request, Piece(row.choice, finish="length")) for row in rows if not row.over])
        self._hand_over([(request, Busy(_STOPPING)) for request in self._waiting])

    def _take(self) -> list[Request]:
        """Wait for requests.

        Return the oldest request with all requests that can share its batch, or an empty list at the end.
        """
        with self._change:
            while not self._stopped:
                self._waiting = [request for request in self._waiting if not request.gone]
                taken: list[Request] = []
                for request in self._waiting:
                    rows = sum(one.choices for one in taken) + request.choices
                    if request.kind == self._waiting[0].kind and rows <= ROWS:
                        taken.append(request)
                if taken:
                    self._waiting = [request for request in self._waiting if request not in taken]
                    return taken
                self._change.wait()
        return []

    def _begin(self, request: Request) -> list[_Row]:
        """Return the rows of a request. If the model can't take the request, it gets an error and has no rows."""
        try:
            request.ids = [self._ids(prompt) for prompt in request.prompts]
        except InputError as error:
            self._hand_over([(request, error)])
            return []
        return [_Row(request, choice, self) for choice in range(request.choices)]

    def _ids(self, prompt: str | list[int] | Conversation) -> list[int]:
        if isinstance(prompt, str):
            return self.continuer.encode(prompt)
        if isinstance(prompt, tuple):
            return self._speakers["chat"].begin(prompt).ids
        if not all(0 <= number < len(self.tokens) for number in prompt):
            raise InputError(f"The prompt has ids that are not from 0 to {len(self.tokens) - 1}.")
        return prompt or [self.continuer.bos]

    def _draw(self, rows: list[_Row]) -> None:
        """Draw the tokens of a batch, and hand each step over when it is complete."""
        events: list[tuple[Request, Piece | Exception]] = []
        dropped: set[int] = set()
        before = -1
        for at, one in self._drawn(rows, dropped):
            row = rows[at]
            if isinstance(one, Drawn):
                if at <= before:
                    self._hand_over(events)
                    events = []
                    if self._stopped:
                        return
                before = at
            if not row.over and not row.request.gone:
                events.append((row.request, row.piece(one)))
            if row.over or row.request.gone:
                dropped.add(at)
        self._hand_over(events)

    def _drawn(self, rows: list[_Row], dropped: set[int]) -> Iterator[tuple[int, Drawn | Message]]:
        """Yield the model's next tokens and turns, each with the place of its row."""
        kind = rows[0].request.kind
        samplings = [row.request.sampling for row in rows]
        numbers = [row.choice for row in rows]
        if kind != "text":
            conversations = [prompt for row in rows for prompt in row.request.prompts if isinstance(prompt, tuple)]
            return self._speakers[kind].speak(conversations, samplings, numbers, 0, dropped, kind == "calls")
        ids = [row.request.ids[row.choice // row.request.n] for row in rows]
        shown = max(row.request.shown for row in rows)
        drawing = draw(self.continuer.model, ids, samplings, self.ends, numbers, shown, self.unused, True, dropped)
        return ((drawn.row, drawn) for drawn in drawing)

    def _hand_over(self, events: list[tuple[Request, Piece | Exception]]) -> None:
        """Give pieces to the event loop, after it has passed on the pieces before."""
        self._handed.wait()
        self._handed.clear()
        with suppress(RuntimeError):  # after a second Ctrl-C, which does not wait, the loop is closed
            self._loop.call_soon_threadsafe(self._deliver, events)

    def _deliver(self, events: list[tuple[Request, Piece | Exception]]) -> None:
        for request, piece in events:
            request.put(piece)
        self._loop.call_soon(self._handed.set)  # this runs after the readers that these pieces have woken
