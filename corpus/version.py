"""The versions of the code and the libraries that made a result. The versions are part of every fingerprint."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from functools import cache
from importlib import metadata, resources
from importlib.resources.abc import Traversable

from native import kernels

LIBRARIES = (
    "babel", "brotli", "ftfy", "idna", "lxml", "numpy", "orjson", "phonenumbers",
    "presidio-analyzer", "pyarrow", "regex", "resiliparse", "spacy", "tldextract", "trafilatura", "xxhash", "zstandard",
)  # fmt: skip
"""The libraries whose version can change a decision, a text or the bytes of a file."""

PASS_ROOMS = (
    "corpus/collective.py", "corpus/document.py", "corpus/outcome.py", "corpus/pipeline.py", "corpus/recipes.py",
    "corpus/stage.py", "corpus/url_identity.py", "corpus/dedup", "corpus/documents", "corpus/sandbox",
    "corpus/storage/boxes.py", "corpus/tables", "corpus/text", "corpus/warc", "filters",
)  # fmt: skip
"""The rooms that decide the bytes of a run. Other rooms only read, move or show results."""

REPLAY_ROOMS = (*PASS_ROOMS, "corpus/revise")
"""The rooms that decide the bytes of a replay."""

CHOICE_ROOMS = ("jobs/build/choice.py", "jobs/build/crawl_index.py")
"""The files that decide which pages of a crawl are chosen."""

ALL_ROOMS = ("corpus", "filters", "jobs")

TOKEN_ROOMS = ("corpus/tokens", "corpus/storage/boxes.py")
"""The rooms that decide the bytes of tokens and exports."""


def versions(rooms: Iterable[str] = PASS_ROOMS) -> dict[str, str]:
    """Return our version, digests of the code in `rooms` and of the kernels, the CPU architecture, and the versions of
    Python and of the libraries.
    """
    found = {"corpus": metadata.version("corpus"), "code": code_digest(rooms), "kernels": kernels.SOURCE_DIGEST}
    found |= {"machine": platform.machine(), "python": platform.python_version()}
    return found | _library_versions()


@cache
def _library_versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in LIBRARIES}


def code_digest(rooms: Iterable[str], root: Traversable | None = None) -> str:
    """Return a digest of the source files in some rooms. `root` is the folder that holds the packages."""
    total = hashlib.sha256()
    for room in rooms:
        package, *path = room.split("/")
        entry = resources.files(package) if root is None else root.joinpath(package)
        _add(entry.joinpath(*path) if path else entry, room, total)
    return total.hexdigest()[:16]


def _add(entry: Traversable, name: str, total: hashlib._Hash) -> None:
    if entry.is_dir():
        for inner in sorted(entry.iterdir(), key=lambda entry: entry.name):
            if inner.name != "__pycache__":
                _add(inner, f"{name}/{inner.name}", total)
    elif name.endswith((".py", ".toml", ".txt")):
        content = entry.read_bytes()
        total.update(f"{name} {len(content)}\n".encode() + content)
