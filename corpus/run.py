"""A finished run, for reading: what ran, the ledger, the corpus.

run = open_run("out")
run.info["records"]["kept"]
run.ledger.to_table(filter=pc.field("outcome") == "dropped")
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from corpus.commits import Part, check_part
from corpus.dedup.index import open_index
from corpus.errors import InputError, IntegrityError
from corpus.ledger import balances, total
from corpus.mask import mask_url
from corpus.store import LocalStore


@dataclass(frozen=True)
class Run:
    """The folder of a run with its run.json."""

    folder: Path
    info: dict[str, Any]

    @property
    def ledger(self) -> ds.Dataset:
        """One row per record, lazily."""
        return self._dataset("ledger")

    @property
    def corpus(self) -> ds.Dataset:
        """One row per kept page, lazily."""
        return self._dataset("corpus")

    def _dataset(self, kind: str) -> ds.Dataset:
        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        form = ds.ParquetFileFormat(default_fragment_scan_options=options)
        return ds.dataset([str(self._path(part)) for part in self.parts(kind)], format=form)

    def parts(self, kind: str) -> list[Part]:
        """The committed files of a kind, in order, from the manifest."""
        store = LocalStore(self.folder)
        found = [json.loads(store.get(key) or b"") for key in store.keys("manifest")]
        return [part for part in (Part(**data) for data in found) if part.kind == kind]

    def _path(self, part: Part) -> Path:
        path = LocalStore(self.folder).path(part.key)
        if not path.exists():
            raise IntegrityError(f"{path} is missing.", "Restore it, or build again.")
        return path

    def find(self, url_or_id: str) -> list[dict[str, Any]]:
        """The ledger rows of a URL (as crawled or masked) or of a record id."""
        condition = (ds.field("url") == mask_url(url_or_id)) | (ds.field("id") == url_or_id)
        rows: list[dict[str, Any]] = self.ledger.to_table(filter=condition).to_pylist()
        return rows

    def text_of(self, record_id: str) -> str | None:
        """The text of a kept record."""
        found = self.corpus.to_table(columns=["text"], filter=ds.field("id") == record_id)
        return found["text"][0].as_py() if found.num_rows else None

    def verify(self) -> dict[str, int]:
        """Re-read every committed file. Returns rows by kind; raises IntegrityError naming the file."""
        store = LocalStore(self.folder)
        rows: dict[str, int] = {}
        for kind in ("corpus", "ledger", "samples"):
            expected = self.parts(kind)
            listed = {key for key in store.keys(kind) if key.endswith(".parquet")}
            extra = listed - {part.key for part in expected}
            if extra or not expected:
                what = f"{min(extra)} is not in the manifest" if extra else f"the manifest lists no {kind}"
                raise IntegrityError(f"{self.folder}: {what}.", "Restore the folder, or build again.")
            rows[kind] = 0
            for part in expected:
                path = check_part(store, part)
                rows[kind] += pq.read_table(path, page_checksum_verification=True).num_rows
        self._check_books(rows)
        self._check_index(store)
        return rows

    def _check_index(self, store: LocalStore) -> None:
        if self.info.get("index") is not None:
            found = open_index(self.folder)
            if found.digest != self.info["index"]:
                raise IntegrityError(f"{self.folder}: the index is not the one of run.json.", "Build again.")
            for part in found.parts:
                for file in (part.keys, part.texts, part.docs):
                    check_part(store, file)

    def _check_books(self, rows: dict[str, int]) -> None:
        counts = self.info["records"]
        if not balances(counts) or counts["in"] != rows["ledger"] or counts["kept"] != rows["corpus"]:
            raise IntegrityError(
                f"{self.folder}/run.json does not balance with its files: {counts} but {rows} rows.", "Build again."
            )
        outcomes = self.ledger.to_table(columns=["outcome"])["outcome"]
        for outcome in ("kept", "dropped", "failed", "skipped"):
            written = pc.sum(pc.equal(outcomes, outcome)).as_py() or 0
            if written != total(counts[outcome]):
                raise IntegrityError(
                    f"{self.folder}: run.json counts {total(counts[outcome])} {outcome}, the ledger holds {written}.",
                    "Build again.",
                )


def open_run(folder: str | Path) -> Run:
    """The run in a folder. Raises InputError where there is none, or it is not finished."""
    path = Path(folder) / "run.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} holds no finished run.", "Run `corpus build … -o` on it first.") from None
    except ValueError:
        raise IntegrityError(f"{path} is damaged.", "Restore it, or build again.") from None
    return Run(Path(folder), info)
