"""The start of Ray, and what is said if it fails."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from corpus.errors import ConfigError, CorpusError
from corpus.storage.private_folder import private_folder
from jobs.runner import nodes, ray_engine
from jobs.runner.nodes import require_answer
from jobs.runner.ray_engine import RayEngine


@pytest.fixture(autouse=True, scope="module")
def own_token():
    """Ray takes its token when it is first imported, which a test here may do before one that starts a cluster."""
    ray_engine.ray_folder()


@pytest.fixture
def temporary(monkeypatch):
    """A function that makes the folder for temporary files, with a path of so many characters."""
    made = Path(tempfile.mkdtemp(dir="/tmp", prefix="c"))

    def make(characters):
        folder = made / ("x" * (characters - len(f"{made}/")))
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        private_folder.cache_clear()
        return folder

    yield make
    private_folder.cache_clear()
    shutil.rmtree(made)


class EnoughError(Exception):
    """Ends Ray's start after it has named its sockets."""


def sockets(folder, monkeypatch):
    """The paths of sockets by Ray's own code, in the process with the largest number that Linux gives."""
    from ray._private import node
    from ray._private.parameter import RayParams

    def enough(node):
        raise EnoughError

    found = []
    monkeypatch.setattr(os, "getpid", lambda: 2**22)
    monkeypatch.setattr(node, "validate_socket_filepath", found.append)
    monkeypatch.setattr(node.Node, "_get_object_spilling_config", enough)
    with pytest.raises(EnoughError):
        node.Node(RayParams(temp_dir=str(folder)), head=True, shutdown_at_exit=False, spawn_reaper=False)
    return found


def test_paths_of_sockets_fit(temporary, monkeypatch) -> None:
    parent = temporary(ray_engine._LONGEST_PARENT)
    folder = ray_engine._short_folder()
    assert folder.parent == parent
    assert {len(path) for path in sockets(folder / "99", monkeypatch)} == {101, 107}


def test_a_folder_with_a_longer_path_is_not_used(temporary, capsys) -> None:
    parent = temporary(ray_engine._LONGEST_PARENT + 1)
    assert ray_engine._short_folder().parent == Path("/tmp")
    assert f"Ray's files go to /tmp: {parent} is not writable, or too long" in capsys.readouterr().err


def test_a_folder_that_is_not_writable_is_not_used(monkeypatch, temporary) -> None:
    other = temporary(20)

    def in_other_only(prefix, parent):
        if parent == "/tmp":
            raise OSError(30, "Read-only file system")
        return Path(tempfile.mkdtemp(dir=other, prefix=prefix))

    monkeypatch.setattr(ray_engine, "private_folder", in_other_only)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert ray_engine._short_folder().parent == other


def test_without_any_folder_the_reason_is_said(monkeypatch) -> None:
    def nowhere(prefix, parent):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(ray_engine, "private_folder", nowhere)
    with pytest.raises(ConfigError, match=r"a path of at most \d+ characters\. Name one in TMPDIR\."):
        ray_engine._short_folder()


@pytest.fixture
def stand_in(monkeypatch):
    """A module in place of Ray. Its `init` writes a log, prints as native code does, and raises `raises`, but not when
    it is called for the time `succeeds`."""
    ray, exceptions = ModuleType("ray"), ModuleType("ray.exceptions")

    def init(address, **options):
        print("a warning", file=sys.stderr)
        os.write(2, b"[2026-11-28 22:44:54,974 W] rpc_client.h:153: Failed to connect\n")
        if "_temp_dir" in options:
            logs = Path(options["_temp_dir"]) / "session_latest" / "logs"
            logs.mkdir(parents=True)
            (logs / "raylet.out").write_text("why")
        ray.calls += 1
        if ray.calls != ray.succeeds:
            raise ray.raises

    ray.calls = ray.succeeds = 0
    ray.cluster_resources = lambda: {"CPU": 3.0}
    ray.remote = lambda function: function
    ray.shutdown = lambda: None
    ray.init = init
    ray.exceptions = exceptions
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", exceptions)
    return ray


@pytest.mark.parametrize("kind", [Exception, RuntimeError, OSError, AssertionError])
def test_whatever_ray_raises_at_its_start_is_one_sentence(stand_in, capfd, kind) -> None:
    stand_in.raises = kind("The current node timed out during startup. Some raylet failed.\nMore lines")
    with pytest.raises(CorpusError) as failed:
        RayEngine(1)
    assert failed.value.what == "Ray does not start: The current node timed out during startup. Some raylet failed."
    logs = Path(failed.value.todo.rpartition(" ")[2])
    assert (logs / "raylet.out").read_text() == "why"
    shutil.rmtree(logs.parent)
    once_more = "Ray did not start. Starting it once more…\n"
    assert capfd.readouterr().err == once_more.join(["Starting Ray…\na warning\n", "a warning\n", "a warning\n"])


@pytest.mark.parametrize("address", [None, "local"])
def test_ray_is_started_again_in_another_folder(stand_in, monkeypatch, address) -> None:
    """A machine may have been too busy."""
    stand_in.raises, stand_in.succeeds = Exception("The current node timed out during startup."), 3
    engine = RayEngine(None, address)
    assert engine.workers == 3
    assert engine._temp.is_dir()
    engine.close()
    assert not engine._temp.exists()


def test_an_error_without_words_is_named_by_its_class(stand_in) -> None:
    stand_in.raises = TimeoutError()
    with pytest.raises(CorpusError, match=r"Ray does not start: TimeoutError\. Run without Ray") as failed:
        RayEngine(1)
    shutil.rmtree(Path(failed.value.todo.rpartition(" ")[2]).parent)


@pytest.fixture
def server():
    """A function that starts a server, which answers to anything with the given bytes, and gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def start(answer):
            def serve():
                connection, _ = listening.accept()
                with connection, suppress(ConnectionError):
                    connection.recv(100)
                    connection.sendall(answer)
                    connection.recv(100)

            threading.Thread(target=serve, daemon=True).start()
            return f"127.0.0.1:{listening.getsockname()[1]}"

        yield start


SETTINGS = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 127, 255, 255, 255])


def test_a_cluster_that_can_not_be_joined_is_one_sentence(stand_in, server, monkeypatch, capfd) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x" * 32)
    stand_in.raises = ConnectionError("Failed to connect.")
    address = server(SETTINGS)
    with pytest.raises(ConfigError, match=rf"cluster at {address} can't be joined: Failed to connect\. Check"):
        RayEngine(1, address)
    assert capfd.readouterr().err == f"Joining the Ray cluster at {address}…\na warning\n"


def test_nobody_answers(server, monkeypatch) -> None:
    with pytest.raises(
        ConfigError, match=r"No Ray cluster answers at 127\.0\.0\.1:1: \[Errno 111\] Connection refused"
    ):
        require_answer("127.0.0.1:1")
    with pytest.raises(ConfigError, match="does not speak gRPC"):
        require_answer(server(b"HTTP/1.0 400 Bad Request\r\n\r\n"))
    monkeypatch.setattr(nodes, "_CONNECT_S", 0.05)
    with pytest.raises(ConfigError, match="timed out"):
        require_answer(server(b""))


def test_a_cluster_answers(server) -> None:
    require_answer(server(SETTINGS))


@pytest.mark.parametrize(
    "address", ["ray://10.0.0.1:10001", "http://127.0.0.1:8265", "10.0.0.1", ":6379", "head:x", ""]
)
def test_what_is_no_address_is_refused_before_anybody_is_asked(address) -> None:
    with pytest.raises(ConfigError, match=r"is not the address of a Ray cluster\. Give host:port"):
        require_answer(address)


@pytest.mark.parametrize("port", [0, 65536, 10**10])
def test_a_port_that_is_none(port) -> None:
    with pytest.raises(ConfigError, match="No Ray cluster answers"):
        require_answer(f"127.0.0.1:{port}")
