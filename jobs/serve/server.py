"""The server: the requests that it accepts, its pages, its start and its end.

A page of another site may send requests to this machine, even under a host name of its own that points here. So the
Host of a request must be this machine, by an address or a known name. If the request has an Origin, it must be this
server.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from corpus.errors import ConfigError, InputError
from jobs.report.formatting import content_policy
from jobs.serve.api import Api, error_body, status_of
from jobs.serve.parameters import BadRequest
from jobs.serve.worker import Busy

MOST_CONNECTIONS = 512
PATIENCE_S = 5
"""The number of seconds that Ctrl-C waits for readers of text that is already written."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises ConfigError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=MOST_CONNECTIONS)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0  # the number is negative for an unknown host
        reason = os.strerror(number) if number > 0 else "there is no such host"
        raise ConfigError(f"{host}:{port} can't be used: {reason}.", "Give another --port or --host.") from None


def server(api: Api, host: str) -> Server:
    """Return a server to run on a socket that listens. It ends with Ctrl-C."""
    config = uvicorn.Config(
        application(api, host), log_config=None, log_level="critical", access_log=False, server_header=False,
        limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=PATIENCE_S, ws="none", proxy_headers=False,
    )  # fmt: skip
    return Server(config, api)


class Server(uvicorn.Server):
    """A server that ends the requests of all models as soon as it should stop.

    `ended_by` is the signal that stopped it.
    """

    def __init__(self, config: uvicorn.Config, api: Api) -> None:
        super().__init__(config)
        self._api = api
        self.ended_by = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.ended_by = sig
        for worker in self._api.workers.values():
            worker.stop()
        super().handle_exit(sig, frame)


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
    return Guard(Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers), host)


class Guard:
    """A guard that rejects requests from pages of other sites, and ends the work for a request that is over."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app, self._names = app, {"localhost", host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        http = HttpRequest(scope)
        host, origin = http.headers.get("host", ""), http.headers.get("origin")
        if not self._is_here(host):
            error = BadRequest("The Host of the request is not this server.", status=421)
            return await (await _failed(http, error))(scope, receive, send)
        if origin is not None and origin != f"http://{host}":
            error = BadRequest("The request comes from a page of another site.", status=403)
            return await (await _failed(http, error))(scope, receive, send)
        scope.setdefault("state", {})
        try:
            await self._app(scope, receive, send)
        finally:
            if request := scope["state"].get("request"):
                request.gone = True

    def _is_here(self, host: str) -> bool:
        """Return True if a Host is an address or a known name. Other names may be controlled by strangers."""
        name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        name = (name or port).lower()
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name in self._names
        return True


async def _failed(http: HttpRequest, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        error = BadRequest(f"There is no {http.method} of this address.", status=error.status_code)
    status = status_of(error)
    return JSONResponse(error_body(error), status, {"Retry-After": "1"} if status == 503 else None)


async def _page(http: HttpRequest) -> Response:
    page, policy = _page_and_policy()
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(page, headers=headers)


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
