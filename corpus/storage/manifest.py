"""The manifest of a finished run: the list of its files, and what each must be.

    manifest/corpus-00000.json   one file: kind, key, rows, bytes, sha256, and the digest of its footer if it is parquet
    manifest/seal.json           the digests of run.json and of the other files here, and one over these

Page checksums find damage to the data of a parquet file. Nothing in parquet protects the footer, which names columns
and says what may be skipped: of 150 random bits flipped in a ledger, 9 changed what was read without an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.json_data import check_shape, parse_json
from corpus.storage.ahead import ahead
from corpus.storage.commits import Part, damaged, missing, part_of
from corpus.storage.crash_points import reached
from corpus.storage.safe_join import is_plain
from corpus.storage.store import Store, as_json

SEAL = "manifest/seal.json"
_MAGIC = b"PAR1"

_Digest = tuple[str, str]
"""The key of a file of the manifest, and its sha256."""


@dataclass(frozen=True)
class Listed(Part):
    """A file in the manifest. `footer` is the sha256 of its footer if it is a parquet file, else empty."""

    footer: str = ""


def write_manifest(
    store: Store,
    parts: Iterable[Part],
    run_json: bytes,
    watched: Callable[[Iterator[_Digest]], Iterable[_Digest]] = iter,
) -> None:
    """List finished files, and seal the list together with the content that run.json will have.

    `watched` passes on what it gets for each file that is listed, so it can count the files, and stop the work.
    """

    def list_file(part: Part) -> _Digest:
        name = PurePosixPath(part.key)
        listed = Listed(**asdict(part), footer=_footer(store, part) if name.suffix == ".parquet" else "")
        key = f"manifest/{part.kind}-{name.stem.rpartition('-')[2]}.json"
        data = as_json(asdict(listed))
        store.put_new(key, data)
        reached("manifest_file_stored")
        return key, _sha256(data)

    digests = {"run.json": _sha256(run_json), **dict(watched(ahead(list_file, parts)))}
    reached("before_seal")
    store.replace(SEAL, as_json({"files": digests, "sha256": digest(digests)}))


def read_manifest(store: Store, kind: str) -> list[Listed]:
    """Return the listed files of a kind, in order. Raises IntegrityError for a damaged file of the manifest."""
    keys = [key for key in store.keys("manifest") if key.rpartition("-")[0] == f"manifest/{kind}"]
    listed = []
    for key, data in zip(keys, ahead(partial(_content, store), keys), strict=True):
        try:
            entry = parse_json(data)
            check_shape(entry, {"footer": str})
            part = Listed(**asdict(part_of(entry)), footer=entry["footer"])
            if part.kind != kind:
                raise ValueError(f"{key} lists a file of kind {part.kind[:20]!a}")
            if not is_plain(part.key):  # not every reader of a part opens it through the store
                raise ValueError(f"{key} lists a file that may lie outside of the run")
            listed.append(part)
        except ValueError:
            raise damaged(store, key) from None
    return listed


def check_seal(store: Store) -> None:
    """Raise IntegrityError unless run.json and the manifest are complete and unchanged since the run."""
    data = _content(store, SEAL)
    try:
        seal: dict[str, Any] = parse_json(data)
        check_shape(seal, {"files": {str: str}, "sha256": str})
    except ValueError:
        raise damaged(store, SEAL) from None
    files: dict[str, str] = seal["files"]
    whole = digest(files) == seal["sha256"] and data == as_json(seal)
    if not whole:
        raise damaged(store, SEAL)
    for key, data in zip(files, ahead(partial(_content, store), files), strict=True):
        if _sha256(data) != files[key]:
            raise damaged(store, key)
    extra = set(store.keys("manifest")) - {*files, SEAL}
    if extra:
        raise IntegrityError(f"{store.where(min(extra))} does not belong to the run.", "Remove it.")


def checked_path(store: Store, part: Listed) -> Path:
    """Return the path of a listed file that exists with the right size and footer. The caller must check the pages.

    Raises IntegrityError.
    """
    size = store.size(part.key)
    if size is None:
        raise missing(store, part.key)
    if size != part.bytes or (part.footer and _footer(store, part) != part.footer):
        raise damaged(store, part.key)
    return store.local(part.key)


def _content(store: Store, key: str) -> bytes:
    data = store.get(key)
    if data is None:
        raise missing(store, key)
    return data


def _footer(store: Store, part: Part) -> str:
    """Return the sha256 of a parquet file's footer.

    The last 8 bytes give the length of the footer. If they make no sense, return the sha256 of these bytes alone.
    """
    tail = store.read(part.key, max(0, part.bytes - 8), 8)
    length = int.from_bytes(tail[:4], "little") if tail[4:] == _MAGIC else 0
    if 0 < length <= part.bytes - 8:
        tail = store.read(part.key, part.bytes - 8 - length, length + 8)
    return _sha256(tail)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
