"""A finished run, for reading: what ran, the ledger, the corpus.

run = open_run("out")
run.info["records"]["kept"]
run.ledger.to_table(filter=pc.field("outcome") == "dropped")
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.commits import Part, check_part
from corpus.dedup.index import open_index
from corpus.errors import InputError, IntegrityError
from corpus.explain import explain
from corpus.ledger import balances, total
from corpus.limits import Settings
from corpus.manifest import SEAL, check_seal, checked_path, read_manifest
from corpus.mask import mask_url
from corpus.retuned import Retuned, retune
from corpus.store import Location, Store, open_store
from corpus.swap import check_no_swap

if TYPE_CHECKING:
    import pyarrow.dataset as ds


@dataclass(frozen=True)
class Run:
    """Where a run is, and its run.json."""

    store: Store
    info: dict[str, Any]

    @property
    def place(self) -> str:
        """Its folder, or its URL."""
        return self.store.place

    @property
    def ledger(self) -> ds.Dataset:
        """One row per record, lazily."""
        return self._dataset("ledger")

    @property
    def corpus(self) -> ds.Dataset:
        """One row per kept page, lazily."""
        return self._dataset("corpus")

    def _dataset(self, kind: str) -> ds.Dataset:
        import pyarrow.dataset as ds  # with it comes pandas: not for page workers, which import this package too

        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        form = ds.ParquetFileFormat(default_fragment_scan_options=options)
        return ds.dataset([str(path) for path in self.paths(kind)], format=form)

    def parts(self, kind: str) -> list[Part]:
        """The committed files of a kind, in order, from the manifest."""
        listed = read_manifest(self.store, kind)
        return [Part(part.kind, part.key, part.rows, part.bytes, part.sha256) for part in listed]

    def paths(self, kind: str) -> list[Path]:
        """The committed files of a kind, in order. Raises IntegrityError where one is missing, or can be seen to be
        damaged before its pages are read (whose checksums a reader must check)."""
        return [checked_path(self.store, part) for part in read_manifest(self.store, kind)]

    def places(self) -> dict[str, str]:
        """Where the archives lay that the run read, by name: paths, or URLs without what is secret in them."""
        data = self.store.get("timings.json")
        return dict(json.loads(data).get("inputs", {})) if data else {}

    def find(self, url_or_id: str) -> list[dict[str, Any]]:
        """The ledger rows of a URL (as crawled or masked) or of a record id."""
        condition = (pc.field("url") == mask_url(url_or_id)) | (pc.field("id") == url_or_id)
        rows: list[dict[str, Any]] = self.ledger.to_table(filter=condition).to_pylist()
        return rows

    def explain(self, url_or_id: str) -> list[dict[str, Any]]:
        """Every ledger row of a URL or id, with its measures beside their limits, and the text where kept.

        Raises InputError where the ledger has none.
        """
        return explain(self, url_or_id)

    def retune(self, settings: Settings) -> Retuned:
        """What other limits would change, such as {"gopher_quality.words.min": 30}, from the ledger alone.

        Raises ConfigError for what is no limit of the recipe.
        """
        return retune(self, settings)

    def text_of(self, record_id: str) -> str | None:
        """The text of a kept record."""
        found = self.corpus.to_table(columns=["text"], filter=pc.field("id") == record_id)
        return found["text"][0].as_py() if found.num_rows else None

    def verify(self) -> dict[str, int]:
        """Re-read every committed file. Returns rows by kind; raises IntegrityError naming the file."""
        store = self.store
        check_seal(store)
        rows: dict[str, int] = {}
        for kind in ("corpus", "ledger", "samples"):
            expected = self.parts(kind)
            listed = {key for key in store.keys(kind) if key.endswith(".parquet")}
            extra = listed - {part.key for part in expected}
            if extra or not expected:
                what = f"{min(extra)} is not in the manifest" if extra else f"the manifest lists no {kind}"
                raise IntegrityError(f"{store.where()}: {what}.", "Restore the folder, or build again.")
            rows[kind] = 0
            for part in expected:
                content = pa.BufferReader(check_part(store, part))
                found = pq.read_table(content, page_checksum_verification=True).num_rows
                if found != part.rows:
                    raise IntegrityError(
                        f"{store.where(part.key)} has {found} rows, not {part.rows}.", "Please report this."
                    )
                rows[kind] += found
        self._check_books(rows)
        self._check_index(store)
        return rows

    def _check_index(self, store: Store) -> None:
        for signed in self.parts("signatures"):
            check_part(store, signed)
        if self.info.get("index") is not None:
            index = store.where("index/index.json")
            if store.size("index/index.json") is None:
                raise IntegrityError(f"{index} is missing.", "Restore it, or build again.")
            found = open_index(store.place)
            if found.digest != self.info["index"]:
                raise IntegrityError(f"{index} is not the one of run.json.", "Build again.")
            for part in found.parts:
                for file in (part.keys, part.texts, part.docs):
                    check_part(store, file)

    def _check_books(self, rows: dict[str, int]) -> None:
        counts = self.info["records"]
        if not balances(counts) or counts["in"] != rows["ledger"] or counts["kept"] != rows["corpus"]:
            raise IntegrityError(
                f"{self.store.where('run.json')} does not balance with its files: {counts} but {rows} rows.",
                "Build again.",
            )
        outcomes = self.ledger.to_table(columns=["outcome"])["outcome"]
        for outcome in ("kept", "dropped", "failed", "skipped"):
            written = pc.sum(pc.equal(outcomes, outcome)).as_py() or 0
            if written != total(counts[outcome]):
                raise IntegrityError(
                    f"{self.store.where()}: run.json counts {total(counts[outcome])} {outcome}, "
                    f"the ledger holds {written}.",
                    "Build again.",
                )


def open_run(folder: Location) -> Run:
    """The run in a folder, or under a URL. Raises InputError where there is none, or it is not finished."""
    store = open_store(folder)
    check_no_swap(store)
    data = store.get("run.json")
    if data is None:
        raise InputError(f"{store.where()} holds no finished run.", "Run `corpus build … -o` on it first.")
    try:
        info = json.loads(data)
    except ValueError:
        raise IntegrityError(f"{store.where('run.json')} is damaged.", "Restore it, or build again.") from None
    if store.size(SEAL) is not None:  # where it is missing, `verify` says so
        check_seal(store)
    if not isinstance(info, dict) or not {"recipe", "records"} <= info.keys():
        raise InputError(f"{store.where('run.json')} is of another program.", "Name the folder of a finished run.")
    return Run(store, info)
