"""A web server over a folder, on the loopback: it speaks as much of S3's protocol as reading needs, and misbehaves on
demand."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest


class Server(ThreadingHTTPServer):
    """Serves `folder`. `faults` are taken one per GET, in order: see `_Handler.fault`; `always` is for every GET."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.faults: list[str] = []
        self.always = ""
        self.etags = True
        self.asked: list[tuple[str, int, int]] = []
        """(path with query, first byte, number of bytes sent) of each GET."""
        self.headers: list[dict[str, str]] = []
        self.before = lambda path: None
        """Called before each answer."""
        self.lock = threading.Lock()
        self.connections = 0
        self.open: list[socket.socket] = []

    def get_request(self):
        self.connections += 1
        accepted = super().get_request()
        self.open.append(accepted[0])
        return accepted

    def server_close(self) -> None:
        for connection in self.open:  # connections that clients keep for later
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address) -> None:
        """Do nothing: a client may go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format, *args) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer()

    def answer(self, body=True) -> None:
        parts = urlsplit(self.path)
        self.server.before(parts.path)
        with self.server.lock:
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
            fault = self.server.faults.pop(0) if self.server.faults else self.server.always
        if "list-type" in parse_qs(parts.query, keep_blank_values=True):
            self.send(200, self.listing(parts), {"content-type": "application/xml"})
            return
        file = self.server.folder / unquote(parts.path).lstrip("/")
        if fault[:3].isdecimal():  # "503" or "4290": the last digit past three is Retry-After
            self.send(int(fault[:3]), b"<Error><Code>SlowDown</Code></Error>", {"retry-after": fault[3:] or "0"})
        elif not file.is_file():
            self.send(404, b"")
        else:
            self.send_file(file, fault, body)

    def send_file(self, file: Path, fault: str, body: bool) -> None:
        data = file.read_bytes()
        headers = {"last-modified": "Mon, 05 Jan 2026 00:00:00 GMT"}
        if self.server.etags:
            headers["etag"] = '"' + hashlib.md5(data).hexdigest() + '"'
        told = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if not told or fault == "no-ranges":
            self.send(200, data, headers, body)
            return
        first, last = int(told[1]), min(int(told[2]), len(data) - 1)
        if first >= len(data):
            self.send(416, b"", {"content-range": f"bytes */{len(data)}"})
            return
        piece = data[first : last + 1]
        with self.server.lock:
            self.server.asked.append((self.path, first, len(piece)))
        if fault == "shifted":
            first, piece = first + 1, piece[1:] + b"?"
        if fault == "short":
            piece = piece[: len(piece) // 2 + 1]
        headers["content-range"] = f"bytes {first}-{first + len(piece) - 1}/{len(data)}"
        if fault == "reset":
            self.send(206, piece, headers, cut=len(piece) // 2)
        elif fault == "vanish":
            self.close_connection = True
        else:
            self.send(206, piece, headers, body)

    def send(self, status: int, data: bytes, headers=None, body=True, cut=None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            self.close_connection = True

    def listing(self, parts) -> bytes:
        """ListObjectsV2, two keys a page."""
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        bucket = self.server.folder / unquote(parts.path).strip("/")
        keys = sorted(file.relative_to(bucket).as_posix() for file in bucket.rglob("*") if file.is_file())
        keys = [key for key in keys if key.startswith(query.get("prefix", ""))]
        start = int(query.get("continuation-token", "0"))
        page, more = keys[start : start + 2], start + 2 < len(keys)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{(bucket / key).stat().st_size}</Size>"
            "<LastModified>2026-01-05T00:00:00.000Z</LastModified><ETag>x</ETag></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{start + 2}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}</ListBucketResult>"
        ).encode()


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving_s3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve a folder of buckets, where `s3://` paths are read from."""
    with serving(folder) as server:
        read_from(server, monkeypatch)
        yield server


def read_from(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `s3://` paths be read from this server."""
    monkeypatch.setenv("AWS_ENDPOINT", server.url)
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
