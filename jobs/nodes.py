"""What every node of a cluster must have before work is sent there: the run's own folder, our code, and Ray's token.

The driver leaves a mark in the folder. A node that has the folder sees it, and leaves an answer that the driver sees.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError, CorpusError, OutputError
from corpus.recipe import differences
from corpus.version import versions


class Mark:
    """A file of the driver's in the folder of a run, under a name that was never used before."""

    def __init__(self, folder: Path) -> None:
        self._root = folder.resolve()
        self._folder = self._root / ".work" / "tmp" / f"nodes-{secrets.token_hex(8)}"
        self._folder.mkdir(parents=True)
        self.file = self._folder / "driver"
        self.file.touch()

    def answered(self, name: str) -> bool:
        return (self._folder / name).exists()

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        for folder in (self._root / ".work" / "tmp", self._root / ".work"):
            with suppress(OSError):  # not empty, or gone already: the run is complete
                folder.rmdir()


def sees(mark: str) -> bool:
    """Whether this node has the folder that the driver left its mark in."""
    return not mark or Path(mark).exists()


def look_around(mark: str, name: str) -> dict[str, Any]:
    """What a node says of itself; where it sees the mark it leaves an answer called `name` beside it."""
    seen = sees(mark)
    if mark and seen:
        with suppress(OSError):  # the driver does not find it, then
            Path(mark).with_name(name).touch()
    return {"host": socket.gethostname(), "sees": seen, "versions": versions(), "auth": os.environ.get("RAY_AUTH_MODE")}


def check_node(told: dict[str, Any], name: str, mark: Mark | None, insecure: bool) -> None:
    """Raise CorpusError where a node can't be given work: `told` is what `look_around` found there."""
    host = told["host"]
    if told["auth"] != "token" and not insecure:
        raise ConfigError(
            f"The cluster's node {host} takes work from whoever reaches it, without a token.", _TOKEN_OR_FLAG
        )
    differ = differences(told["versions"], versions())
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
        "Give an -o that all nodes share, such as a mounted file system.",
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
