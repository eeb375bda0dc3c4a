"""Which code and which libraries made a result: part of every fingerprint."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata, resources

LIBRARIES = (
    "brotli", "fasttext-predict", "lxml", "numpy", "phonenumbers", "presidio-analyzer", "pyarrow", "regex",
    "resiliparse", "spacy", "tldextract", "trafilatura", "xxhash", "zstandard",
)  # fmt: skip
"""Libraries whose version can change a decision, a text or the bytes of a file."""


def versions() -> dict[str, str]:
    """Our version, a digest of our code, the CPU architecture, Python's and the libraries' versions."""
    found = {"corpus": metadata.version("corpus"), "code": code_digest()}
    found |= {"machine": platform.machine(), "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in LIBRARIES}


def code_digest() -> str:
    """A digest of the source of `corpus` and `filters`, which decide what comes out."""
    total = hashlib.sha256()
    for package in ("corpus", "filters"):
        _add(resources.files(package), package, total)
    return total.hexdigest()[:16]


def _add(folder: resources.abc.Traversable, name: str, total: hashlib._Hash) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        inner = f"{name}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            _add(entry, inner, total)
        elif entry.name.endswith((".py", ".toml", ".txt")):
            content = entry.read_bytes()
            total.update(f"{inner} {len(content)}\n".encode() + content)
