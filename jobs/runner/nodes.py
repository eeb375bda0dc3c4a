"""The checks of a cluster before work is sent to it. Every node must have our code, Ray's token and the output folder.

The driver writes a mark into the folder. A node that has the folder sees the mark, and writes an answer for the driver.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from corpus.digests import differences
from corpus.errors import ConfigError, CorpusError, OutputError
from corpus.storage.store import LocalStore, Location, open_store
from corpus.version import ALL_ROOMS, versions


class NodeFacts(TypedDict):
    """The answer of a node about itself."""

    host: str
    sees: bool
    versions: dict[str, str]
    auth: str | None


class Mark:
    """A file that the driver writes into the output folder, under a name that was never used before."""

    def __init__(self, location: Location) -> None:
        self._store = open_store(location)
        self._folder = f".work/tmp/nodes-{secrets.token_hex(8)}"
        self.address = [self._store.location, self._folder]
        """The store and the folder in it, for tasks."""
        self._store.put_new(f"{self._folder}/driver", b"1")

    def remove(self) -> None:
        self._store.remove(self._folder)
        if isinstance(self._store, LocalStore):
            for folder in (".work/tmp", ".work"):
                with suppress(OSError):  # the folder is not empty, or it is already removed because the run is complete
                    self._store.path(folder).rmdir()


def sees_mark(mark: Sequence[str]) -> bool:
    """Return True if this node sees the mark at this address. If the address is empty, return True."""
    try:
        return not mark or open_store(mark[0]).size(f"{mark[1]}/driver") is not None
    except CorpusError:
        return False


def describe_node(mark: Sequence[str], name: str) -> NodeFacts:
    """Describe this node. If the node sees the mark, it writes an answer called `name` next to the mark."""
    seen = sees_mark(mark)
    if mark and seen:
        with suppress(OSError, CorpusError):  # the driver will notice that the answer is missing
            open_store(mark[0]).put_new(f"{mark[1]}/{name}", b"1")
    auth = os.environ.get("RAY_AUTH_MODE")
    return {"host": socket.gethostname(), "sees": seen, "versions": versions(ALL_ROOMS), "auth": auth}


def check_node(facts: NodeFacts, name: str, mark: Sequence[str], insecure: bool) -> None:
    """Raise CorpusError if a node must not get work."""
    host = facts["host"]
    if facts["auth"] != "token" and not insecure:
        raise ConfigError(f"The cluster's node {host} takes work from anyone, without a token.", _TOKEN_OR_FLAG)
    differ = differences(facts["versions"], versions(ALL_ROOMS))
    if differ:
        shown = ", ".join(differ[:3])
        raise ConfigError(f"The node {host} has other code (there → here): {shown}.", INSTALL)
    if mark and not (facts["sees"] and open_store(mark[0]).size(f"{mark[1]}/{name}") is not None):
        raise unshared(host)


def unshared(host: str) -> CorpusError:
    return OutputError(
        f"The node {host} does not have the output folder, or can't write to it.",
        "Give an -o that all nodes share: a mounted file system, or s3://.",
    )


def require_token(address: str) -> None:
    """Raise ConfigError if there is no token for a cluster. Ray would join it without one."""
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    has_token = named or (Path.home() / ".ray" / "auth_token").exists()
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token" or not has_token:
        raise ConfigError(f"There is no token for the cluster at {address}.", _TOKEN_OR_FLAG)
    os.environ["RAY_AUTH_MODE"] = "token"


def require_answer(address: str) -> None:
    """Raise ConfigError if no server answers at an address. Ray would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        todo = "Give host:port of its head, such as 10.0.0.1:6379. For a dashboard see docs/cluster.md."
        raise ConfigError(f"{address} is not the address of a Ray cluster.", todo)
    why = "the server there does not speak gRPC"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S) as connection:
            connection.sendall(_HTTP2)
            if os.environ.get("RAY_USE_TLS") == "1" or connection.recv(len(_SETTINGS))[3:4] == _SETTINGS[3:4]:
                return
    except (OSError, OverflowError) as error:
        why = str(error)
    todo = "Check the address, and that the cluster runs, or run without --address."
    raise ConfigError(f"No Ray cluster answers at {address}: {why}.", todo)


_CONNECT_S = 20.0
_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS
"""The beginning of HTTP/2, which gRPC uses, and the frame with which both sides begin.

The fourth byte of the frame is its type.
"""

INSTALL = "Install the same on all machines."

_TOKEN_OR_FLAG = (
    "Start it with RAY_AUTH_MODE=token and the token in ~/.ray/auth_token of each machine (see docs/cluster.md), or "
    "pass --insecure-cluster where nobody else can reach it."
)
