"""Finished runs to report on, made without archives: documents with given measures, and rows of any text."""

import json
import random
import shutil

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.outcome import FAILED, SKIPPED
from corpus.storage.commits import Part, sha256_of
from corpus.storage.manifest import write_manifest
from corpus.storage.store import LocalStore
from corpus.tables.ledger import add_outcome, no_counts
from corpus.tables.samples import SAMPLES_SCHEMA, Sampler
from tests.ledgers import judged, recipe
from tests.ledgers import write_run as write_ledger


def pages(number, seed=5):
    """Measures of documents, with values at the limits, beyond them and far from them, and null ones."""
    rng = random.Random(seed)

    def pick(*values):
        return rng.choice(values)

    return [
        {
            "door.label": pick("en", "en", "en", "en", "de", None),
            "door.score": pick(0.65, 0.6500001, 0.3, 0.9, 0.95, 0.99, 0.999),
            "dear.size": pick(0, 1, 50, 100, 100, 101, None),
            "dear.depth": pick(3, 7, 10, 11),
            "first.words": pick(2, 49, 50, 51, 400, 500, 600, rng.randrange(50, 1000), 1000, 1001, 90_000),
            "first.ratio": pick(0.0, 0.0, 0.1, rng.random() / 3, 0.3, 0.30000001, 0.9, None),
            "first.note": pick("one", "two", "three"),
            "last.sentences": pick(4, 5, 6, 9, 30),
            "last.share": pick(0.1, 0.2, 0.4999, 0.5, 0.7, None),
            "last.count": rng.randrange(100_000),
        }
        for _ in range(number)
    ]


def write_run(folder, found, made=None, samples=None, **info):
    """The folder of a complete run with these documents; `samples` are drawn from them if not given."""
    made = made or recipe()
    outcomes = judged(made, found)
    for number, outcome in enumerate(outcomes):
        if number % 31 == 30:  # a damaged stretch, a DNS capture
            outcome.outcome, outcome.rule = (FAILED, "damaged") if number % 2 else (SKIPPED, "not_http")
            outcome.stage, outcome.measures, outcome.value, outcome.limit = "", {}, None, None
            outcome.finished, outcome.detail = False, ""
    write_ledger(folder, made, outcomes, rows_per_part=97)
    counts = no_counts()
    sampler = Sampler(lambda text: text)
    for outcome in outcomes:
        add_outcome(counts, outcome.outcome, outcome.stage, outcome.rule)
        sampler.offer(outcome)
    drawn = sampler.take() if samples is None else pa.Table.from_pylist(samples, SAMPLES_SCHEMA)
    write_part(folder, "samples", drawn)
    facts = {
        **json.loads((folder / "run.json").read_text()),
        "inputs": [{"name": "w.warc.gz", "bytes": len(outcomes) + 41, "identity": "made"}],
        "records": counts,
        "other_records": {"request": 3},
    }
    seal(folder, {**facts, **info})
    return folder


def write_part(folder, kind, table):
    """The first file of a kind."""
    path = folder / kind / "part-00000.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, write_page_checksum=True)


def seal(folder, info):
    """run.json, and the manifest of the files that are there."""
    shutil.rmtree(folder / "manifest", ignore_errors=True)
    parts = [
        Part(kind, f"{kind}/{path.name}", pq.read_metadata(path).num_rows, path.stat().st_size, sha256_of(path))
        for kind in ("corpus", "ledger", "samples")
        for path in sorted((folder / kind).iterdir())
    ]
    data = json.dumps(info).encode()
    write_manifest(LocalStore(folder), parts, data)
    (folder / "run.json").write_bytes(data)


def sample(rule, number=0, **values):
    """A row of the samples."""
    given = {"near": False, "draw": number, "id": f"w.warc.gz:{number}", "url": "http://a.example/", "excerpt": "text"}
    return {"rule": rule, **given, **values}
