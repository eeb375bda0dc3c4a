"""The server of models: its addresses, its page, its start and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from corpus.errors import InputError
from jobs.report.formatting import content_policy
from jobs.serve.api import Api, error_body, status_of
from jobs.serve.worker import Busy
from jobs.web.requests import BadRequest
from jobs.web.server import PAGE_HEADERS, Guard, Server


def server(api: Api, host: str) -> Server:
    """Return a server to run on a socket that listens. It ends with Ctrl-C, and with it the requests of all models."""

    def stop() -> None:
        for worker in api.workers.values():
            worker.stop()

    return Server(application(api, host), stop)


def application(api: Api, host: str) -> ASGIApp:
    """Return the application of a server that listens on this host."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for worker in api.workers.values():
            worker.start(asyncio.get_running_loop())
        yield
        for worker in api.workers.values():
            worker.stop()
            await asyncio.to_thread(worker.join)

    routes = [
        Route("/", _page),
        Route("/v1/models", api.models),
        Route("/v1/models/{name:path}", api.model),
        Route("/v1/completions", api.completions, methods=["POST"]),
        Route("/v1/chat/completions", api.chats, methods=["POST"]),
        Route("/tokens", api.tokens, methods=["POST"]),
        Route("/votes", api.read_votes),
        Route("/votes", api.vote, methods=["POST"]),
    ]
    handlers: dict[Any, Callable[..., Any]] = {
        kind: _failed for kind in (BadRequest, InputError, Busy, HTTPException, Exception)
    }
    return Guard(Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers), host, _failed)


async def _failed(http: HttpRequest, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        error = BadRequest(f"There is no {http.method} of this address.", status=error.status_code)
    status = status_of(error)
    return JSONResponse(error_body(error), status, {"Retry-After": "1"} if status == 503 else None)


async def _page(http: HttpRequest) -> Response:
    page, policy = _page_and_policy()
    return HTMLResponse(page, headers={**PAGE_HEADERS, "Content-Security-Policy": policy})


@cache
def _page_and_policy() -> tuple[str, str]:
    """Return the page and its policy.

    The policy allows only the style and the script in the page, and requests to this server.
    """
    folder = resources.files("jobs.serve") / "templates"
    page, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.js"))
    style = (resources.files("jobs.report") / "templates" / "report.css").read_text(encoding="utf-8")
    style += (folder / "page.css").read_text(encoding="utf-8")
    policy = f"{content_policy(style, script)}; connect-src 'self'; frame-ancestors 'none'"
    return page.replace("{{ style }}", style).replace("{{ script }}", script), policy
