"""Single requests to a web server (urllib3) or an object store (obstore), each imported when it is first asked.

Nothing here asks twice: `Trouble` is what may be over in a while, `Refusal` what will not. Neither quotes a library's
message, since those hold the whole URL, with its credentials and signatures.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from corpus.net.urls import OBJECT_STORES, object_key

CONNECT_S = 10.0
READ_S = 30.0
"""How long a server may say nothing."""

REQUEST_S = 300.0
"""How long one request may take: a block of 8 MiB at 28 KB/s. What is sent has only this limit, since the other one
counts while a server listens, too."""

CONNECTIONS = 8
"""Requests at a time of one process to one server."""


@dataclass(frozen=True)
class Stat:
    """What a file is known by while a run lasts: its size, and its ETag, or where there is none its time of change."""

    size: int
    mark: str


class Trouble(Exception):
    """A request that may succeed later. `after` is the number of seconds that the server asked us to wait, `throttled`
    says that it has too many requests, `answered` that there is a server at all."""

    def __init__(self, reason: str, *, after: float = 0.0, throttled: bool = False, answered: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.throttled = throttled
        self.answered = answered


class Refusal(Exception):
    """A request that would fail again: why, and what to do."""

    def __init__(self, reason: str, todo: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.todo = todo


class Transport(Protocol):
    """One server, or one bucket."""

    def get(
        self, url: str, offset: int, length: int, check: Callable[[Stat], None], sink: Callable[[Any], None]
    ) -> None:
        """Hand the bytes from `offset` to `sink` piece by piece, at most `length` of them, after `check` has seen what
        file they are of. Raises Trouble or Refusal; what `sink` got before that is good."""

    def list(self, prefix: str) -> list[str]:
        """The keys below a prefix of a bucket."""

    def close(self) -> None: ...


def open_transport(url: str) -> Transport:
    """The transport for a URL's server or bucket."""
    parts = urlsplit(url)
    if parts.scheme in OBJECT_STORES:
        return Objects(f"{parts.scheme}://{parts.netloc}")
    return _Http(parts.scheme, parts.hostname or "")


class _Http:
    """A web server. Redirects are followed, proxies and certificates are those of the environment."""

    def __init__(self, scheme: str, host: str) -> None:
        import urllib.request

        import urllib3

        self._errors = urllib3.exceptions
        self._retry_after = urllib3.Retry().get_retry_after
        self._make_headers = urllib3.make_headers
        options: dict[str, Any] = {
            "maxsize": CONNECTIONS,
            "timeout": urllib3.Timeout(connect=CONNECT_S, read=READ_S),
            "retries": urllib3.Retry(
                connect=False, read=False, redirect=5, status=0, other=0, respect_retry_after_header=False
            ),
        }
        proxy = urllib.request.getproxies().get(scheme)
        self._pool = (
            urllib3.ProxyManager(proxy, **options)
            if proxy and not urllib.request.proxy_bypass(host)
            else urllib3.PoolManager(**options)
        )
        self._agent = f"corpus/{metadata.version('corpus')}"

    def get(
        self, url: str, offset: int, length: int, check: Callable[[Stat], None], sink: Callable[[Any], None]
    ) -> None:
        parts = urlsplit(url)
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
        headers = {
            "range": f"bytes={offset}-{offset + length - 1}",
            "accept-encoding": "identity",
            "user-agent": self._agent,
        }
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers |= self._make_headers(basic_auth=user)
        deadline = time.monotonic() + REQUEST_S
        try:
            response = self._pool.request("GET", bare, headers=headers, preload_content=False, decode_content=False)
            try:
                stat, expected = self._answered(response, offset, length)
                check(stat)
                for piece in response.stream(1 << 18, decode_content=False):
                    sink(memoryview(piece)[:expected])
                    expected -= len(piece)
                    if expected <= 0:
                        break
                    if time.monotonic() > deadline:
                        raise Trouble("it is too slow")
            finally:
                response.close()  # a connection whose answer was read to its end is in the pool again by now
        except self._errors.HTTPError as error:
            raise self._explained(error) from None
        if expected > 0:
            raise Trouble("the connection broke")

    def _answered(self, response: Any, offset: int, length: int) -> tuple[Stat, int]:
        """What file an answer is of, and how many bytes of it follow."""
        headers, status = response.headers, response.status
        mark = headers.get("etag") or headers.get("last-modified") or ""
        if status == 206:
            told = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("content-range", ""))
            first, last, size = map(int, told.groups()) if told else (-1, 0, 0)
            if first != offset or not offset <= last < min(offset + length, size):
                raise Trouble("it sends another range than the one asked for")
            return Stat(size, mark), last - offset + 1
        if status == 200:
            size = headers.get("content-length", "")
            if offset == 0 and size.isdecimal() and int(size) <= length:  # the range was all of it
                return Stat(int(size), mark), int(size)
            raise Refusal("the server does not serve ranges", "Download the file and give its path.")
        if status == 416:
            told = re.fullmatch(r"bytes \*/(\d+)", headers.get("content-range", ""))
            return Stat(int(told[1]) if told else 0, mark), 0
        if status in (408, 409, 425, 429) or status >= 500:
            raise Trouble(f"it answers {status}", after=self._asked_to_wait(response), throttled=status in (429, 503))
        raise _refusal(status)

    def _asked_to_wait(self, response: Any) -> float:
        try:
            return self._retry_after(response) or 0.0
        except self._errors.HTTPError:  # a header that is neither seconds nor a date
            return 0.0

    def _explained(self, error: Exception) -> Exception:
        errors = self._errors
        reason = getattr(error, "reason", None)
        if isinstance(error, errors.MaxRetryError) and isinstance(reason, Exception):
            error = reason
        if isinstance(error, errors.SSLError):
            return Refusal(
                "no TLS connection to it can be trusted", "Set SSL_CERT_FILE where an authority of your own signs."
            )
        if isinstance(error, errors.ResponseError):
            return Refusal("it redirects too often")
        if isinstance(error, errors.LocationValueError):
            return Refusal("this is no URL", "Check its spelling.")
        if isinstance(error, errors.NameResolutionError):
            return Trouble("its name can't be resolved", answered=False)
        if isinstance(error, errors.NewConnectionError | errors.ConnectTimeoutError | errors.ProxyError):
            return Trouble("it can't be reached", answered=False)
        if isinstance(error, errors.TimeoutError):
            return Trouble("it stopped answering")
        return Trouble("the connection broke")

    def list(self, prefix: str) -> list[str]:
        raise Refusal("a web server has no listing", "Name files, or a crawl with --limit.")

    def close(self) -> None:
        self._pool.clear()


class Objects:
    """A bucket. Credentials and endpoint are those of the environment or the machine; AWS_SKIP_SIGNATURE=true asks
    without any."""

    def __init__(self, root: str) -> None:
        from datetime import timedelta

        import obstore
        from obstore.store import from_url

        self._get, self._head, self._list = obstore.get, obstore.head, obstore.list
        self._put, self._delete = obstore.put, obstore.delete
        self._errors = obstore.exceptions
        # the server compares what arrives with its SHA-256, and refuses what was changed on the way
        settings: dict[str, Any] = {"checksum_algorithm": "SHA256"} if root.startswith("s3://") else {}
        settings["retry_config"] = {"max_retries": 0, "retry_timeout": timedelta(seconds=REQUEST_S)}  # we ask again
        options: Any = {
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "timeout": timedelta(seconds=REQUEST_S),
            "allow_http": True,  # where the environment names an endpoint without TLS
            "user_agent": f"corpus/{metadata.version('corpus')}",
        }
        try:
            self._sending = from_url(root, **settings, client_options=options)
            options["read_timeout"] = timedelta(seconds=READ_S)
            self._store = from_url(root, **settings, client_options=options)
        except (self._errors.BaseError, ValueError):
            raise Refusal("this is no bucket, or its settings in the environment are wrong") from None

    def get(
        self, url: str, offset: int, length: int, check: Callable[[Stat], None], sink: Callable[[Any], None]
    ) -> None:
        key, found = object_key(url), None
        try:
            try:
                found = self._get(self._store, key, options={"range": (offset, offset + length)})
            except self._errors.BaseError as error:
                if _status(error) != 416:
                    raise
                check(_stat(self._head(self._store, key)))  # there is nothing at `offset`
                return
            check(_stat(found.meta))
            for piece in found.stream(min_chunk_size=1 << 20):
                sink(memoryview(piece))
        except (self._errors.BaseError, OSError) as error:
            if found is not None:
                raise Trouble("the connection broke") from None
            raise self._explained(error) from None

    def list(self, prefix: str) -> list[str]:
        try:
            return [meta["path"] for chunk in self._list(self._store, prefix or None) for meta in chunk]
        except (self._errors.BaseError, OSError) as error:
            raise self._explained(error) from None

    def head(self, key: str) -> Stat | None:
        """What an object is known by, None where there is none."""
        try:
            return _stat(self._head(self._store, key))
        except FileNotFoundError:
            return None
        except (self._errors.BaseError, OSError) as error:
            raise self._explained(error) from None

    def fetch(self, key: str, offset: int, length: int) -> bytes:
        """Bytes of an object from `offset`, fewer than `length` only at its end. Raises FileNotFoundError."""
        try:
            found = self._get(self._store, key, options={"range": (offset, offset + length)})
            return bytes(found.bytes())
        except FileNotFoundError:
            raise
        except (self._errors.BaseError, OSError) as error:
            if _status(error) == 416:
                return b""
            raise self._explained(error) from None

    def put(self, key: str, data: Any, over: str | None = "") -> bool:
        """Store an object in one request: where there is none (`over` is empty), in place of the one whose ETag is
        `over`, or in place of any (None). Whether it was stored; a request whose answer was lost may have been."""
        mode: Any = {"e_tag": over} if over else "overwrite" if over is None else "create"
        try:
            self._put(self._sending, key, data, mode=mode, use_multipart=False)
            return True
        except FileNotFoundError:
            raise Refusal("there is no such bucket (404)", "Check its spelling, or make it.") from None
        except (self._errors.AlreadyExistsError, self._errors.PreconditionError):
            # two at a time, and the server lets neither through: the library says so in the same way
            if over is None or (over == "" and self.head(key) is None):
                raise Trouble("it answers 409") from None
            return False
        except (self._errors.BaseError, OSError) as error:
            raise self._explained(error) from None

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects that may be there."""
        try:
            self._delete(self._sending, keys)
        except FileNotFoundError:
            pass
        except (self._errors.BaseError, OSError) as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> Exception:
        errors = self._errors
        if isinstance(error, FileNotFoundError):
            return _refusal(404)
        if isinstance(error, errors.PermissionDeniedError | errors.UnauthenticatedError):
            return _refusal(403)
        text = str(error)
        if "169.254.169.254" in text or "169.254.170.2" in text:  # where machines of a cloud ask for theirs
            return Refusal("there are no credentials", _CREDENTIALS)
        if "redirect without LOCATION" in text:
            return Refusal("the bucket is in another region", "Set AWS_REGION.")
        if "non-partial response" in text or isinstance(error, errors.NotSupportedError):
            return Refusal("the server does not serve ranges", "Download the file and give its path.")
        status = _status(error)
        if status is None and "kind: Connect" in text:
            return Trouble(
                "its name can't be resolved" if "dns error" in text else "it can't be reached", answered=False
            )
        if status is None:
            return Trouble("the connection broke")
        if status in (408, 409, 425, 429) or status >= 500:
            return Trouble(f"it answers {status}", throttled=status in (429, 503))
        return _refusal(status)

    def close(self) -> None:
        """Nothing: connections end with the store."""


_CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket."


def _stat(meta: Any) -> Stat:
    return Stat(meta["size"], meta["e_tag"] or meta["last_modified"].isoformat())


def _status(error: Exception) -> int | None:
    """The HTTP status that an object store's error tells of."""
    told = re.search(r"status code: (\d{3})", str(error))
    return int(told[1]) if told else None


def _refusal(status: int) -> Refusal:
    if status in (404, 410):
        return Refusal(f"there is nothing ({status})", "Check its spelling.")
    if status in (401, 403):
        return Refusal(f"access is denied ({status})", "Check that it exists, and the credentials in the environment.")
    return Refusal(f"the server answers {status}")
