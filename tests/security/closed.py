"""A page worker that can connect to nothing, and opens no socket once its models are loaded.

For Python, an audit hook raises an error. For native code, a seccomp filter ends the process. So a page that tries to
open a socket shows as another verdict, or as `failed`. (Earlier, urllib3 binds a socket at import to test for IPv6.)
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

import filters
from corpus.pipeline import Pipeline

FACTORY = "tests.security.closed:recipe_from_dict"

_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}.get(platform.machine())
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_KILL, _ALLOW = 0x80000000, 0x7FFF0000


def recipe_from_dict(data, modules=()):
    if (
        getattr(sys.modules["__main__"].__spec__, "name", "") == "corpus.sandbox.page_worker"
    ):  # not the driver, which makes recipes too
        sys.addaudithook(_refuse_to_reach)
        Pipeline.prepare = _prepare
    return filters.recipe_from_dict(data, modules)


_prepare_as_always = Pipeline.prepare


def _prepare(self) -> None:
    _prepare_as_always(self)
    close_native()
    close_python()


def _refuse_to_reach(event, args) -> None:
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"}:
        raise PermissionError(f"a page worker tried {event}")


def close_python() -> None:
    sys.addaudithook(_refuse)


def _refuse(event, args) -> None:
    if event.startswith("socket."):
        raise PermissionError(f"a page worker tried {event}")


def close_native() -> bool:
    """Let the system call `socket` end this process from now on. Return False if the system can't do that."""
    if _SOCKET is None or sys.platform != "linux":
        return False
    architecture, number = _SOCKET
    load, equal, answer = 0x20, 0x15, 0x06
    program = b"".join(
        struct.pack("HBBI", *line)
        for line in (
            (load, 0, 0, 4),  # the architecture
            (equal, 0, 3, architecture),
            (load, 0, 0, 0),  # the number of the call
            (equal, 0, 1, number),
            (answer, 0, 0, _KILL),
            (answer, 0, 0, _ALLOW),
        )
    )
    held = ctypes.create_string_buffer(program, len(program))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(held)))
    libc = ctypes.CDLL(None)
    libc.prctl.argtypes = [ctypes.c_int, *4 * [ctypes.c_ulong]]
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.addressof(described), 0, 0) == 0
