"""A real S3 server (SeaweedFS), on the loopback by default, and a proxy in front of it that makes faults."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.waiting import wait_until

KEY, SECRET = "corpus-test", "canary-of-a-secret-key"
BUCKET = "runs"


class S3Server:
    """A server that is started, with an empty bucket."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        names = ("s3.port", "master.port", "volume.port", "filer.port")
        names += tuple(f"{name}.grpc" for name in names)
        free = free_ports(len(names))
        self.port = free[0]
        config = folder / "s3.json"
        who = {"name": "t", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        config.write_text(json.dumps({"identities": [who]}))
        (folder / "data").mkdir()
        ports = [f"-{name}={port}" for name, port in zip(names, free, strict=True)]
        command = [
            str(Path(sys.executable).with_name("weed")), "server", f"-dir={folder / 'data'}", f"-ip={host}",
            f"-ip.bind={host}", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0", *ports, f"-s3.config={config}",
            "-master.volumeSizeLimitMB=64", "-volume.max=40", "-master.telemetry=false",
        ]  # fmt: skip
        log = (folder / "log").open("wb")
        self.temporary = tempfile.mkdtemp(prefix="weed-", dir="/tmp")  # for its log files
        self.ports = free
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            env={**os.environ, "TMPDIR": self.temporary},
        )
        log.close()
        self.url = f"http://{host}:{self.port}"

    def environment(self, url: str = "") -> dict[str, str]:
        """The variables that a client needs."""
        return {
            "AWS_ENDPOINT": url or self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def wait(self) -> None:
        """Wait until the server has stored an object: it answers requests before it can store."""
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        bucket = S3Store(
            BUCKET, endpoint=self.url, access_key_id=KEY, secret_access_key=SECRET, region="us-east-1",
            client_options={"allow_http": True}, retry_config={"max_retries": 0},
        )  # fmt: skip

        def stores() -> bool:
            said = (self.folder / "log").read_text(errors="replace")[-2000:]
            assert self.process.poll() is None, f"SeaweedFS does not start:\n{said}"
            with suppress(BaseError):
                bucket.put("probe", b"1")
                bucket.delete("probe")
                return True
            return False

        wait_until(stores)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        shutil.rmtree(self.temporary, ignore_errors=True)
        for port in self.ports:
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket_file.unlink()


@contextmanager
def s3_server(folder: Path, host: str = "127.0.0.1") -> Iterator[S3Server]:
    folder.mkdir(parents=True, exist_ok=True)
    server = S3Server(folder, host)
    try:
        server.wait()
        yield server
    finally:
        server.close()


class FaultProxy(ThreadingHTTPServer):
    """Passes requests on to `port`, except for faults. `fault` names one for each request:

    503, 500, 409: the proxy answers, and the server never sees the request; `lost`: the server does what is asked, but
    its answer is lost; `reset`: the connection breaks in the middle of the request's body, or of the answer's; `slow`:
    the body comes in small pieces; `deaf`: every PUT succeeds, whatever its condition; `stuck`: half of the body is
    read, `held` is set, and then nothing more happens.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int, fault: Callable[[str, str], str] = lambda method, path: "") -> None:
        super().__init__(("127.0.0.1", 0), _Proxied)
        self.port = port
        self.fault = fault
        self.made: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self.held = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address) -> None:
        """Do nothing: a client may go away."""


class _Proxied(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultProxy

    def log_message(self, format, *args) -> None:
        pass

    def do(self) -> None:
        server, length = self.server, int(self.headers.get("content-length") or 0)
        with server.lock:
            server.asked.append((self.command, self.path))
            fault = server.fault(self.command, self.path)
            if fault:
                server.made[fault] = server.made.get(fault, 0) + 1
        if fault == "reset" and length:
            self.rfile.read(length // 2)
            self.cut()
            return
        if fault == "stuck":
            self.rfile.read(length // 2)
            server.held.set()
            self.connection.recv(1 << 30, socket.MSG_WAITALL)  # until the client is gone
            return
        body = self.rfile.read(length)
        if fault.isdigit():
            self.refuse(int(fault))
            return
        if fault == "deaf" and self.command == "PUT":
            self.send_response_only(200)
            self.send_header("ETag", '"0"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        there = http.client.HTTPConnection("127.0.0.1", server.port)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        there.request(self.command, self.path, body or None, headers)
        answer = there.getresponse()
        content = answer.read()
        there.close()
        if fault == "lost":
            self.cut()
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        told = answer.getheader("content-length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", told or "0")
        self.end_headers()
        if fault == "reset":
            self.wfile.write(content[: len(content) // 2])
            self.cut()
        elif fault == "slow":
            for start in range(0, len(content), max(len(content) // 5, 1)):
                self.wfile.write(content[start : start + max(len(content) // 5, 1)])
                self.wfile.flush()
                time.sleep(0.05)  # this is the fault, not a wait
        else:
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do

    def refuse(self, status: int) -> None:
        code = {503: "SlowDown", 409: "ConditionalRequestConflict"}.get(status, "InternalError")
        content = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>as asked</Message></Error>'.encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def cut(self) -> None:
        """Break the connection by a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


@contextmanager
def fault_proxy(port: int) -> Iterator[FaultProxy]:
    proxy = FaultProxy(port)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


def at_random(seed: int, rate: float, faults: tuple[str, ...]) -> Callable[[str, str], str]:
    """Return a function that draws faults for a share of all requests. Only PUTs, which are conditional, get a 409."""
    drawn = random.Random(seed)

    def fault(method: str, path: str) -> str:
        found = drawn.choice(faults) if drawn.random() < rate else ""
        return "503" if found == "409" and method != "PUT" else found

    return fault


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
