"""The register of the outputs made from a run, or from a folder of tokens: `derived/`, with a file for each output.

A takedown can't reach these outputs, but it can name them. An entry has the kind of the output and its folder as the
user gave it. The folder is never read, because a stranger may have written the entry.
"""

from __future__ import annotations

from contextlib import suppress

from corpus.digests import digest
from corpus.errors import CorpusError
from corpus.json_data import check_shape, parse_json
from corpus.net.urls import redact
from corpus.storage.replacing import write_whole
from corpus.storage.store import LocalStore, Location, as_json, open_store
from jobs.runner.terminal import say

_FOLDER = "derived"
_ENTRY = {"kind": str, "name": str}


def register(source: Location, kind: str, out: Location) -> None:
    """Note in the folder `source` that `out` is made from it.

    If the folder can't be written, print a message and continue.
    """
    entry = {"kind": kind, "name": redact(str(out))}
    key = f"{_FOLDER}/{digest(entry)[:32]}.json"
    store = open_store(source)
    try:
        if store.size(key) is not None:
            return
        if isinstance(store, LocalStore):  # `put_new` would make .work, which belongs to the run that holds the folder
            store.path(_FOLDER).mkdir(exist_ok=True)
            write_whole(store.path(key), as_json(entry))
        else:
            store.put_new(key, as_json(entry))
    except (OSError, CorpusError):
        say(f"{store.where()} can't be written, so a takedown there will not name {entry['name']}.")


def registered(source: Location) -> list[dict[str, str]]:
    """Return the entries of a folder, sorted. Files that are not entries are ignored."""
    store = open_store(source)
    found = []
    with suppress(CorpusError):  # there may be a link in the place of the register
        for key in store.keys(_FOLDER):
            with suppress(ValueError):
                entry = parse_json(store.get(key) or b"")
                check_shape(entry, _ENTRY)
                found.append({name: entry[name] for name in _ENTRY})
    return sorted(found, key=lambda entry: (entry["kind"], entry["name"]))
