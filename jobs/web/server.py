"""The start and the end of a server, and the requests that it accepts.

A page of another site may send requests to this machine, even under a host name of its own that points here. So the
Host of a request must be this machine, by an address or a known name. If the request has an Origin, it must be this
server.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from corpus.errors import ConfigError
from jobs.web.requests import BadRequest

Failed = Callable[[HttpRequest, Exception], Awaitable[Response]]
"""A function that returns the answer to a request that failed."""

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


PAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of everything that a server shows in a browser, apart from its content security policy."""


def url_of(listening: socket.socket) -> str:
    """Return the address under which a browser on this machine finds the server."""
    address, port = listening.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


class Server(uvicorn.Server):
    """A server that calls `stop` as soon as it should end, so that long requests end, too.

    `ended_by` is the signal that stopped it.
    """

    def __init__(self, app: ASGIApp, stop: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app, log_config=None, log_level="critical", access_log=False, server_header=False,
                limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=PATIENCE_S, ws="none",
                proxy_headers=False,
            )
        )  # fmt: skip
        self._stop = stop
        self.ended_by = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.ended_by = sig
        self._stop()
        super().handle_exit(sig, frame)


class Guard:
    """A guard that rejects requests from pages of other sites, and ends the work for a request that is over."""

    def __init__(self, app: ASGIApp, host: str, failed: Failed) -> None:
        self._app, self._failed, self._names = app, failed, {"localhost", host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        http = HttpRequest(scope)
        host, origin = http.headers.get("host", ""), http.headers.get("origin")
        if not self._is_here(host):
            error = BadRequest("The Host of the request is not this server.", status=421)
            return await (await self._failed(http, error))(scope, receive, send)
        if origin is not None and origin != f"http://{host}":
            error = BadRequest("The request comes from a page of another site.", status=403)
            return await (await self._failed(http, error))(scope, receive, send)
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
