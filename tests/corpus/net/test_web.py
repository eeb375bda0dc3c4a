"""Web servers that mean harm: they drip, redirect, lie about sizes. And environments that name no proxy or endpoint."""

import socket
import threading
from contextlib import contextmanager, suppress

import pytest

import corpus.net.client
import corpus.net.web
from corpus.errors import InputUnreachable
from corpus.net.client import Client, RetryTimes
from corpus.net.transport import PermanentError, TransientError
from corpus.net.web import WebTransport, _Deadline

OK = b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-9/10\r\netag: x\r\n"
ONCE = RetryTimes(first_wait_s=0.001, total_s=0.001, unreached_s=0.001)


class Peer:
    """One answer of a server, and what the client asked."""

    def __init__(self, line):
        self.line = line
        self.asked = line.recv(1 << 16).decode()

    def drip(self, data, byte=b"x"):
        """Send `data`, then one byte after the other until the client hangs up."""
        self.line.sendall(data)
        gone = threading.Event()
        while not gone.wait(0.002):
            self.line.sendall(byte)


@contextmanager
def server(*answers):
    """Serve each connection with the next answer, and yield the URL and the requests."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        asked = []

        def serve():
            for answer in answers:
                with suppress(OSError), listening.accept()[0] as line:
                    peer = Peer(line)
                    asked.append(peer.asked)
                    answer(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x", asked
        listening.shutdown(socket.SHUT_RDWR)  # wakes the thread
        thread.join()


def redirect(location, body=b""):
    head = f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return lambda peer: peer.line.sendall(head.encode() + body)


def read(url, **options):
    with Client(ONCE) as client:
        return bytes(client.read(url, 0, 10, **options)[0])


@pytest.mark.parametrize(
    ("head", "byte"),
    [
        (b"HTTP/1.1 206 OK\r\nx: ", b"x"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK.replace(b"9/10", b"999999/1000000") + b"content-length: 1000000\r\n\r\n", b"x"),
        (OK.replace(b"9/10", b"999999/1000000") + b"connection: close\r\n\r\n", b"x"),
        (OK.replace(b"9/10", b"999999/1000000") + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["a header", "answers before the answer", "a body", "a body to the end", "chunks"],
)
def test_one_deadline_holds_for_a_whole_request(monkeypatch, head, byte):
    """Without it, each byte would renew the patience of 30 s."""
    monkeypatch.setattr(corpus.net.web, "REQUEST_S", 0.3)
    with server(lambda peer: peer.drip(head, byte)) as (url, _), pytest.raises(TransientError) as raised:
        WebTransport("http", "127.0.0.1").get(url, 0, 1_000_000, lambda version: None, bytes)
    assert raised.value.reason == "it is too slow"


def test_headers_without_end_are_refused():
    answers = [lambda peer: peer.drip(b"HTTP/1.1 206 OK\r\n", b"a: b\r\n")] * 2
    with server(*answers) as (url, _), pytest.raises(InputUnreachable, match="the connection broke"):
        read(url)


def test_the_body_of_a_redirect_is_not_read():
    with server(
        lambda peer: peer.drip(
            b"HTTP/1.1 302 Found\r\nlocation: /y\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"
        ),
        lambda peer: peer.line.sendall(OK + b"content-length: 10\r\n\r\n0123456789"),
    ) as (url, asked):
        assert read(url) == b"0123456789"
    assert asked[1].startswith("GET /y ")


def test_name_and_password_go_to_the_first_server_alone():
    last = lambda peer: peer.line.sendall(OK + b"content-length: 10\r\nconnection: close\r\n\r\n0123456789")  # noqa: E731
    with server(last) as (other, theirs), server(redirect("/same"), redirect(other)) as (url, ours):
        assert read(url.replace("http://", "http://user:secret@")) == b"0123456789"
    assert ["authorization" in request.lower() for request in (*ours, *theirs)] == [True, True, False]


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd", "s3://bucket/x"])
def test_a_redirect_to_another_protocol_is_refused(location):
    with server(redirect(location)) as (url, _), pytest.raises(InputUnreachable, match="another protocol"):
        read(url)


def test_a_redirect_from_https_to_http_is_refused(monkeypatch):
    class Answer:
        status, headers = 302, {"location": "http://a.example/x"}

        def close(self):
            pass

    transport = WebTransport("https", "a.example")
    monkeypatch.setattr(transport._pool, "request", lambda *args, **options: Answer())
    with pytest.raises(PermanentError, match="from https to another protocol") as raised:
        transport.get("https://a.example/x", 0, 10, lambda version: None, print)
    assert "from https" in raised.value.reason


def test_endless_redirects_are_refused():
    with (
        server(*[redirect("/again")] * 6) as (url, asked),
        pytest.raises(InputUnreachable, match="redirects too often"),
    ):
        read(url)
    assert len(asked) == 6


class Line:
    """A connection to an address."""

    def __init__(self, address):
        self.address = address

    def getpeername(self):
        return (self.address, 80)

    def fileno(self):
        return self.pair[0].fileno()

    def __enter__(self):
        self.pair = socket.socketpair()
        return self

    def __exit__(self, *exc):
        for one in self.pair:
            one.close()


PRIVATE = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "::1",
           "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1"]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_a_redirect_into_a_private_network_is_refused(address):
    with _Deadline(direct=True).watching() as deadline, Line("8.8.8.8") as first, Line(address) as second:
        deadline.connected(first)
        with pytest.raises(PermanentError) as raised:
            deadline.connected(second)
    assert "private network" in raised.value.reason


@pytest.mark.parametrize(
    "addresses", [("10.0.0.1", "127.0.0.1"), ("127.0.0.1", "8.8.8.8"), ("8.8.8.8", "2606:4700::1")]
)
def test_other_redirects_are_followed(addresses):
    with _Deadline(direct=True).watching() as deadline, Line(addresses[0]) as first, Line(addresses[1]) as second:
        deadline.connected(first)
        deadline.connected(second)


@pytest.mark.parametrize("size", [10**18, 10**30, 1 << 51])
def test_a_claimed_size_beyond_reason_is_refused(size):
    head = f"HTTP/1.1 206 OK\r\ncontent-range: bytes 0-9/{size}\r\netag: x\r\ncontent-length: 10\r\n\r\n0123456789"
    answers = [lambda peer: peer.line.sendall(head.encode())] * 2
    with server(*answers) as (url, _), pytest.raises(InputUnreachable, match=r"claims a size|another range"):
        read(url)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://[bad", "x", "http://a:b", "://"])
def test_a_proxy_that_is_none_is_one_sentence(monkeypatch, proxy):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
    with pytest.raises(InputUnreachable, match="the proxy that the environment names is not one"):
        read("http://a.example/x")


@pytest.mark.parametrize(
    "endpoint", ["not a url", "http://[::1", "ftp://x", "http://127.0.0.1:99999", "127.0.0.1:80", "http://"]
)
def test_an_endpoint_that_is_none_is_one_sentence(monkeypatch, endpoint):
    """The library would panic and print its stack."""
    monkeypatch.setenv("AWS_ENDPOINT", endpoint)
    with pytest.raises(InputUnreachable, match="AWS_ENDPOINT in the environment is not an http URL"):
        read("s3://bucket/x")
