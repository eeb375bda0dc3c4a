"""Ray clusters of `ray start` processes on loopback addresses, each node with an address and a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RAY = str(Path(sys.executable).with_name("ray"))
STARTED = "Ray runtime started"


def environment(token: Path | None) -> dict[str, str]:
    """The environment of a process with this token, or without any token and without a home that could have one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "HOME": "/nonexistent"}
    own["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), own["PATH"]])
    own["RAY_raylet_start_wait_time_s"] = "86400"  # Ray gives up after 30, which a loaded machine may need
    if token:
        own |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    return own


class Cluster:
    """A head that takes no tasks, on 127.0.0.1, with a dashboard if wanted, and the nodes that `add` starts."""

    def __init__(self, folder: Path, token: Path | None, dashboard: bool = False) -> None:
        self.folder = folder
        self.env = environment(token) if token else environment(None) | {"RAY_AUTH_MODE": "disabled"}
        self.nodes: list[subprocess.Popen[str]] = []
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            port, web = one.getsockname()[1], two.getsockname()[1]
        self.address, self.dashboard = f"127.0.0.1:{port}", f"http://127.0.0.1:{web}"
        look = ["--dashboard-host=127.0.0.1", f"--dashboard-port={web}"] if dashboard else ["--include-dashboard=false"]
        self._start(["--head", f"--port={port}", *look, f"--temp-dir={folder}"], 1, cpus=0)

    def add(self, before: tuple[str, ...] = ()) -> None:
        """Start a node with two CPUs; `before` is a command that runs it."""
        self._start([f"--address={self.address}"], len(self.nodes) + 1, cpus=2, before=before)

    def _start(self, how: list[str], number: int, cpus: int, before: tuple[str, ...] = ()) -> None:
        command = [
            *before, RAY, "start", *how, f"--node-ip-address=127.0.0.{number}", f"--num-cpus={cpus}", "--block",
            "--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0",
        ]  # fmt: skip
        node = subprocess.Popen(
            command, env=self.env, cwd=self.folder, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.nodes.append(node)
        said = []
        assert node.stdout is not None
        for line in node.stdout:
            said.append(line)
            if STARTED in line:
                return
        raise AssertionError("".join(said))

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.send_signal(signal.SIGTERM)
        for node in reversed(self.nodes):
            node.communicate()


@contextmanager
def cluster(token: Path | None, dashboard: bool = False) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short, since socket paths end at 107 characters
    made = None
    try:
        made = Cluster(folder, token, dashboard)
        made.add()
        yield made
    finally:
        if made:
            made.close()
        shutil.rmtree(folder, ignore_errors=True)
