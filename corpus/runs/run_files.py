"""The files of a finished run, for reading: run.json, ledger, corpus and samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import InputError, IntegrityError
from corpus.json_data import parse_json
from corpus.runs.row_groups import Columns, rows_where
from corpus.runs.urls import is_url
from corpus.storage.commits import Part
from corpus.storage.manifest import SEAL, check_seal, checked_path, read_manifest
from corpus.storage.store import Location, Store, open_store
from corpus.storage.swap import check_no_swap

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_FORMER_COMPARISONS = {
    "signatures": {
        "compares": "documents",
        "kind": "signatures",
        "measures": {name: name for name in ("similarity", "exact", "cluster_size", "preferred")},
    },
    "lines": {"compares": "lines", "kind": "lines", "measures": {}},
}


@dataclass(frozen=True)
class RunFiles:
    """A finished run: its store, and the content of run.json."""

    store: Store
    info: dict[str, Any]

    @classmethod
    def open(cls, folder: Location) -> Self:
        """Return the run in a folder or under a URL. Raises InputError if there is no finished run."""
        store = open_store(folder)
        check_no_swap(store)
        data = store.get("run.json")
        if data is None and store.size(".work/plan.json") is not None:
            raise InputError(
                f"The run in {store.where()} was interrupted, or is still going.", "Run the same `corpus build` again."
            )
        if data is None:
            raise InputError(f"{store.where()} holds no finished run.", "Run `corpus build … -o` on it first.")
        try:
            info = parse_json(data)
        except ValueError:
            raise IntegrityError(f"{store.where('run.json')} is damaged.", "Restore it, or build again.") from None
        if store.size(SEAL) is not None:  # `verify` reports a missing seal
            check_seal(store)
        if not isinstance(info, dict) or not {"recipe", "records"} <= info.keys():
            raise InputError(f"{store.where('run.json')} was not written by corpus.", "Is this the folder of a run?")
        for name, kind in info.get("compared", {}).items():
            if isinstance(kind, str):  # as runs had it until 2026-11
                info["compared"][name] = _FORMER_COMPARISONS[kind]
        return cls(store, info)

    @property
    def location(self) -> str:
        """The path or URL of the run."""
        return self.store.location

    @property
    def ledger(self) -> ds.Dataset:
        """A dataset with one row per record. Rows are read when asked for."""
        return self._dataset("ledger")

    @property
    def corpus(self) -> ds.Dataset:
        """A dataset with one row per kept page. Rows are read when asked for."""
        return self._dataset("corpus")

    def _dataset(self, kind: str) -> ds.Dataset:
        import pyarrow.dataset as ds  # it imports pandas, which page workers must not load

        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        form = ds.ParquetFileFormat(default_fragment_scan_options=options)
        return ds.dataset([str(path) for path in self.paths(kind)], format=form)

    def parts(self, kind: str) -> list[Part]:
        """Return the files of a kind, in order."""
        listed = read_manifest(self.store, kind)
        return [Part(part.kind, part.key, part.rows, part.bytes, part.sha256) for part in listed]

    def paths(self, kind: str) -> list[Path]:
        """Return the paths of the files of a kind, in order. A reader must check the page checksums.

        Raises IntegrityError for a file that is missing, or has another size or footer.
        """
        return [checked_path(self.store, part) for part in read_manifest(self.store, kind)]

    def locations(self) -> dict[str, str]:
        """Return the locations of the run's archives by name: paths, or URLs without their secrets. Nothing vouches for
        timings.json, so it may be missing or hold anything."""
        try:
            found = parse_json(self.store.get("timings.json") or b"")["inputs"].items()
            return {str(name): location for name, location in found if isinstance(location, str)}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}

    def find(self, url_or_id: str) -> list[dict[str, Any]]:
        """Return the ledger rows of a record id or of a URL, however it is written (`corpus/url_identity.py`)."""

        def named(read: Columns) -> pa.Array:
            return pc.or_(pc.equal(read(["id"])["id"], url_or_id), is_url(read(["url"])["url"], url_or_id))

        return [row for table in rows_where(self.paths("ledger"), named) for row in table.to_pylist()]

    def text_of(self, record_id: str) -> str | None:
        """Return the text of a kept record, or None."""
        found = self.corpus.to_table(columns=["text"], filter=pc.field("id") == record_id)
        return found["text"][0].as_py() if found.num_rows else None
