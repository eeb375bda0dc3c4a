"""One task of a phase of a comparison: the stage, the division of its documents, and the files of earlier phases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from corpus.dedup.contract import DocumentComparison, LineComparison
from corpus.dedup.index import EarlierRun, open_index, shifted
from corpus.dedup.layout import Group, Layout, LineLayout
from corpus.errors import InputChanged
from corpus.stage import BoundStage
from corpus.storage.boxes import Box, one_batch
from corpus.storage.exchange import Files
from corpus.storage.task_commits import Task, get_value

RELAYED = "relay-"


def relay_name(phase: str, kind: str) -> str:
    """Return the name of the phase that relays the files of a kind from another phase, and of the list of its files."""
    return f"{RELAYED}{phase}-{kind}"


@dataclass(frozen=True, kw_only=True)
class ComparisonTask(Task):
    """One task of a phase of the comparison of `bound`, a collective stage under its limits."""

    bound: BoundStage
    against: tuple[str, ...] = ()
    """The locations of the earlier runs' indexes. `lists` has the digests of the indexes."""

    @property
    def document_stage(self) -> DocumentComparison:
        assert isinstance(self.bound.stage, DocumentComparison)
        return self.bound.stage

    @property
    def line_stage(self) -> LineComparison:
        assert isinstance(self.bound.stage, LineComparison)
        return self.bound.stage

    @property
    def threshold(self) -> float:
        """The similarity from which a document is removed."""
        below = self.bound.limits[self.document_stage.rule].below
        assert below is not None, "without a limit nothing is compared"
        return below

    @cached_property
    def archives(self) -> list[str]:
        """The names of all archives: those of this run, then those of earlier runs."""
        return [*self.value("archives"), *(name for run in self.earlier for name in run.archives)]

    @cached_property
    def earlier(self) -> list[EarlierRun]:
        """The earlier runs to compare with, with their numbers in this run."""
        if not self.against:
            return []
        found = [open_index(folder) for folder in self.against]
        if [run.digest for run in found] != self.value("against"):
            raise InputChanged(
                f"The index of an earlier run ({', '.join(self.against)}) has changed since this run began.",
                "Restore it, or build into another folder.",
            )
        return shifted(found, self.layout.documents, len(self.value("archives")))

    @cached_property
    def _files(self) -> dict[tuple[str, str], Files]:
        return {}

    def boxes(self, phase: str, kind: str, reader: int) -> Iterator[Box]:
        """Yield the boxes of one reader in the files of one kind, one for each task of an earlier phase."""
        key = phase, kind
        if key not in self._files:
            relayed = relay_name(phase, kind)
            direct = relayed not in self.lists
            self._files[key] = Files(tuple(self.parts(*key))) if direct else Files.from_dict(self.value(relayed))
        return self._files[key].boxes(self.store, reader)

    def rows(self, phase: str, kind: str, reader: int, schema: pa.Schema) -> pa.RecordBatch:
        """Return the rows of one reader in the files of one kind, as one batch, in the order of the earlier tasks."""
        return one_batch([batch for box in self.boxes(phase, kind, reader) for batch in box.batches(schema)], schema)

    @cached_property
    def layout(self) -> Layout:
        return Layout.from_dict(self.value("layout"))

    @cached_property
    def line_layout(self) -> LineLayout:
        return LineLayout.from_dict(self.value("layout"))

    @cached_property
    def group(self) -> Group:
        return Group.from_dict(get_value(self.store, self.payload["group"]))
