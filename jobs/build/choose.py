"""Choose pages of crawls by the columnar index, before a pass.

A task reads one file of the index and sends the captures that meet the conditions to the volumes of archives, through
an exchange file. The task that divides a volume reads the captures of its archives from all of these files. So no
process holds more than the captures of a volume, and the driver holds counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import count, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.digests import digest
from corpus.errors import ConfigError, InputError
from corpus.net.client import Client
from corpus.net.remote import open_source
from corpus.net.urls import redact
from corpus.sandbox.captures import CAPTURES_SCHEMA
from corpus.storage.boxes import Outbox, read_box
from corpus.storage.commits import Commit, Part, commit, commit_key, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store, open_store
from corpus.storage.task_commits import as_list, get_value, put_value
from corpus.warc.source import Source, digest_of_ends, digest_of_start, input_changed
from jobs.build.choice import Choice
from jobs.build.crawl import index_files, is_crawl, root_of
from jobs.build.crawl_index import CountingSource, IndexFile
from jobs.build.inputs import Input, look_up, together
from jobs.runner.execution import Execution

CAPTURES_IN_UNIT = 256
"""About as many pages as 8 MiB of an archive have."""

_SENT_SCHEMA = pa.schema([("archive", pa.uint32()), *CAPTURES_SCHEMA])
"""`archive` counts from the first archive of the volume."""


@dataclass(frozen=True)
class Chosen:
    """The captures that tasks have chosen: sums over the files of the index, and the exchange files."""

    commits: list[Commit]
    list: str
    """The name of the list of the commits in the store."""

    @property
    def captures(self) -> int:
        """The number of chosen captures. A capture that the index has twice counts twice."""
        return self.total("captures")

    @property
    def bytes(self) -> int:
        return self.total("bytes")

    @property
    def volumes(self) -> set[int]:
        """The numbers of the volumes that have captures."""
        return {number for done in self.commits for number in done.facts["volumes"]}

    def facts(self) -> dict[str, Any]:
        """Return the facts for run.json. They depend on the index and on the choice alone."""
        files = [done.facts["index"] for done in self.commits]
        index = {"files": len(files), "bytes": sum(one["bytes"] for one in files), "rows": self.total("rows")}
        return {"index": {**index, "digest": digest_of_index(files)}, "elsewhere": self.total("elsewhere")}

    def total(self, name: str) -> int:
        """Return the sum of a count over the files of the index."""
        return sum(int(done.facts[name]) for done in self.commits)


def digest_of_index(files: Sequence[Mapping[str, Any]]) -> str:
    return digest([[one["name"], one["bytes"], one["identity"]] for one in files])


def find_index(given: Sequence[str], base: str | None) -> list[Input]:
    """Return the index files of crawls, each with its path below the root as its name. Raises ConfigError if an input
    is no crawl."""
    with Client() as client:
        for one in given:
            if not is_crawl(one):
                what = f"Pages are chosen by the index of a crawl, and {redact(one)} is no crawl."
                raise ConfigError(what, "Leave out --urls-like, --languages and --domains, or name a crawl.")
        names = dict.fromkeys(name for one in dict.fromkeys(given) for name in index_files(one, base, client))
    return [Input(name, f"{root_of(base)}/{name}") for name in names]


def check_index(choice: Choice, file: Input) -> None:
    """Raise InputError if a file of the index can't be used."""
    with Client() as client, _opened(file, client) as source:
        IndexFile(source, choice).close()


def choose(execution: Execution, choice: Choice, index: Sequence[Input], archives: Sequence[Input], base: str | None,
           size: int) -> Chosen:  # fmt: skip
    """Choose captures in `archives`. A volume has `size` archives. Raises InputError if there are none."""
    store, root = execution.store, root_of(base)
    paths = [item.path.removeprefix(f"{root}/") for item in archives]
    asked = {"choice": asdict(choice), "archives": paths, "size": size}
    common = {"store": store.location, "asked": put_value(store, asked)}
    payloads = [{**common, "index": asdict(item)} for item in index]
    commits = execution.commits("choosing pages", choose_task, payloads)
    chosen = Chosen(commits, as_list(store, commits))
    if not chosen.captures:
        elsewhere = chosen.facts()["elsewhere"]
        todo = "Check --languages, --domains and --urls-like."
        raise InputError(
            "No page of the archives meets the conditions.",
            f"{elsewhere:,} pages of other archives do: see --limit and --sample." if elsewhere else todo,
        )
    return chosen


def choose_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Choose captures by one file of the index, and send each to the box of its volume.

    Raises InputChanged if the file is not the one that a killed run has read.
    """
    store, item = open_store(payload["store"]), Input(**payload["index"])
    key = commit_key("chosen", {"index": item.name}, payload["asked"])
    with Client() as client, _opened(item, client) as source:
        identity = _identity(source, item.name)
        done = read_commit(store, key)
        if done is not None:
            if done.facts["index"] != identity:
                raise input_changed(redact(item.path), "since the run read it")
            return done.as_dict()
        reached("choosing_begun")
        asked = get_value(store, payload["asked"])
        file = IndexFile(source, Choice(**{name: tuple(value) for name, value in asked["choice"].items()}))
        with closing(file):
            part, facts = _sent(store, file, asked["archives"], asked["size"])
        facts |= {"index": identity, "rows": file.rows, "groups": len(file.wanted)}
        facts |= {"requests": source.requests, "read": source.bytes}
    return commit(store, key, [part], facts).as_dict()


@contextmanager
def _opened(item: Input, client: Client) -> Iterator[CountingSource]:
    """Yield the source of a file of the index."""
    try:
        with closing(open_source(item.path, item.name, spans=(), client=client)) as source:
            yield CountingSource(source)
    except OSError as error:
        what = f"{redact(item.path)} can't be read: {error.strerror}."
        raise InputError(what, "The list of the crawl's index names it. Check --base.") from None


def _identity(source: Source, name: str) -> dict[str, Any]:
    return {"name": name, "bytes": source.size, "identity": digest_of_ends(source)[:32]}


def _sent(store: Store, file: IndexFile, archives: Sequence[str], size: int) -> tuple[Part, dict[str, Any]]:
    """Send the captures of a file of the index to their volumes, and return the exchange file and the counts."""
    names = pa.array(archives, pa.string())
    boxes = -(-len(archives) // size)
    found = {"captures": 0, "elsewhere": 0, "bytes": 0}
    volumes = np.zeros(boxes, np.bool_)
    with Outbox(store, "captures_found", boxes) as out:
        for table in file.captures():
            numbers = pc.index_in(table["archive"], names)
            there = numbers.is_valid()
            found["elsewhere"] += numbers.null_count
            archive = numbers.drop_null().to_numpy()
            own = [column.filter(there).combine_chunks() for column in table.columns[1:]]
            found["captures"] += len(archive)
            found["bytes"] += pc.sum(own[1]).as_py() or 0
            volume, inside = np.divmod(archive, size)
            volumes[volume] = True
            out.scatter(volume, pa.RecordBatch.from_arrays([inside.astype(np.uint32), *own], schema=_SENT_SCHEMA))
        part = out.finish()
    return part, {**found, "volumes": np.flatnonzero(volumes).tolist()}


class VolumeCaptures:
    """The captures of archives of one volume, in the order of archives and offsets, each once."""

    def __init__(self, store: Store, chosen: str, volume: int, archives: range | None = None) -> None:
        """`chosen` is `Chosen.list`. `archives` are numbers in the volume. Without them, all archives count."""
        parts = [Part(**entry["captures_found"]) for entry in get_value(store, chosen)]
        batches = [batch for part in parts for batch in read_box(store, part, volume, _SENT_SCHEMA)]
        rows = pa.Table.from_batches(batches, _SENT_SCHEMA)
        if archives is not None:
            rows = rows.filter((pc.field("archive") >= archives.start) & (pc.field("archive") < archives.stop))
        rows = rows.sort_by([(name, "ascending") for name in _SENT_SCHEMA.names]).combine_chunks()
        archive, offset = (rows[name].to_numpy() for name in ("archive", "offset"))
        first = np.append(True, (archive[1:] != archive[:-1]) | (offset[1:] != offset[:-1]))[: len(archive)]
        self._rows = rows.filter(pa.array(first))
        archive = self._rows["archive"].to_numpy()
        starts = np.flatnonzero(np.append(True, archive[1:] != archive[:-1]))[: len(archive)]
        self.archives: list[int] = archive[starts].tolist()
        """The numbers, in the volume, of the archives that have captures."""
        self._starts = [*starts.tolist(), len(archive)]

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def _of_each(self) -> Iterator[pa.Table]:
        """Yield the captures of each archive, as CAPTURES_SCHEMA."""
        rows = self._rows.select(CAPTURES_SCHEMA.names)
        for start, end in pairwise(self._starts):
            yield rows.slice(start, end - start)

    def pieces(self, unit_bytes: int) -> Iterator[pa.RecordBatch]:
        """Yield the captures of each unit."""
        return (piece for rows in self._of_each() for piece in _divided(rows, unit_bytes))

    def write(self, store: Store, unit_bytes: int) -> tuple[Part, list[list[tuple[int, int]]]]:
        """Write a file with a box for the captures of each unit, and return it with the units of each archive, as
        ranges of bytes. A range begins where the range before it ends."""
        ranges: list[list[tuple[int, int]]] = []
        numbers = count()
        with Outbox(store, "captures", self._rows.num_rows) as out:
            for rows in self._of_each():
                ranges.append([])
                for piece in _divided(rows, unit_bytes):
                    out.put(next(numbers), piece)
                    end = pc.max(pc.add(piece["offset"], piece["length"])).as_py()
                    start = ranges[-1][-1][1] if ranges[-1] else piece["offset"][0].as_py()
                    ranges[-1].append((start, max(start, end)))
            return out.finish(), ranges


def _divided(rows: pa.Table, unit_bytes: int) -> Iterator[pa.RecordBatch]:
    """Divide the captures of an archive among units."""
    ends = np.cumsum(rows["length"].to_numpy())
    start = before = 0
    while start < rows.num_rows:
        end = int(np.searchsorted(ends, before + unit_bytes, side="right"))
        end = min(max(end, start + 1), start + CAPTURES_IN_UNIT, rows.num_rows)
        # copied, because the bytes of a slice depend on its position in the table
        yield rows.take(pa.array(range(start, end))).combine_chunks().to_batches()[0]
        start, before = end, int(ends[end - 1])


def check_chosen(index: Sequence[Input], archives: Sequence[Input], info: Mapping[str, Any]) -> list[Input]:
    """Return the archives that a finished run has read. `info` is its run.json.

    Raises InputChanged if the index or an archive is another one now.
    """

    def identity(item: Input) -> dict[str, Any]:
        with _opened(item, client) as source:
            return _identity(source, item.name)

    read = {one["name"]: one for one in info["inputs"]}
    archives = [item for item in archives if item.name in read]
    with Client() as client:
        found = together(identity, index, [item.path for item in index], client)
        if digest_of_index(found) != info["chosen"]["index"]["digest"]:
            raise input_changed("The index of the crawl", "since the run read it")
        archives = together(
            lambda item: look_up(item, client, digest_of_start), archives, [item.path for item in archives], client
        )
    for item in archives:
        if [item.size, item.identity] != [read[item.name]["bytes"], read[item.name]["identity"]]:
            raise input_changed(redact(item.path), "since the run read it")
    return archives
