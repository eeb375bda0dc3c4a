"""What a Ray cluster of our own on this machine is kept in: a folder and a token that nobody else has, removed even
where the driver was killed; and the signal handlers that Ray would replace. No Ray is imported here."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from corpus.storage.private_folder import private_folder


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Put the handlers of signals back that Ray replaces as it starts: at SIGTERM its own one aborts the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


@cache
def ray_folder() -> Path:
    """This process's folder for clusters of its own, with the token without which nobody else may talk to them.

    One token per process: Ray reads it once.
    """
    # short, for socket paths end at 107 characters; private, for who writes there runs code as us
    folder = private_folder("corpus-ray-", "/tmp")
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    return folder
