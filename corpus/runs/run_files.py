"""The files of a finished run, for reading: run.json, ledger, corpus and samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from corpus.document import Document
from corpus.errors import InputError, IntegrityError
from corpus.json_data import parse_json
from corpus.runs.row_groups import Columns, Rows, row_groups, rows_where, schema_of
from corpus.runs.run_json import check_run_json
from corpus.runs.urls import is_url
from corpus.storage.commits import Part
from corpus.storage.manifest import SEAL, check_seal, checked_path, read_manifest
from corpus.storage.parquet_files import ParquetFile
from corpus.storage.store import Location, Store, open_store
from corpus.storage.swap import check_no_swap
from corpus.tables.ledger import MEASURE_TYPES, corpus_schema, hidden_names, ledger_schema, ledger_url
from corpus.tables.samples import SAMPLES_SCHEMA

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_ROWS = 1024

_SCHEMAS = {"ledger": ledger_schema({}), "corpus": corpus_schema({"keep": True}), "samples": SAMPLES_SCHEMA}


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
                f"The run in {store.where()} has not ended.",
                "If it was interrupted, run the same `corpus build` again.",
            )
        if data is None:
            raise InputError(f"{store.where()} holds no finished run.", "Name the folder that `corpus build -o` wrote.")
        try:
            info = parse_json(data)
        except ValueError:
            raise IntegrityError(f"{store.where('run.json')} is damaged.", "Restore it, or build again.") from None
        if store.size(SEAL) is not None:  # `verify` reports a missing seal
            check_seal(store)
        try:
            check_run_json(info)
        except ValueError as error:
            where = store.where("run.json")
            raise InputError(f"{where} was not written by corpus: {error}.", "Is this the folder of a run?") from None
        return cls(store, info)

    @property
    def location(self) -> str:
        """The path or URL of the run."""
        return self.store.location

    def ledger(self, columns: Sequence[str] | None = None, filter: pc.Expression | None = None) -> pa.Table:
        """Return the ledger as a table: one row per record, or those for which `filter` is true."""
        return self.dataset("ledger").to_table(columns=columns and list(columns), filter=filter)

    def corpus(self, columns: Sequence[str] | None = None, filter: pc.Expression | None = None) -> pa.Table:
        """Return the corpus as a table: one row per kept page, or those for which `filter` is true."""
        return self.dataset("corpus").to_table(columns=columns and list(columns), filter=filter)

    def documents(self) -> Iterator[Document]:
        """Yield the kept documents, in the order of the corpus. One row group at a time is in memory."""
        names = ["id", "url", "date", "text", "language", "language_score"]
        for path in self.paths("corpus"):
            with ParquetFile(path) as file:
                for batch in file.batches(_ROWS, names):
                    for row in batch.to_pylist():
                        score = row.pop("language_score")
                        doc = Document(**row)
                        doc.language_score = score
                        yield doc

    def dataset(self, kind: str) -> ds.Dataset:
        """Return the "ledger" or the "corpus" as an Arrow dataset, whose rows are read when they are asked for."""
        import pyarrow.dataset as ds  # pyarrow.dataset imports pandas, which page workers must not load

        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        form = ds.ParquetFileFormat(default_fragment_scan_options=options)
        paths = self.paths(kind)
        for path in paths:
            with ParquetFile(path) as file:
                file.check()
        return ds.dataset([str(path) for path in paths], format=form)

    def parts(self, kind: str) -> list[Part]:
        """Return the files of a kind, in order."""
        listed = read_manifest(self.store, kind)
        return [Part(part.kind, part.key, part.rows, part.bytes, part.sha256) for part in listed]

    def paths(self, kind: str) -> list[Path]:
        """Return the paths of the files of a kind, in order. The caller must check the page checksums.

        Raises IntegrityError for a file that is missing, or that has another size or footer.
        """
        listed = read_manifest(self.store, kind)
        if not listed and kind in ("ledger", "corpus"):
            what = f"{self.store.where()}: the manifest lists no {kind}."
            raise IntegrityError(what, "Restore the folder, or build again.")
        paths = [checked_path(self.store, part) for part in listed]
        for path in paths:
            self._check_types(kind, path)
        return paths

    def groups(self, kind: str) -> Sequence[Rows]:
        """Return the row groups of a kind, in order."""
        return row_groups(self.paths(kind))

    def _check_types(self, kind: str, path: Path) -> None:
        known = {field.name: field.type for field in _SCHEMAS.get(kind, ())}
        if kind == "ledger":
            known |= {name: MEASURE_TYPES[of] for name, of in self.info["columns"].items()}
        for field in schema_of(path):
            if known.get(field.name, field.type) != field.type:
                raise IntegrityError(f"{path} has a column `{field.name!a}` of {field.type}.", "Build again.")

    def locations(self) -> dict[str, str]:
        """Return the locations of the run's archives by name: paths, or URLs without their secrets.

        The locations come from timings.json. No digest protects this file, so it may be missing or hold anything.
        """
        try:
            found = parse_json(self.store.get("timings.json") or b"")["inputs"].items()
            return {str(name): location for name, location in found if isinstance(location, str)}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}

    def find(self, url_or_id: str) -> list[dict[str, Any]]:
        """Return the ledger rows of a URL or of an id.

        All ways of writing the URL count (`corpus/url_identity.py`). An id is ours, or the one that the record or
        document had.
        """
        stored = ledger_url(url_or_id)
        own = pa.array([stored, hidden_names("", stored)[1]])

        def named(read: Columns) -> pa.Array:
            is_id = pc.or_(pc.equal(read(["id"])["id"], url_or_id), pc.is_in(read(["record_id"])["record_id"], own))
            return pc.or_(is_id, is_url(read(["url"])["url"], url_or_id))

        return [row for table in rows_where(self.groups("ledger"), named) for row in table.to_pylist()]

    def text_of(self, record_id: str) -> str | None:
        """Return the text of a kept record, or None."""
        found = rows_where(self.groups("corpus"), lambda read: pc.equal(read(["id"])["id"], record_id), ["text"])
        return next((table["text"][0].as_py() for table in found), None)
