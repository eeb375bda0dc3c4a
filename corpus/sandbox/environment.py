"""What a page worker sees of the environment: it touches hostile pages, so no password, token or key that it does not
need. Those of a store or a proxy it gets only for an archive that it reads from there."""

from __future__ import annotations

import os
import sys

from corpus.net.urls import is_url

_ALWAYS = ("PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_ALWAYS_STARTING = ("LC_", "PYTHON", "CORPUS_")

_REMOTE = ("SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
"""Proxies in either spelling; their addresses may hold a password."""

_STORES = {"s3": ("AWS_",), "gs": ("GOOGLE_",), "az": ("AZURE_", "IDENTITY_", "MSI_")}
"""What obstore reads for each kind of object store."""

_OWN = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKIO_WORKER_THREADS": "1",
    "ARROW_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve a gigabyte
}
"""One thread per library."""


def worker_environment(archive: str) -> dict[str, str]:
    """The environment of a page worker that reads `archive`, a path or URL: our import path, and what it needs."""
    names, starts = [*_ALWAYS], [*_ALWAYS_STARTING]
    if is_url(archive):
        names += [*_REMOTE, *map(str.upper, _REMOTE)]
        starts += _STORES.get(archive.partition("://")[0].lower(), ())
    passed = {name: value for name, value in os.environ.items() if name in names or name.startswith(tuple(starts))}
    return passed | _OWN | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
