"""A copy of a run's ledger in files that are mapped into memory, for many questions to the same ledger.

Reading a column of a parquet file decodes it each time, which takes most of the time of a what-if. In the copy, a
column is an array on disk. Each row group of the ledger has a file of its own, so that a copy that was interrupted is
continued, and a group that has no copy yet is read from the ledger.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.runs.row_groups import Columns, RowGroup, Rows, row_groups
from corpus.runs.run_files import RunFiles
from corpus.storage.replacing import replacing

_FORMAT = 1
"""The form of the files. Another form has another number."""

_FEW_VALUES = ("warc", "outcome", "stage", "rule")
_SMALL = 1 << 31
_LEFT_OUT = ("record_id", "length")
"""Columns that are seldom read. They are read from the ledger."""


class CopiedGroup:
    """A row group of a ledger, and its copy. Columns that the copy lacks are read from the ledger."""

    def __init__(self, group: RowGroup, path: Path) -> None:
        self.first, self.rows, self.names = group.first, group.rows, group.names
        self._group, self._path = group, path

    @contextmanager
    def open(self) -> Iterator[Columns]:
        """Open the copy. Raises IntegrityError if it is damaged."""
        # mapped anew each time, so that pages that were read once do not stay in the memory of this process
        try:
            table = pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()
        except (pa.ArrowException, OSError):
            table = pa.table({})
        if table.num_rows != self.rows:
            raise IntegrityError(f"{self._path} is damaged.", "Delete this file. It is made anew.")
        there = set(table.column_names)

        def read(names: Sequence[str]) -> pa.Table:
            missing = [name for name in names if name not in there]
            if not missing:
                return table.select(list(names))
            with self._group.open() as read_ledger:
                more = read_ledger(missing)
            return pa.table({name: (table if name in there else more)[name] for name in names})

        yield read


def cache_folder(location: str) -> Path:
    """Return the folder in the user's cache for what is made from a run, and can be made again.

    It is not in the run's folder, which may come from a stranger: mapped files of a stranger could crash this process.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return base / "corpus" / f"run-{digest(location)[:16]}"


class LedgerCopy:
    """The row groups of a ledger, each of them copied or not. In `folder` are the copies of this run."""

    def __init__(self, run: RunFiles, folder: Path) -> None:
        parts = [part.sha256 for part in run.parts("ledger")]
        self.folder = folder / f"ledger-{digest([_FORMAT, parts])[:16]}"
        self.groups: list[Rows] = []
        self._missing: list[tuple[int, RowGroup, Path]] = []
        for number, group in enumerate(row_groups(run.paths("ledger"))):
            path = self.folder / f"{number:05d}.arrow"
            if not path.exists():
                self._missing.append((number, group, path))
            self.groups.append(CopiedGroup(group, path) if path.exists() else group)

    @property
    def missing(self) -> int:
        """The number of row groups without a copy."""
        return len(self._missing)

    def make(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Copy the row groups that have no copy yet. Each is used as soon as it is copied.

        Copies of an earlier ledger of the run are deleted. Raises OSError.
        """
        for other in self.folder.parent.glob("ledger-*"):
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)
        while self._missing and not stopping():
            number, group, path = self._missing[0]
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = [name for name in group.names if name not in _LEFT_OUT]
            with group.open() as read:
                table = _encoded(read(names))
            with replacing(path) as scratch, pa.OSFile(str(scratch), "wb") as sink:
                os.chmod(scratch, 0o600)
                with pa.ipc.new_file(sink, table.schema) as writer:
                    writer.write_table(table)
            self.groups[number] = CopiedGroup(group, path)
            self._missing.pop(0)


def _encoded(table: pa.Table) -> pa.Table:
    """Return the table with numbers in place of texts that repeat, and with small numbers in half of the space."""
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        whole = column.combine_chunks()
        if pa.types.is_string(whole.type) and (name in _FEW_VALUES or "." in name):
            whole = whole.dictionary_encode()
        elif pa.types.is_int64(whole.type):
            ends = pc.min_max(whole)
            small = all(abs(end.as_py() or 0) < _SMALL for end in (ends["min"], ends["max"]))
            whole = whole.cast(pa.int32()) if small else whole
        columns.append(whole)
    return pa.table(columns, names=table.column_names)
