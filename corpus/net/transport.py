"""Single requests to an object store, and the parts that all kinds of requests share. obstore is imported at its first
use.

This module never repeats a request. A failed request raises `TransientError` if it may succeed later, otherwise
`PermanentError`. The message of a library is never quoted, because it contains the whole URL, with credentials and
signatures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from corpus.net.urls import object_key

CONNECT_S = 10.0
READ_S = 30.0
"""The longest time, in seconds, during which a server may send nothing."""

REQUEST_S = 300.0
"""The longest time, in seconds, that a request may take: a block of 8 MiB at 28 KB/s.

Only this limit applies to an upload, because READ_S would also count the time in which the server receives.
"""

CONNECTIONS = 8
"""The number of concurrent requests of one process to one server."""

NO_RANGES = ("the server does not serve ranges", "Download the file and give its path.")
_CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket."


@dataclass(frozen=True)
class FileVersion:
    """The identity of a file during a run: its size and its ETag, or its time of change if it has no ETag."""

    size: int
    validator: str


@dataclass(eq=False)
class TransientError(Exception):
    """A request failed that may succeed later.

    `wait_s` is the wait that the server asked for. `throttled` is True if the server has too many requests, `answered`
    if the server answered at all.
    """

    reason: str
    wait_s: float = 0.0
    throttled: bool = False
    answered: bool = True


@dataclass(eq=False)
class PermanentError(Exception):
    """A request failed and would fail again. The message gives the reason and what to do."""

    reason: str
    todo: str = ""


Check: TypeAlias = Callable[[FileVersion], None]
Sink: TypeAlias = Callable[[Any], object]


class Transport(Protocol):
    """The requests to one server or one bucket. All methods raise TransientError or PermanentError."""

    def get(self, url: str, offset: int, length: int, check: Check, sink: Sink) -> None:
        """Pass at most `length` bytes from `offset` to `sink`, piece by piece.

        `check` sees the file's version first. The pieces passed before an error are valid.
        """

    def list(self, prefix: str) -> list[str]:
        """Return the keys below a prefix of a bucket."""

    def close(self) -> None: ...


class BucketTransport:
    """Requests to a bucket. The environment or the machine gives credentials and endpoint. AWS_SKIP_SIGNATURE=true
    sends requests without credentials."""

    def __init__(self, root: str) -> None:
        import obstore
        from obstore.store import from_url

        _check_endpoints()
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
        """Return the version of an object, or None if the object does not exist."""
        with self._explaining(), suppress(FileNotFoundError):
            return _version(self._obstore.head(self._store, key))
        return None

    def fetch(self, key: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of an object from `offset`, or fewer at its end. Raises FileNotFoundError."""
        try:
            return bytes(self._obstore.get(self._store, key, options={"range": (offset, offset + length)}).bytes())
        except (self._errors.BaseError, OSError) as error:
            if _status(error) == 416:
                return b""
            raise error if isinstance(error, FileNotFoundError) else self._explained(error) from None

    def put(self, key: str, data: Any, over: str | None = "") -> bool:
        """Store an object in one request. Return True if it was stored, or False if `over` did not allow it.

        An empty `over` allows only a new object. An ETag allows replacing only the object with this ETag. None allows
        replacing any object. A request may have stored the object although its answer was lost.
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
            return status_error(404)
        if isinstance(error, errors.PermissionDeniedError | errors.UnauthenticatedError):
            return status_error(403)
        text = str(error)
        if "169.254.169.254" in text or "169.254.170.2" in text:  # a cloud machine asks for its credentials there
            return PermanentError("there are no credentials", _CREDENTIALS)
        if "redirect without LOCATION" in text:
            return PermanentError("the bucket is in another region", "Set AWS_REGION.")
        if "non-partial response" in text or isinstance(error, errors.NotSupportedError):
            return PermanentError(*NO_RANGES)
        if (status := _status(error)) is not None:
            return status_error(status)
        if "kind: Connect" in text:
            reason = "its name can't be resolved" if "dns error" in text else "it can't be reached"
            return TransientError(reason, answered=False)
        return TransientError("the connection broke")

    def close(self) -> None:
        """Do nothing: connections end with the store."""


def _check_endpoints() -> None:
    """Raise PermanentError if the environment names an endpoint or a proxy that is not a URL, because obstore would
    panic.
    """
    for name, value in os.environ.items():
        if value and _ENDPOINT.fullmatch(name):
            try:
                parts = urlsplit(value if "://" in value or "ENDPOINT" in name else f"http://{value}")
                valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
                valid = valid and not _BLANK.search(value)
            except ValueError:
                valid = False
            if not valid:
                raise PermanentError(
                    f"{name} in the environment is not an http URL", "Set it to http://HOST:PORT, or unset it."
                )


_ENDPOINT = re.compile(r"(AWS|GOOGLE|AZURE)_\w*ENDPOINT\w*|HTTPS?_PROXY|ALL_PROXY", re.IGNORECASE)
_BLANK = re.compile(r"\s")


def _version(meta: Any) -> FileVersion:
    return FileVersion(meta["size"], meta["e_tag"] or meta["last_modified"].isoformat())


def _status(error: Exception) -> int | None:
    """Return the HTTP status in the message of an object store's error."""
    found = re.search(r"status code: (\d{3})", str(error))
    return int(found[1]) if found else None


def status_error(status: int, wait_s: float = 0.0) -> TransientError | PermanentError:
    if status in (408, 409, 425, 429) or status >= 500:
        return TransientError(f"it answers {status}", wait_s=wait_s, throttled=status in (429, 503))
    if status in (404, 410):
        return PermanentError(f"there is nothing ({status})", "Check its spelling.")
    if status in (401, 403):
        todo = "Check that it exists, and the credentials in the environment."
        return PermanentError(f"access is denied ({status})", todo)
    return PermanentError(f"the server answers {status}")
