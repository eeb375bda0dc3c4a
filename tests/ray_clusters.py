"""Ray clusters of `ray start` processes, each node with an address and a process of its own: loopback addresses, or a
network namespace for each node."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

RAY = str(Path(sys.executable).with_name("ray"))
STARTED = "Ray runtime started"


def environment(token: Path | None) -> dict[str, str]:
    """The environment of a process with this token, or without any token and without a home that could have one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "HOME": "/nonexistent"}
    own["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), own["PATH"]])
    own["RAY_raylet_start_wait_time_s"] = "120"  # Ray gives up after 30, which a loaded machine may need
    if token:
        own |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    return own


class Network:
    """Network namespaces whose links end at one bridge, which has the first address."""

    def __init__(self) -> None:
        self._name = f"ct{os.getpid()}"
        self._joined: list[int] = []
        ip("link", "add", self._name, "type", "bridge")
        ip("address", "add", f"{self.address(1)}/24", "dev", self._name)
        ip("link", "set", self._name, "up")

    def address(self, number: int) -> str:
        return f"198.18.{os.getpid() % 256}.{number}"  # of the addresses for tests of networks (RFC 2544)

    def join(self, number: int) -> None:
        """Make a namespace with a link to the bridge."""
        there, link = f"{self._name}-{number}", self._link(number)
        ip("netns", "add", there)
        self._joined.append(number)
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", there)
        ip("link", "set", link, "master", self._name, "up")
        ip("-n", there, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
        for one in ("lo", "eth0"):
            ip("-n", there, "link", "set", one, "up")

    def _link(self, number: int) -> str:
        return f"{self._name}v{number}"

    def within(self, number: int) -> tuple[str, ...]:
        """What runs a command in a namespace."""
        return ("ip", "netns", "exec", f"{self._name}-{number}")

    def cut(self, number: int) -> None:
        ip("link", "set", self._link(number), "down")

    def restore(self, number: int) -> None:
        ip("link", "set", self._link(number), "up")

    def processes(self, number: int) -> list[int]:
        return [int(pid) for pid in ip("netns", "pids", f"{self._name}-{number}").split()]

    def kill(self, number: int) -> None:
        """Kill all processes of a namespace, also those that they start meanwhile."""
        while pids := self.processes(number):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        for number in self._joined:
            self.kill(number)
            ip("netns", "delete", f"{self._name}-{number}")
        for link in (*map(self._link, self._joined), self._name):
            subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


@contextmanager
def network() -> Iterator[Network]:
    """Make a bridge. Skip the test where this is not allowed."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root and iproute2")
    try:
        made = Network()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no bridge can be made here: {error.stderr.strip()}")
    try:
        yield made
    finally:
        made.close()


class Cluster:
    """A head (number 1) that takes no tasks, with a dashboard if wanted, and the nodes that `add` starts."""

    def __init__(
        self,
        folder: Path,
        token: Path | None,
        dashboard: bool = False,
        network: Network | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.env = environment(token) if token else environment(None) | {"RAY_AUTH_MODE": "disabled"}
        self.env |= environ or {}
        self.network = network
        self.nodes: list[subprocess.Popen[str]] = []
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            port, web = one.getsockname()[1], two.getsockname()[1]
        self.address, self.dashboard = f"{self.address_of(1)}:{port}", f"http://127.0.0.1:{web}"
        look = ["--dashboard-host=127.0.0.1", f"--dashboard-port={web}"] if dashboard else ["--include-dashboard=false"]
        self._start(["--head", f"--port={port}", *look, f"--temp-dir={folder}"], 1, cpus=0)

    def address_of(self, number: int) -> str:
        return self.network.address(number) if self.network else f"127.0.0.{number}"

    def add(self, before: tuple[str, ...] = ()) -> None:
        """Start a node with two CPUs; `before` is a command that runs it."""
        number = len(self.nodes) + 1
        if self.network:
            self.network.join(number)
            before = (*before, *self.network.within(number))
        self._start([f"--address={self.address}"], number, cpus=2, before=before)

    def _start(self, how: list[str], number: int, cpus: int, before: tuple[str, ...] = ()) -> None:
        """Start a node, up to three times: Ray gives up if one of its processes needs 15 s to start."""
        command = [
            *before, RAY, "start", *how, f"--node-ip-address={self.address_of(number)}", f"--num-cpus={cpus}",
            "--block", "--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0",
            "--include-log-monitor=false",
        ]  # fmt: skip
        said = []
        for _ in range(3):
            node = subprocess.Popen(
                command, env=self.env, cwd=self.folder, text=True, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            assert node.stdout is not None
            for line in node.stdout:
                said.append(line)
                if STARTED in line:
                    self.nodes.append(node)
                    return
            node.wait()
        raise AssertionError("".join(said))

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.send_signal(signal.SIGTERM)
        for node in reversed(self.nodes):
            node.communicate()


@contextmanager
def cluster(
    token: Path | None, dashboard: bool = False, network: Network | None = None, **environ: str
) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short, since socket paths end at 107 characters
    made = None
    try:
        made = Cluster(folder, token, dashboard, network, environ)
        made.add()
        yield made
    finally:
        if made:
            made.close()
        shutil.rmtree(folder, ignore_errors=True)
