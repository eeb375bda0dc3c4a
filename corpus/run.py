"""A finished run: its files, and the questions that they answer, such as `explain` and `tune`.

run = open_run("out")
run.counts["kept"]
run.ledger(columns=["url", "rule"], filter=pc.field("outcome") == "dropped")
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING

from corpus.dedup.index import open_index
from corpus.errors import IntegrityError
from corpus.notebook import run_html
from corpus.revise.explain import explain as explain_page
from corpus.revise.what_if import what_if
from corpus.runs.funnel import funnel
from corpus.runs.row_groups import read_batches
from corpus.runs.run_files import RunFiles
from corpus.storage.commits import check_part
from corpus.storage.manifest import check_seal
from corpus.storage.parquet_files import ParquetFile
from corpus.storage.store import Location, Store
from corpus.tables.ledger import Counts, balances, total

if TYPE_CHECKING:
    from jobs.python import ReportPage

_ROWS = 1 << 16


class Run(RunFiles):
    """A finished run."""

    explain = explain_page
    tune = what_if

    @property
    def counts(self) -> Counts:
        """The numbers of records: in, kept, dropped by stage and rule, failed and skipped by kind."""
        counts: Counts = self.info["records"]
        return counts

    def report(self) -> ReportPage:
        """Return the report as a page, which a notebook shows."""
        page: ReportPage = import_module("jobs.python").report(self)  # the only way up from this package, see corpus
        return page

    def _repr_html_(self) -> str:
        lines = [(row.name, row.records, row.left, row.rules) for row in funnel(self.info)]
        title = f"{self.location}: {self.counts['in']:,} records, {self.counts['kept']:,} kept, recipe "
        return run_html(title + self.info["recipe"]["name"], lines)

    def __repr__(self) -> str:
        return f"<Run {self.location}: {self.counts['in']:,} records, {self.counts['kept']:,} kept>"

    def verify(self) -> dict[str, int]:
        """Read every committed file again, and return the number of rows by kind. Raises IntegrityError, which names
        the file."""
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
                with ParquetFile(check_part(store, part), store.where(part.key)) as file:
                    found = sum(batch.num_rows for batch in file.batches())
                if found != part.rows:
                    what = f"{store.where(part.key)} has {found} rows, not {part.rows}."
                    raise IntegrityError(what, "Please report this.")
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
            found = open_index(store.location)
            if found.digest != self.info["index"]:
                raise IntegrityError(f"{index} is not the index that run.json names.", "Build again.")
            for part in found.parts:
                for file in (part.keys, part.texts, part.docs):
                    check_part(store, file)

    def check_counts(self, rows: dict[str, int] | None = None) -> None:
        """Raise IntegrityError unless the counts of run.json equal the rows of the files.

        By default, the manifest gives the rows.
        """
        rows = rows or {kind: sum(part.rows for part in self.parts(kind)) for kind in ("ledger", "corpus")}
        counts = self.info["records"]
        if not balances(counts) or counts["in"] != rows["ledger"] or counts["kept"] != rows["corpus"]:
            what = f"{self.store.where('run.json')} does not balance with its files: {counts} but {rows} rows."
            raise IntegrityError(what, "Build again.")

    def _check_books(self, rows: dict[str, int]) -> None:
        self.check_counts(rows)
        counts = self.info["records"]
        outcomes = Counter(
            outcome
            for batch in read_batches(self.paths("ledger"), ["outcome"], _ROWS)
            for outcome in batch["outcome"].to_pylist()
        )
        for outcome in ("kept", "dropped", "failed", "skipped"):
            written = outcomes[outcome]
            if written != total(counts[outcome]):
                what = f"run.json counts {total(counts[outcome])} {outcome}, the ledger holds {written}"
                raise IntegrityError(f"{self.store.where()}: {what}.", "Build again.")


def open_run(folder: Location) -> Run:
    """Return the run in a folder or under a URL. Raises InputError if there is no finished run."""
    return Run.open(folder)
