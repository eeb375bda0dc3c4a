"""What every node of a cluster must have before work is sent there: the run's own folder, our code, and Ray's token.

The driver leaves a mark in the folder. A node that has the folder sees it, and leaves an answer that the driver sees.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from corpus.digests import differences
from corpus.errors import ConfigError, CorpusError, OutputError
from corpus.storage.store import LocalStore, Location, open_store
from corpus.version import ALL_ROOMS, versions


class Mark:
    """A file of the driver's in the folder of a run, under a name that was never used before."""

    def __init__(self, place: Location) -> None:
        self._store = open_store(place)
        self._folder = f".work/tmp/nodes-{secrets.token_hex(8)}"
        self.told = [self._store.place, self._folder]
        self._store.put_new(f"{self._folder}/driver", b"1")

    def answered(self, name: str) -> bool:
        return self._store.size(f"{self._folder}/{name}") is not None

    def remove(self) -> None:
        self._store.remove(self._folder)
        if isinstance(self._store, LocalStore):
            for folder in (".work/tmp", ".work"):
                with suppress(OSError):  # not empty, or gone already: the run is complete
                    self._store.path(folder).rmdir()


def sees(mark: list[str]) -> bool:
    """Whether this node has the folder that the driver left its mark in, which `Mark.told` tells."""
    try:
        return not mark or open_store(mark[0]).size(f"{mark[1]}/driver") is not None
    except CorpusError:
        return False


def look_around(mark: list[str], name: str) -> dict[str, Any]:
    """What a node says of itself; where it sees the mark it leaves an answer called `name` beside it."""
    seen = sees(mark)
    if mark and seen:
        with suppress(OSError, CorpusError):  # the driver does not find it, then
            open_store(mark[0]).put_new(f"{mark[1]}/{name}", b"1")
    found = {"host": socket.gethostname(), "sees": seen, "versions": versions(ALL_ROOMS)}
    return {**found, "auth": os.environ.get("RAY_AUTH_MODE")}


def check_node(told: dict[str, Any], name: str, mark: Mark | None, insecure: bool) -> None:
    """Raise CorpusError where a node can't be given work: `told` is what `look_around` found there."""
    host = told["host"]
    if told["auth"] != "token" and not insecure:
        raise ConfigError(
            f"The cluster's node {host} takes work from whoever reaches it, without a token.", _TOKEN_OR_FLAG
        )
    differ = differences(told["versions"], versions(ALL_ROOMS))
    if differ:
        raise ConfigError(
            f"The node {host} has other code (there → here): {', '.join(differ[:3])}.",
            "Install the same on all machines.",
        )
    if mark is not None and not (told["sees"] and mark.answered(name)):
        raise unshared(host)


def unshared(host: str) -> CorpusError:
    return OutputError(
        f"The node {host} does not have the output folder, or may not write there.",
        "Give an -o that all nodes share: a mounted file system, or s3://.",
    )


def require_token(address: str) -> None:
    """Raise ConfigError where nothing proves who we are to a cluster: Ray would join it without a token."""
    has_token = (
        os.environ.get("RAY_AUTH_TOKEN")
        or os.environ.get("RAY_AUTH_TOKEN_PATH")
        or (Path.home() / ".ray" / "auth_token").exists()
    )
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token" or not has_token:
        raise ConfigError(f"There is no token for the cluster at {address}.", _TOKEN_OR_FLAG)
    os.environ["RAY_AUTH_MODE"] = "token"


_TOKEN_OR_FLAG = (
    "Start it with RAY_AUTH_MODE=token and the token in ~/.ray/auth_token of each machine (see docs/cluster.md), or "
    "pass --insecure-cluster where nobody else can reach it."
)
