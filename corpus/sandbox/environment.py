"""The environment of a page worker.

Hostile pages may read it, so it has no password, token or key that the worker does not need. The credentials of a store
or proxy are in it only while the worker reads an archive from there.
"""

from __future__ import annotations

import os
import sys

from corpus.errors import CorpusError
from corpus.net.urls import is_url

_ALWAYS = ("PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_ALWAYS_STARTING = ("LC_", "PYTHON", "CORPUS_")

_REMOTE = ("SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
"""The variables for connections.

Both spellings of the proxy variables are passed. The address of a proxy may contain a password.
"""

_STORES = {"s3": ("AWS_",), "gs": ("GOOGLE_",), "az": ("AZURE_", "IDENTITY_", "MSI_")}
"""The variables that obstore reads for each kind of object store."""

IN_PROCESS = "CORPUS_PROCESS"
"""The variable that marks a process of ours."""

_OWN = {
    IN_PROCESS: "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKIO_WORKER_THREADS": "1",
    "ARROW_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # other allocators reserve a gigabyte
}
"""Fixed variables. Each library may use one thread."""


def check_not_ours() -> None:
    """Raise CorpusError in a process that we started. Such a process runs tasks, and never a job of its own."""
    if IN_PROCESS in os.environ:
        raise CorpusError(
            "A process that corpus started for its tasks was told to start a job.",
            "Rename your script if a package has the same name, as each process then imports the script.",
        )


def worker_environment(archive: str) -> dict[str, str]:
    """Return the environment of a page worker that reads `archive`, a path or URL."""
    names, starts = [*_ALWAYS], [*_ALWAYS_STARTING]
    if is_url(archive):
        names += [*_REMOTE, *map(str.upper, _REMOTE)]
        starts += _STORES.get(archive.partition("://")[0].lower(), ())
    passed = {name: value for name, value in os.environ.items() if name in names or name.startswith(tuple(starts))}
    return passed | _OWN | {"PYTHONPATH": python_path()}


def python_path() -> str:
    """Return the PYTHONPATH of a process that must import the same modules as this one."""
    return os.pathsep.join(path or os.getcwd() for path in sys.path)
