"""Write signatures as the pass leaves them, run the comparison of documents, and read its verdicts as arrays."""

import contextlib
from dataclasses import asdict

import numpy as np
import pyarrow as pa

import jobs.runner.execution
from corpus.dedup.index import open_index
from corpus.dedup.signature_rows import binary_column
from corpus.document import Document
from corpus.recipes import Recipe
from corpus.sandbox.attempt import PartWriter
from corpus.storage.commits import Commit, add_part
from corpus.storage.store import LocalStore
from filters import STAGES
from filters.minhash import VALUE
from jobs.build.compare import Comparison
from jobs.build.compare_documents import compare_documents, make_index
from jobs.build.passed import units_of
from jobs.runner.engine import Stop
from jobs.runner.execution import Execution
from jobs.runner.progress import Progress
from tests.engines import InProcess, engine_of

COUNT = 112


class Twice(InProcess):
    """Runs the tasks in reverse order, and each task twice, as if the second attempt had not seen the commit of the
    first."""

    def __init__(self, folder, monkeypatch, slots=3):
        super().__init__(slots)
        self.folder = folder
        run = jobs.runner.execution.run
        monkeypatch.setattr(
            jobs.runner.execution,
            "run",
            lambda engine, tasks, stop: run(engine, list(tasks)[::-1], stop),
        )

    def submit(self, function, payload, slots):
        def both(payload):
            first = function(payload)
            key = self.folder / first["key"]
            content = key.read_bytes()
            key.unlink()
            assert {**function(payload), "cost": None} == {**first, "cost": None}
            assert key.read_bytes() == content
            return first

        return super().submit(both, payload, slots)


def random_signatures(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**16, (count, COUNT), dtype=VALUE)


def distinct_texts(count):
    return np.arange(2 * count, dtype=np.uint64).reshape(count, 2) + np.uint64(1 << 40)


def recipe(**minhash):
    return Recipe.from_dict({"stages": [{"stage": "minhash", **minhash}]}, STAGES)


def write_units(store, sizes, texts, signatures, signed=None, rank=None, sites=None, archive="w", hashed=None):
    """Write units with these numbers of corpus rows, with the documents in order. No stage saw documents that are not
    `hashed`."""
    count = len(texts)
    signed = np.ones(count, np.bool_) if signed is None else signed
    hashed = np.ones(count, np.bool_) if hashed is None else hashed
    rank = np.zeros(count) if rank is None else np.asarray(rank, dtype=np.float64)
    schema = recipe().stages[0].stage.signed_schema()
    units, at = [], 0
    for number, size in enumerate(sizes):
        here = slice(at, at + size)
        columns = {
            "offset": pa.array(np.arange(at, at + size)),
            "inner": pa.array(np.arange(at, at + size) % 2, pa.int32()),
            "text_hash": binary_column(np.ascontiguousarray(texts[here]).view(np.uint8), ~hashed[here]),
            "preference": pa.array(rank[here]),
            "site": pa.array([f"{n % 7}.example" for n in range(at, at + size)] if sites is None else sites[here]),
            "signature": binary_column(np.ascontiguousarray(signatures[here]).view(np.uint8), ~signed[here]),
        }
        units.append(_unit(store, pa.table([columns[name] for name in schema.names], schema=schema), number, archive))
        at += size
    assert at == count
    return units


def _unit(store, signed, number=0, archive="w"):
    writer = PartWriter(store.scratch(), None)
    writer.add(signed)
    writer.close()
    part = add_part(store, "signatures", writer.path, writer.rows)
    return Commit(f"unit {number}", (part,), {"unit": {"warc": f"{archive}.warc.gz"}})


class Found:
    """Verdicts by document. `rows` counts the verdict rows of each document."""

    def __init__(self, store, sizes, compared, count, archive="w"):
        self.facts = compared.facts
        self.kept_doc = np.arange(count)
        self.kept_id = [place(doc, archive) for doc in range(count)]
        self.similarity = np.ones(count)
        self.exact = np.zeros(count, np.bool_)
        self.cluster_size = np.ones(count, np.int64)
        self.preferred = np.zeros(count, np.bool_)
        self.rows = np.zeros(count, np.int64)
        start = 0
        for box, size, removed in zip(compared.boxes, sizes, compared.removed, strict=True):
            gone = 0
            for row in box.read(store).to_pylist():
                doc = start + row["corpus_row"]
                assert row["id"] == place(doc, archive)
                self.rows[doc] += 1
                self.kept_doc[doc] = row["kept_doc"]
                assert row["removed"] == (row["kept_doc"] != doc) == (row["rule"] is not None)
                self.cluster_size[doc] = row["cluster_size"]
                if row["removed"]:
                    self.kept_id[doc] = row["detail"]
                    self.similarity[doc], self.exact[doc] = row["similarity"], row["exact"]
                    self.preferred[doc] = row["preferred"]
                    assert (row["rule"], row["value"]) == ("similarity", row["similarity"])
                gone += row["removed"]
            assert gone == removed
            start += size

    def same_as(self, verdicts):
        """Assert equality with the verdicts of `tests.reference.clusters.compare`."""
        assert np.array_equal(self.kept_doc, verdicts.kept_doc)
        assert self.kept_id == [place(doc) for doc in verdicts.kept_doc]
        assert np.array_equal(self.similarity, np.round(verdicts.similarity, 6))
        assert np.array_equal(self.exact, verdicts.exact)
        assert np.array_equal(self.cluster_size, verdicts.cluster_size)
        assert self.facts["unverified"] == verdicts.unverified
        assert self.facts["removed"] == {"exact": int(verdicts.exact.sum()), "all": len(verdicts.removed)}


def place(doc, archive="w"):
    return f"{archive}.warc.gz:{doc}" + ("+1" if doc % 2 else "")


def phases(store, units, *, memory=1 << 30, workers=1, made=None, engine=None, against=(), index=False):
    """Run all phases over units. With `index`, write an index too."""
    made = made or recipe()
    common = {
        "store": str(store.root),
        "recipe": made.canonical(),
        "factory": "filters:recipe_from_dict",
        "modules": [],
        "depends": "",
    }
    engine = engine or engine_of(workers)
    earlier = [open_index(folder) for folder in against]
    with contextlib.closing(engine), Stop() as stop:
        execution = Execution(store, engine, stop, Progress(quiet=True))
        work = Comparison(execution, made.stages[0], common, units_of(units), memory_bytes=memory, against=earlier)
        compared = compare_documents(work)
        assert set(work.costs) >= {"bands", "verdicts"}
        if index:
            make_index(work, compared)
        return compared


def verdicts(folder, texts, signatures, *, sizes=None, signed=None, rank=None, **options):
    """Return the verdicts on documents, from all phases in a new folder."""
    store = LocalStore(folder)
    sizes = [len(texts)] if sizes is None else sizes
    units = write_units(store, sizes, texts, signatures, signed, rank)
    return Found(store, sizes, phases(store, units, **options), len(texts))


def of_texts(folder, texts, **minhash):
    """Return the verdict row of each text that is removed or kept for others, None for the rest: from all phases,
    without a pass."""
    made = recipe(**minhash)
    stage, store = made.stages[0].stage, LocalStore(folder)
    rows = [stage.signed_row(number, 0, stage.sign(Document(text=text))) for number, text in enumerate(texts)]
    unit = _unit(store, pa.Table.from_pylist(rows, schema=stage.signed_schema()))
    found = [None] * len(texts)
    for row in phases(store, [unit], made=made).boxes[0].read(store).to_pylist():
        found[row["corpus_row"]] = row
    return found


def committed(folder):
    """Return all commits under a folder. They must not depend on when or in which order tasks ran."""
    commits = folder / ".work" / "commits"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(commits.rglob("*.json"))}


__all__ = ["Found", "asdict", "committed", "distinct_texts", "phases", "random_signatures", "recipe", "verdicts"]
