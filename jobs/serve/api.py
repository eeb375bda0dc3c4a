"""OpenAI's interface: /v1/models, /v1/completions and /v1/chat/completions, with the additions that our page needs.

In addition to OpenAI's fields, a completion has the ids of its prompts and tokens, so that the page can continue from
any of them. A choice of a chat has all turns of the answer, with the calls that were run here and their results.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse

from corpus.errors import InputError, did_you_mean
from jobs.assistant.conversation import BadConversation, check_order, messages_of
from jobs.serve import parameters
from jobs.serve.votes import Votes
from jobs.serve.worker import Busy, Piece, Request, Worker
from jobs.web.requests import BadRequest, read_body

T = TypeVar("T")


class Api:
    """The answers of a server with these models."""

    def __init__(self, workers: Mapping[str, Worker], tool_names: Sequence[str], votes: Votes) -> None:
        self.workers, self.tool_names, self.votes = workers, tool_names, votes
        self._started = int(time.time())

    async def models(self, http: HttpRequest) -> Response:
        return JSONResponse({"object": "list", "data": [self._model(worker) for worker in self.workers.values()]})

    async def model(self, http: HttpRequest) -> Response:
        return JSONResponse(self._model(self._worker(http.path_params["name"])))

    def _model(self, worker: Worker) -> dict[str, Any]:
        known = {"chat": bool(worker.chat), "tools": self.tool_names if worker.chat else []}
        return {"id": worker.name, "object": "model", "created": self._started, "owned_by": "corpus", **known}

    def _worker(self, name: Any) -> Worker:
        if not isinstance(name, str) or name not in self.workers:
            raise BadRequest(f"There is no such model. {did_you_mean(str(name)[:80], self.workers)}", "model", 404)
        return self.workers[name]

    async def completions(self, http: HttpRequest) -> Response:
        body = await read_body(http)
        worker = self._worker(body.get("model"))
        request = parameters.completion(body)
        return await _answer(http, worker, request, _Texts(worker, body, request), body)

    async def chats(self, http: HttpRequest) -> Response:
        body = await read_body(http)
        worker = self._conversing(body)
        request = parameters.chat(body, bool(self.tool_names))
        return await _answer(http, worker, request, _Chats(body), body)

    def _conversing(self, body: Mapping[str, Any]) -> Worker:
        worker = self._worker(body.get("model"))
        if not worker.chat:
            what = f"The model {worker.name} was not trained on conversations. Use /v1/completions."
            raise BadRequest(what, "model")
        return worker

    async def tokens(self, http: HttpRequest) -> Response:
        """Return the tokens of a conversation as the model reads it.

        Each has its text, and whether it is a special token.
        """
        body = await read_body(http)
        worker = self._conversing(body)
        assert worker.chat
        try:
            ids, _ = worker.chat.tokens(messages_of(body))
        except BadConversation as error:
            raise BadRequest(f"The conversation {error}.", "messages") from None
        names = {number: name for name, number in worker.chat.tokenizer.specials.items()}
        shown = [[names.get(number) or _token(worker, number), number in names] for number in ids]
        return JSONResponse({"tokens": shown})

    async def read_votes(self, http: HttpRequest) -> Response:
        return JSONResponse(self.votes.ranking([*self.workers]))

    async def vote(self, http: HttpRequest) -> Response:
        body = await read_body(http)
        models = body.get("models")
        if not isinstance(models, list) or len(models) != 2:
            raise BadRequest("`models` is not a pair.", "models")
        try:
            messages = messages_of({"messages": body.get("prompt")})
            check_order(messages, ends="user")
        except BadConversation as error:
            raise BadRequest(f"The conversation {error}.", "prompt") from None
        chosen, rejected = (parameters.text(body.get(name), name) for name in ("chosen", "rejected"))
        try:
            self.votes.add(messages, chosen, rejected, [self._worker(name).name for name in models])
        except OSError as error:
            raise BadRequest(f"{self.votes.path} can't be written: {error.strerror}.", status=507) from None
        return await self.read_votes(http)


class _Texts:
    """The form of completions."""

    prefix, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"

    def __init__(self, worker: Worker, body: Mapping[str, Any], request: Request) -> None:
        self._worker, self._request, self._logs = worker, request, body.get("logprobs") is not None
        self._sizes: dict[int, int] = {}  # the number of characters of each choice so far

    def chunk(self, piece: Piece) -> dict[str, Any] | None:
        seen = self._logs and piece.drawn
        return self.whole([piece]) if piece.text or piece.finish or seen else None

    def whole(self, pieces: Sequence[Piece]) -> dict[str, Any]:
        index = pieces[0].choice
        first = {} if index in self._sizes else {"prompt_ids": self._request.ids[index // self._request.n]}
        offsets = []
        for piece in pieces:
            offsets.append(self._sizes.get(index, 0))
            self._sizes[index] = offsets[-1] + len(piece.text)
        drawn = [(piece.drawn, offset) for piece, offset in zip(pieces, offsets, strict=True) if piece.drawn]
        likeliest = [[(number, share) for number, share in one.likeliest if share > 0] for one, _ in drawn]
        logs = {
            "tokens": [_token(self._worker, one.id) for one, _ in drawn],
            "token_logprobs": [one.log_probability for one, _ in drawn],
            "top_logprobs": [{_token(self._worker, number): math.log(share) for number, share in top}
                             for top in likeliest],
            "text_offset": [offset for _, offset in drawn],
            "ids": [one.id for one, _ in drawn],
            "likeliest": [[{"id": number, "token": _token(self._worker, number), "logprob": math.log(share)}
                           for number, share in top] for top in likeliest],
        }  # fmt: skip
        return {
            "index": index,
            "text": "".join(piece.text for piece in pieces),
            "logprobs": logs if self._logs else None,
            "finish_reason": pieces[-1].finish or None,
            **first,
        }


class _Chats:
    """The form of answers in conversations."""

    prefix, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._arguments = parameters.argument_names(body)
        self._begun: set[int] = set()

    def chunk(self, piece: Piece) -> dict[str, Any] | None:
        if not (piece.text or piece.turn or piece.finish):
            return None
        delta: dict[str, Any] = {"content": piece.text} if piece.text else {}
        if piece.choice not in self._begun:
            self._begun.add(piece.choice)
            delta = {"role": "assistant", "content": piece.text}
        if piece.finish == "tool_calls":
            delta["tool_calls"] = [{"index": at, **one} for at, one in enumerate(self._calls(piece))]
        turn = {"turn": piece.turn.as_dict()} if piece.turn else {}
        return {"index": piece.choice, "delta": delta, "finish_reason": piece.finish or None, **turn}

    def whole(self, pieces: Sequence[Piece]) -> dict[str, Any]:
        last = pieces[-1]
        message: dict[str, Any] = {"role": "assistant", "content": "".join(piece.text for piece in pieces)}
        if last.finish == "tool_calls":
            message["tool_calls"] = self._calls(last)
        turns = [piece.turn.as_dict() for piece in pieces if piece.turn]
        return {"index": last.choice, "message": message, "finish_reason": last.finish, "turns": turns}

    def _calls(self, piece: Piece) -> list[dict[str, Any]]:
        """Return the calls for the client, with its own name of the argument."""
        assert piece.turn
        return [
            {"id": f"call_{uuid.uuid4().hex}", "type": "function", "function": {
                "name": call.name, "arguments": json.dumps({self._arguments.get(call.name, "input"): call.input})}}
            for call in piece.turn.calls
        ]  # fmt: skip


async def _answer(
    http: HttpRequest, worker: Worker, request: Request, form: _Texts | _Chats, body: Mapping[str, Any]
) -> Response:
    """Return the model's answer, as a stream or whole. If the client leaves, its request ends."""
    http.scope["state"]["request"] = request
    worker.submit(request)
    pieces = request.read()
    base = {"id": f"{form.prefix}-{uuid.uuid4().hex}", "created": int(time.time()), "model": worker.name}
    if not body.get("stream"):
        read = await _unless_gone(http, _all(pieces))
        parts = [[piece for piece in read if piece.choice == choice] for choice in range(request.choices)]
        choices = [form.whole(part) for part in parts]
        return JSONResponse({**base, "object": form.whole_object, "choices": choices, "usage": _usage(request, read)})
    # this comes before the status is sent, because the first piece may be an error
    first = await _unless_gone(http, anext(pieces))

    async def events() -> AsyncIterator[str]:
        read = [first]
        try:
            while True:
                if choice := form.chunk(read[-1]):
                    yield _event({**base, "object": form.chunk_object, "choices": [choice]})
                read.append(await anext(pieces))
        except StopAsyncIteration:
            if (body.get("stream_options") or {}).get("include_usage"):
                usage = _usage(request, read)
                yield _event({**base, "object": form.chunk_object, "choices": [], "usage": usage})
            yield "data: [DONE]\n\n"
        except Exception as error:
            yield _event(error_body(error))

    return StreamingResponse(events(), media_type="text/event-stream")


async def _all(pieces: AsyncIterator[Piece]) -> list[Piece]:
    return [piece async for piece in pieces]


async def _unless_gone(http: HttpRequest, work: Awaitable[T]) -> T:
    """Return the result of some work. If the client leaves first, end the work and raise ClientDisconnect."""

    async def leave() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(leave())
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


def _event(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def _usage(request: Request, pieces: Sequence[Piece]) -> dict[str, int]:
    asked, said = sum(map(len, request.ids)), sum(piece.drawn is not None for piece in pieces)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _token(worker: Worker, number: int) -> str:
    """Return the text of a token. Bytes that are not text are written in OpenAI's way."""
    data = worker.tokens[number] if number < len(worker.tokens) else None
    try:
        return (data or b"").decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data or b"")


def status_of(error: Exception) -> int:
    """Return the status of an error: 4xx if the client can correct it, 503 if it is temporary, else 500."""
    if isinstance(error, BadRequest):
        return error.status
    return 400 if isinstance(error, InputError) else 503 if isinstance(error, Busy) else 500


def error_body(error: Exception) -> dict[str, Any]:
    """Return an error in OpenAI's form. An unexpected error has no message, because its message may quote anything."""
    status = status_of(error)
    message = str(error) if status != 500 else "The server failed."
    kind = "invalid_request_error" if status < 500 else "server_error"
    parameter = error.parameter if isinstance(error, BadRequest) else None
    return {"error": {"message": message, "type": kind, "param": parameter, "code": None}}
