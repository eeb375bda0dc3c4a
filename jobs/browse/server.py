"""The server of a run: its addresses. Each begins with a token, so that only who has the address can ask anything."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from corpus.errors import CorpusError, traced
from corpus.json_data import check_shape
from jobs.browse.desk import Desk, Served
from jobs.runner.terminal import say
from jobs.web.requests import BadRequest, read_body
from jobs.web.server import PAGE_HEADERS, Guard, Server

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""What our page may do: load its own scripts and styles, ask this server, and show its frames. No script may make
markup of a text, whatever a page says."""

FRAME_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""What a crawled page may do in its frame: have a style."""

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_AT_ONCE = 4
"""The number of questions that are answered at the same time. More would take memory, but no less time."""

_SLOW = ("text", "steps", "source", "original", "pair", "both", "differences", "label")
"""Questions that may read pages or texts again for long. Others do not wait for them."""

Answer = Callable[[Desk, QueryParams], Any]


def server(served: Served, host: str, token: str) -> Server:
    """Return a server to run on a socket that listens. It ends with Ctrl-C."""
    return Server(application(served, host, token), served.stopping.set)


def new_token() -> str:
    return secrets.token_urlsafe(24)


def application(served: Served, host: str, token: str) -> ASGIApp:
    """Return the application of a server that listens on this host."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(served.close)

    quick, slow = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_AT_ONCE)

    async def in_thread(work: Callable[[], Any], name: str = "") -> Any:
        async with slow if name in _SLOW else quick:
            return await asyncio.to_thread(work)

    async def state(http: HttpRequest) -> Response:
        return _json(await in_thread(served.state))

    async def original(http: HttpRequest) -> Response:
        shown = await in_thread(lambda: served.desk().original(http.query_params), "original")
        headers = {**PAGE_HEADERS, "Content-Security-Policy": FRAME_POLICY, "X-DNS-Prefetch-Control": "off"}
        return Response(shown or "This page has no HTML.", media_type="text/html", headers=headers)

    def asked(name: str, answer: Answer) -> Callable[[HttpRequest], Awaitable[Response]]:
        async def get(http: HttpRequest) -> Response:
            return _json(await in_thread(lambda: answer(served.desk(), http.query_params), name))

        return get

    def told(name: str, shape: Mapping[str, Any], answer: Callable[[Desk, dict[str, Any]], Any]) -> Callable[..., Any]:
        async def post(http: HttpRequest) -> Response:
            body = await read_body(http)
            try:
                check_shape(body, shape)
            except ValueError as error:
                raise BadRequest(f"The request can't be read: {error}.") from None
            return _json(await in_thread(lambda: answer(served.desk(), body), name))

        return post

    routes = [Route("/state", state), Route("/original", original)]
    routes += [Route(f"/{name}", asked(name, answer)) for name, answer in _QUESTIONS.items()]
    routes += [Route(f"/{name}", told(name, *how), methods=["POST"]) for name, how in _ORDERS.items()]
    routes += [Route("/", _file), Route("/{name}", _file)]
    failed: dict[Any, Callable[..., Any]] = {
        kind: _failed for kind in (BadRequest, CorpusError, HTTPException, Exception)
    }
    return Guard(_Token(Starlette(routes=routes, lifespan=lifespan, exception_handlers=failed), token), host, _failed)


_QUESTIONS: dict[str, Answer] = {
    "run": lambda desk, asked: desk.overview(),
    "distribution": Desk.distribution,
    "decide": lambda desk, asked: desk.decide(asked.getlist("set")),
    "recipe": lambda desk, asked: desk.recipe(asked.getlist("set"), asked.get("name", "")),
    "writing": lambda desk, asked: desk.writing.state(),
    "pages": Desk.pages,
    "count": Desk.count,
    "page": Desk.page,
    "text": Desk.text,
    "steps": Desk.steps,
    "source": Desk.source,
    "pair": Desk.pair,
    "differences": lambda desk, asked: desk.differences(),
    "both": Desk.both,
    "draw": Desk.draw,
    "agreement": lambda desk, asked: desk.agreement(),
}
"""The answer to each GET. They change nothing but what can be made again."""

_ORDERS: dict[str, tuple[dict[str, Any], Callable[[Desk, dict[str, Any]], Any]]] = {
    "write": ({"set": [str], "out": str}, lambda desk, body: desk.write(body["set"], body["out"])),
    "label": (
        {"row": int, "label": str, "near": str},
        lambda desk, body: desk.label(body["row"], body["label"], body["near"]),
    ),
}
"""The shape and the answer of each POST."""


class _Token:
    """Lets only requests through whose path begins with the token, and takes the token away."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            first, slash, rest = scope["path"].removeprefix("/").partition("/")
            if not secrets.compare_digest(first.encode(), self._token.encode()):
                error = BadRequest(
                    "This address is not complete. Open the one that `corpus serve` printed.", status=403
                )
                return await (await _failed(HttpRequest(scope), error))(scope, receive, send)
            if not slash:
                redirect = Response(status_code=307, headers={"Location": f"/{self._token}/", **PAGE_HEADERS})
                return await redirect(scope, receive, send)
            scope = {**scope, "path": f"/{rest}", "raw_path": None}
        await self._app(scope, receive, send)


async def _file(http: HttpRequest) -> Response:
    name = http.path_params.get("name", "index.html")
    kind = _TYPES.get(name.rpartition(".")[2])
    data = _files().get(name)
    if data is None or kind is None:
        raise HTTPException(404)
    return Response(data, media_type=kind, headers={**PAGE_HEADERS, "Content-Security-Policy": POLICY})


@cache
def _files() -> dict[str, bytes]:
    """Return the files of the page by name. The style is that of the report, and more."""
    folder = resources.files("jobs.browse") / "static"
    files = {one.name: one.read_bytes() for one in folder.iterdir()}
    report = (resources.files("jobs.report") / "templates" / "report.css").read_bytes()
    return {**files, "style.css": report + files["style.css"]}


def _json(data: Any) -> Response:
    return JSONResponse(data, headers=PAGE_HEADERS)


async def _failed(http: HttpRequest, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        error = BadRequest("There is nothing at this address.", status=error.status_code)
    status = error.status if isinstance(error, BadRequest) else 400 if isinstance(error, CorpusError) else 500
    if status == 500:
        say(traced(error))
    said = "The server failed. The cause is on the terminal." if status == 500 else str(error)
    return JSONResponse({"error": said}, status, PAGE_HEADERS)
