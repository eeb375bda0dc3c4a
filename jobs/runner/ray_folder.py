"""The private folder and token of a Ray cluster on this machine, and the signal handlers that Ray would replace.

The folder is removed even if the driver is killed. Ray is not imported here.
"""

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
    """Restore the signal handlers that Ray replaces at its start. Its SIGTERM handler would abort the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


@cache
def ray_folder() -> Path:
    """The folder for Ray clusters of this process. Only the holder of the token in it can talk to them.

    There is one token per process, because Ray reads it once.
    """
    # a short path, as socket paths end at 107 characters; private, as whoever writes there runs code as us
    folder = private_folder("corpus-ray-", "/tmp")
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    return folder
