"""The phases of dedup over signatures, without a pass before them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.dedup.contract import DocumentComparison, Signed
from corpus.dedup.index import EarlierRun
from corpus.recipes import Recipe
from corpus.storage.commits import Commit, Part
from corpus.storage.store import LocalStore
from corpus.tables.verdicts import Verdicts
from filters import STAGES
from jobs.build.compare import Comparison
from jobs.build.compare_documents import compare_documents
from jobs.build.passed import units_of
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import Execution
from jobs.runner.progress import Progress


def recipe(**minhash: object) -> Recipe:
    return Recipe.from_dict({"stages": [{"stage": "minhash", **minhash}]}, STAGES)


def stage_of(made: Recipe) -> DocumentComparison:
    stage = made.stages[0].stage
    assert isinstance(stage, DocumentComparison)
    return stage


class Disk:
    """The most bytes that a folder has held, as seen between phases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.most = 0

    def look(self) -> int:
        held = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        self.most = max(self.most, held)
        return held


@dataclass(frozen=True, kw_only=True)
class Watched(Comparison):
    """A comparison that looks at its folder after each phase."""

    disk: Disk
    held: dict[str, int] = field(default_factory=dict)

    def phase(self, phase: str, *given: Any, **more: Any) -> list[Commit]:
        done = super().phase(phase, *given, **more)
        self.held[phase] = self.disk.look()
        return done

    def table(self, count: int) -> None:
        """Print what each phase took."""
        print(
            f"  {'phase':14} {'tasks':>6} {'seconds':>8} {'CPU s':>8} {'µs/doc':>7} {'peak MB':>8} {'disk B/doc':>10}"
        )
        for phase, cost in self.costs.items():
            held = f"{self.held[phase] / count:10.0f}" if phase in self.held else ""  # a relay is no phase of its own
            print(
                f"  {phase:14} {cost['tasks']:6} {cost['seconds']:8.1f} {cost['cpu']:8.1f} "
                f"{cost['cpu'] / count * 1e6:7.3f} {cost['peak'] / 1e6:8.0f} {held}"
            )


def comparison(
    folder: Path,
    made: Recipe,
    units: Sequence[Commit],
    engine: Engine,
    stop: Stop,
    memory: int = 1 << 30,
    against: Sequence[EarlierRun] = (),
) -> Watched:
    common = {
        "store": str(folder.resolve()),
        "recipe": made.canonical(),
        "factory": "filters:recipe_from_dict",
        "modules": [],
        "depends": "",
    }
    execution = Execution(LocalStore(folder), engine, stop, Progress(quiet=True))
    return Watched(
        execution, made.stages[0], common, units_of(units), memory_bytes=memory, against=against, disk=Disk(folder)
    )


def write_unit(store: LocalStore, batch: pa.RecordBatch, warc: str, name: str, kind: str = "signatures") -> Commit:
    """Write the signatures of one unit as the pass does, but without waiting until they are on the disk."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=None)) as writer:
        for start in range(0, batch.num_rows, 1024):
            writer.write_batch(batch.slice(start, 1024))
    content = sink.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    key = f".work/parts/{kind}/{sha256[:2]}/{sha256[:32]}.arrow"
    part = Part(kind, key, batch.num_rows, content.size, sha256)
    path = store.path(part.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Commit(name, (part,), {"unit": {"warc": warc}})


def compare(folder: Path, made: Recipe, signed: Iterable[Signed], engine: Engine) -> dict[int, tuple[int, float, bool]]:
    """Return the keeper of each removed document, the similarity, and whether the texts are equal."""
    stage = stage_of(made)
    rows = [stage.signed_row(number, 0, one) for number, one in enumerate(signed)]
    batch = pa.RecordBatch.from_pylist(rows, schema=stage.signed_schema())
    units = [write_unit(LocalStore(folder), batch, "pairs.warc.gz", "pairs")]
    with contextlib.closing(engine), Stop() as stop:
        compared = compare_documents(comparison(folder, made, units, engine, stop))
    assert compared is not None
    return dict(removed(folder, compared))


def removed(folder: Path, compared: Verdicts) -> Iterator[tuple[int, tuple[int, float, bool]]]:
    for unit in range(len(compared.boxes)):
        batch = compared.boxes[unit].read(LocalStore(folder))
        for row in batch.filter(batch["removed"]).to_pylist():
            yield row["corpus_row"], (row["kept_doc"], row["similarity"], bool(row["exact"]))
