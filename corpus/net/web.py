"""Single requests to a web server, by urllib3, which is imported at its first use.

A server may mean harm. One deadline holds for a whole request, however slowly its bytes come. Redirects are followed
by rules, and their bodies are not read.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import metadata
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from corpus.net.transport import (
    CONNECT_S,
    CONNECTIONS,
    NO_RANGES,
    READ_S,
    REQUEST_S,
    Check,
    FileVersion,
    PermanentError,
    Sink,
    TransientError,
    status_error,
)

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_CERTIFICATES = "Set SSL_CERT_FILE if an authority of your own signs its certificate."


class WebTransport:
    """Requests to a web server. The requests use the proxies and certificates of the environment.

    A redirect leads from https only to https. It leads to a private network only if the first server is in a private
    network. Name and password are sent to the first server alone.
    """

    def __init__(self, scheme: str, host: str) -> None:
        import urllib.request

        import urllib3

        self._agent = f"corpus/{metadata.version('corpus')}"
        self._errors = urllib3.exceptions
        self._retry_after = urllib3.Retry().get_retry_after
        self._make_headers = urllib3.make_headers
        options: dict[str, Any] = {
            "maxsize": CONNECTIONS,
            "timeout": urllib3.Timeout(connect=CONNECT_S, read=READ_S),
            "retries": False,
        }
        proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme)
        self._direct = proxy is None
        try:
            self._pool = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
        except (self._errors.HTTPError, ValueError):
            todo = f"Set {scheme.upper()}_PROXY to http://HOST:PORT, or unset it."
            raise PermanentError("the proxy that the environment names is not one", todo) from None
        pools = {"http": urllib3.HTTPConnectionPool, "https": urllib3.HTTPSConnectionPool}
        self._pool.pool_classes_by_scheme = {name: _watched(pool) for name, pool in pools.items()}

    def get(self, url: str, offset: int, length: int, check: Check, sink: Sink) -> None:
        parts = urlsplit(url)
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
        span = f"bytes={offset}-{offset + length - 1}"
        headers = {"range": span, "accept-encoding": "identity", "user-agent": self._agent}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers |= self._make_headers(basic_auth=user)
        with _Deadline(self._direct).watching():
            try:
                response = self._final(bare, headers)
                try:
                    version, left = self._answered(response, offset, length)
                    check(version)
                    for piece in response.stream(1 << 18, decode_content=False):
                        sink(memoryview(piece)[:left])
                        left -= len(piece)
                        if left <= 0:
                            break
                finally:
                    response.close()  # after a complete answer, the connection is already back in the pool
            except self._errors.HTTPError as error:
                raise self._explained(error) from None
            if left > 0:
                raise TransientError("the connection broke")

    def _final(self, url: str, headers: dict[str, str]) -> Any:
        """Return the answer at the end of all redirects, before its body."""
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._pool.request(
                "GET", url, headers=headers, redirect=False, preload_content=False, decode_content=False
            )
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            response.close()
            here, target = urlsplit(url), urlsplit(urljoin(url, location))
            if target.scheme not in ("http", "https") or (here.scheme, target.scheme) == ("https", "http"):
                raise PermanentError(f"it redirects from {here.scheme} to another protocol", "Give the final URL.")
            netloc = target.netloc.rpartition("@")[2]
            if (here.scheme, here.netloc) != (target.scheme, netloc):
                headers = {name: value for name, value in headers.items() if name != "authorization"}
            url = urlunsplit((target.scheme, netloc, target.path, target.query, ""))
        raise PermanentError("it redirects too often")

    def _answered(self, response: Any, offset: int, length: int) -> tuple[FileVersion, int]:
        """Return the version of the file that was sent, and how many of its bytes follow in the answer."""
        headers, status = response.headers, response.status
        validator = headers.get("etag") or headers.get("last-modified") or ""
        if status == 206:
            sent = re.fullmatch(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})", headers.get("content-range", ""))
            first, last, size = map(int, sent.groups()) if sent else (-1, 0, 0)
            if first != offset or not offset <= last < min(offset + length, size):
                raise TransientError("it sends another range than requested")
            return FileVersion(size, validator), last - offset + 1
        if status == 200:
            size = headers.get("content-length", "")
            if offset == 0 and re.fullmatch(r"\d{1,19}", size) and int(size) <= length:  # the range was the whole file
                return FileVersion(int(size), validator), int(size)
            raise PermanentError(*NO_RANGES)
        if status == 416:
            sent = re.fullmatch(r"bytes \*/(\d{1,19})", headers.get("content-range", ""))
            return FileVersion(int(sent[1]) if sent else 0, validator), 0
        try:
            wait_s = self._retry_after(response) or 0.0
        except self._errors.HTTPError:  # the header is neither seconds nor a date
            wait_s = 0.0
        raise status_error(status, wait_s)

    def _explained(self, error: Exception) -> TransientError | PermanentError:
        errors = self._errors
        reason = getattr(error, "reason", None)
        if isinstance(error, errors.MaxRetryError) and isinstance(reason, Exception):
            error = reason
        unreached = (errors.NewConnectionError, errors.ConnectTimeoutError, errors.ProxyError)
        meanings: dict[Any, TransientError | PermanentError] = {
            errors.SSLError: PermanentError("its TLS connection can't be trusted", _CERTIFICATES),
            errors.ResponseError: PermanentError("it redirects too often"),
            errors.LocationValueError: PermanentError("the URL is not valid", "Check its spelling."),
            errors.NameResolutionError: TransientError("its name can't be resolved", answered=False),
            unreached: TransientError("it can't be reached", answered=False),
            errors.TimeoutError: TransientError("it stopped answering"),
            Exception: TransientError("the connection broke"),
        }
        return next(meaning for kind, meaning in meanings.items() if isinstance(error, kind))

    def list(self, prefix: str) -> list[str]:
        raise PermanentError("a web server has no listing", "Name files, or a crawl with --limit.")

    def close(self) -> None:
        self._pool.clear()


class _Deadline:
    """The deadline of one request. When it passes, the connection is shut down, so that no read waits any longer."""

    def __init__(self, direct: bool) -> None:
        self.passed = False
        self._direct = direct
        self._private: bool | None = None
        self._line: socket.socket | None = None
        self._lock = threading.Lock()

    @contextmanager
    def watching(self) -> Iterator[_Deadline]:
        token = _DEADLINE.set(self)
        timer = threading.Timer(REQUEST_S, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield self
        except Exception:  # a connection that was shut down breaks in many ways
            if self.passed:
                raise TransientError("it is too slow") from None
            raise
        finally:
            _DEADLINE.reset(token)
            timer.cancel()
            self._hold(None)

    def connected(self, line: socket.socket) -> None:
        """Watch a connection that a request is about to use."""
        if self._direct:  # behind a proxy, only the proxy knows where it connects
            address = ipaddress.ip_address(line.getpeername()[0].partition("%")[0])
            private = not (getattr(address, "ipv4_mapped", None) or address).is_global
            if self._private is None:
                self._private = private
            elif private and not self._private:
                raise PermanentError("it redirects into a private network", "Give the final URL, if you trust it.")
        # a copy of the handle, because urllib3 may close its own as soon as the headers are read
        self._hold(socket.socket(fileno=os.dup(line.fileno())))
        if self.passed:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            self.passed = True
            if self._line is not None:
                with suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)

    def _hold(self, line: socket.socket | None) -> None:
        with self._lock:
            if self._line is not None:
                self._line.close()
            self._line = line


_DEADLINE: ContextVar[_Deadline] = ContextVar("deadline")


def _watched(pool: Any) -> Any:
    """Return a class of connection pools whose connections tell the deadline of their request."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        def request(self, *args: Any, **options: Any) -> None:
            if self.sock is None:
                self.connect()
            _DEADLINE.get().connected(self.sock)
            super().request(*args, **options)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})
