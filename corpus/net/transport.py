"""Single requests to a web server (urllib3) or an object store (obstore). Each library is imported at its first use.

Nothing here asks twice. A failed request raises `TransientError` if it may succeed later, otherwise `PermanentError`.
Neither quotes a library's message, because that contains the whole URL, with credentials and signatures.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from corpus.net.urls import OBJECT_STORES, object_key

CONNECT_S = 10.0
READ_S = 30.0
"""The seconds for which a server may send nothing."""

REQUEST_S = 300.0
"""The seconds that a request may take: a block of 8 MiB at 28 KB/s. An upload has only this limit, because READ_S also
counts while a server listens."""

CONNECTIONS = 8
"""Concurrent requests of one process to one server."""

_NO_RANGES = ("the server does not serve ranges", "Download the file and give its path.")
_CERTIFICATES = "Set SSL_CERT_FILE if an authority of your own signs its certificate."
_CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket."


@dataclass(frozen=True)
class FileVersion:
    """The identity of a file during a run: its size and its ETag, or its time of change if it has no ETag."""

    size: int
    validator: str


@dataclass(eq=False)
class TransientError(Exception):
    """A request failed that may succeed later.

    `wait_s` is how long the server asked us to wait. `throttled` is True if the server has too many requests,
    `answered` if it answered at all.
    """

    reason: str
    wait_s: float = 0.0
    throttled: bool = False
    answered: bool = True


@dataclass(eq=False)
class PermanentError(Exception):
    """A request failed that would fail again: the reason, and what to do."""

    reason: str
    todo: str = ""


Check: TypeAlias = Callable[[FileVersion], None]
Sink: TypeAlias = Callable[[Any], object]


class Transport(Protocol):
    """The requests to one server or one bucket. All methods raise TransientError or PermanentError."""

    def get(self, url: str, offset: int, length: int, check: Check, sink: Sink) -> None:
        """Pass at most `length` bytes from `offset` to `sink`, piece by piece, after `check` has seen the file's
        version. The pieces passed before an error are valid."""

    def list(self, prefix: str) -> list[str]:
        """Return the keys below a prefix of a bucket."""

    def close(self) -> None: ...


def open_transport(url: str) -> Transport:
    """Return the transport for the server or bucket of a URL."""
    parts = urlsplit(url)
    if parts.scheme in OBJECT_STORES:
        return BucketTransport(f"{parts.scheme}://{parts.netloc}")
    return _HttpTransport(parts.scheme, parts.hostname or "")


class _HttpTransport:
    """Requests to a web server. They follow redirects and use the proxies and certificates of the environment."""

    def __init__(self, scheme: str, host: str) -> None:
        import urllib.request

        import urllib3

        self._agent = f"corpus/{metadata.version('corpus')}"
        self._errors = urllib3.exceptions
        self._retry_after = urllib3.Retry().get_retry_after
        self._make_headers = urllib3.make_headers
        retries = urllib3.Retry(
            connect=False, read=False, redirect=5, status=0, other=0, respect_retry_after_header=False
        )
        timeout = urllib3.Timeout(connect=CONNECT_S, read=READ_S)
        options: dict[str, Any] = {"maxsize": CONNECTIONS, "timeout": timeout, "retries": retries}
        proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme)
        self._pool = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)

    def get(self, url: str, offset: int, length: int, check: Check, sink: Sink) -> None:
        parts = urlsplit(url)
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
        span = f"bytes={offset}-{offset + length - 1}"
        headers = {"range": span, "accept-encoding": "identity", "user-agent": self._agent}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers |= self._make_headers(basic_auth=user)
        deadline = time.monotonic() + REQUEST_S
        try:
            response = self._pool.request("GET", bare, headers=headers, preload_content=False, decode_content=False)
            try:
                version, left = self._answered(response, offset, length)
                check(version)
                for piece in response.stream(1 << 18, decode_content=False):
                    sink(memoryview(piece)[:left])
                    left -= len(piece)
                    if left <= 0:
                        break
                    if time.monotonic() > deadline:
                        raise TransientError("it is too slow")
            finally:
                response.close()  # after a complete answer, the connection is already back in the pool
        except self._errors.HTTPError as error:
            raise self._explained(error) from None
        if left > 0:
            raise TransientError("the connection broke")

    def _answered(self, response: Any, offset: int, length: int) -> tuple[FileVersion, int]:
        """Return the version of the file that an answer belongs to, and how many of its bytes follow."""
        headers, status = response.headers, response.status
        validator = headers.get("etag") or headers.get("last-modified") or ""
        if status == 206:
            sent = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("content-range", ""))
            first, last, size = map(int, sent.groups()) if sent else (-1, 0, 0)
            if first != offset or not offset <= last < min(offset + length, size):
                raise TransientError("it sends another range than requested")
            return FileVersion(size, validator), last - offset + 1
        if status == 200:
            size = headers.get("content-length", "")
            if offset == 0 and size.isdecimal() and int(size) <= length:  # the range was the whole file
                return FileVersion(int(size), validator), int(size)
            raise PermanentError(*_NO_RANGES)
        if status == 416:
            sent = re.fullmatch(r"bytes \*/(\d+)", headers.get("content-range", ""))
            return FileVersion(int(sent[1]) if sent else 0, validator), 0
        try:
            wait_s = self._retry_after(response) or 0.0
        except self._errors.HTTPError:  # the header is neither seconds nor a date
            wait_s = 0.0
        raise _status_error(status, wait_s)

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


class BucketTransport:
    """Requests to a bucket. The environment or the machine gives credentials and endpoint. AWS_SKIP_SIGNATURE=true
    sends requests without credentials."""

    def __init__(self, root: str) -> None:
        import obstore
        from obstore.store import from_url

        self._obstore = obstore
        self._errors = obstore.exceptions
        # The server compares the SHA-256 of what arrives, and rejects an upload that was changed on the way.
        settings: dict[str, Any] = {"checksum_algorithm": "SHA256"} if root.startswith("s3://") else {}
        settings["retry_config"] = {"max_retries": 0, "retry_timeout": timedelta(seconds=REQUEST_S)}  # `Client` retries
        options: Any = {
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "timeout": timedelta(seconds=REQUEST_S),
            "allow_http": True,  # the environment may name an endpoint without TLS
            "user_agent": f"corpus/{metadata.version('corpus')}",
        }
        try:
            self._uploads = from_url(root, **settings, client_options=options)
            options["read_timeout"] = timedelta(seconds=READ_S)
            self._store = from_url(root, **settings, client_options=options)
        except (self._errors.BaseError, ValueError):
            raise PermanentError("the bucket's name or its settings in the environment are wrong") from None

    def get(self, url: str, offset: int, length: int, check: Check, sink: Sink) -> None:
        key = object_key(url)
        with self._explaining():
            try:
                found = self._obstore.get(self._store, key, options={"range": (offset, offset + length)})
            except self._errors.BaseError as error:
                if _status(error) != 416:
                    raise
                return check(_version(self._obstore.head(self._store, key)))  # the object ends before `offset`
        check(_version(found.meta))
        try:
            for piece in found.stream(min_chunk_size=1 << 20):
                sink(memoryview(piece))
        except (self._errors.BaseError, OSError):
            raise TransientError("the connection broke") from None

    def list(self, prefix: str) -> list[str]:
        with self._explaining():
            return [meta["path"] for chunk in self._obstore.list(self._store, prefix or None) for meta in chunk]

    def head(self, key: str) -> FileVersion | None:
        """Return the version of an object, None if there is no such object."""
        with self._explaining(), suppress(FileNotFoundError):
            return _version(self._obstore.head(self._store, key))
        return None

    def fetch(self, key: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of an object from `offset`, fewer only at its end. Raises FileNotFoundError."""
        try:
            return bytes(self._obstore.get(self._store, key, options={"range": (offset, offset + length)}).bytes())
        except (self._errors.BaseError, OSError) as error:
            if _status(error) == 416:
                return b""
            raise error if isinstance(error, FileNotFoundError) else self._explained(error) from None

    def put(self, key: str, data: Any, over: str | None = "") -> bool:
        """Store an object in one request. Return True if it was stored, or False if `over` did not allow it.

        An empty `over` stores only a new object. An ETag replaces only the object with this ETag, None replaces any
        object. A request may have stored the object although its answer was lost.
        """
        mode: Any = {"e_tag": over} if over else "overwrite" if over is None else "create"
        with self._explaining():
            try:
                self._obstore.put(self._uploads, key, data, mode=mode, use_multipart=False)
                return True
            except FileNotFoundError:
                raise PermanentError("there is no such bucket (404)", "Check its spelling, or make it.") from None
            except (self._errors.AlreadyExistsError, self._errors.PreconditionError):
                # The library raises the same errors if the server rejected two concurrent requests.
                if over is None or (over == "" and self.head(key) is None):
                    raise TransientError("it answers 409") from None
                return False

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, if they exist."""
        with self._explaining(), suppress(FileNotFoundError):
            self._obstore.delete(self._uploads, keys)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (self._errors.BaseError, OSError) as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> TransientError | PermanentError:
        errors = self._errors
        if isinstance(error, FileNotFoundError):
            return _status_error(404)
        if isinstance(error, errors.PermissionDeniedError | errors.UnauthenticatedError):
            return _status_error(403)
        text = str(error)
        if "169.254.169.254" in text or "169.254.170.2" in text:  # a cloud machine asks for its credentials there
            return PermanentError("there are no credentials", _CREDENTIALS)
        if "redirect without LOCATION" in text:
            return PermanentError("the bucket is in another region", "Set AWS_REGION.")
        if "non-partial response" in text or isinstance(error, errors.NotSupportedError):
            return PermanentError(*_NO_RANGES)
        if (status := _status(error)) is not None:
            return _status_error(status)
        if "kind: Connect" in text:
            reason = "its name can't be resolved" if "dns error" in text else "it can't be reached"
            return TransientError(reason, answered=False)
        return TransientError("the connection broke")

    def close(self) -> None:
        """Do nothing: connections end with the store."""


def _version(meta: Any) -> FileVersion:
    return FileVersion(meta["size"], meta["e_tag"] or meta["last_modified"].isoformat())


def _status(error: Exception) -> int | None:
    """Return the HTTP status in the message of an object store's error."""
    found = re.search(r"status code: (\d{3})", str(error))
    return int(found[1]) if found else None


def _status_error(status: int, wait_s: float = 0.0) -> TransientError | PermanentError:
    if status in (408, 409, 425, 429) or status >= 500:
        return TransientError(f"it answers {status}", wait_s=wait_s, throttled=status in (429, 503))
    if status in (404, 410):
        return PermanentError(f"there is nothing ({status})", "Check its spelling.")
    if status in (401, 403):
        todo = "Check that it exists, and the credentials in the environment."
        return PermanentError(f"access is denied ({status})", todo)
    return PermanentError(f"the server answers {status}")
