"""`corpus report` over a generated ledger: time, size of the page, memory.

python -m benchmarks.report [--records 1000000] [--keep FOLDER]

Values of every measure of the default recipe are drawn so that some of them break its limits; the first broken one is
the verdict. A quarter of the records is kept, with a text each. A process of its own makes the report. Its memory is
the peak that Linux counted.
"""

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import machine_line, run_measured
from corpus.digests import digest
from corpus.revise.limits import measures_of
from corpus.storage.commits import Part, sha256_of
from corpus.storage.manifest import write_manifest
from corpus.storage.store import LocalStore
from corpus.tables.ledger import CORPUS_SCHEMA, Counts, add_counts, ledger_schema, no_counts
from corpus.tables.samples import SAMPLES_SCHEMA
from filters import load_recipe

CHUNK = 50_000
DOMAINS = 400_000
WORDS = "the river that runs through old town has been reason for most of its bridges and each them is known by a name "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="leave the run and its report in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch) / "run"
        info = write_run(folder, options.records)
        took, cpu, _ = run_measured([sys.executable, "-m", "jobs.cli", "report", str(folder)])
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        sizes = {kind: _size(folder / kind) for kind in ("ledger", "corpus")}
        print(machine_line())
        records = info["records"]
        print(f"ledger: {records['in']:,} records, {len(info['columns'])} measures, {sizes['ledger'] / 1e6:.0f} MB")
        print(f"corpus: {records['kept']:,} texts, {sizes['corpus'] / 1e6:.0f} MB")
        print(f"time:   {took:.1f} s, {cpu:.1f} s of CPU")
        print(f"report: {(folder / 'report.html').stat().st_size / 1e6:.2f} MB")
        print(f"memory: {most / 1e3:.0f} MB")


def write_run(folder: Path, records: int, seed: int = 0) -> dict:
    """Write the folder of a run with a generated ledger, and return the content of its run.json."""
    recipe = load_recipe("default")
    columns = {name: kind.__name__ for name, kind in recipe.pipeline().columns.items()}
    info = {
        "complete": True,
        "recipe": recipe.canonical(),
        "resources": {},
        "versions": {"corpus": "generated"},
        "fingerprint": digest(recipe.canonical()),
        "inputs": [{"name": "made.warc.gz", "bytes": records * 30_000, "identity": "made"}],
        "against": [],
        "removed": "",
        "other_records": {},
        "columns": columns,
        "compared": {"minhash": "signatures"},
        "dedup": None,
        "lines": None,
        "exceptions": [],
        "quarantined": [],
        "index": None,
    }
    schema = ledger_schema(recipe.pipeline().columns)
    for kind in ("ledger", "corpus", "samples"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    counts = no_counts()
    samples: dict[str, list[dict]] = {}
    form = {"compression": "zstd", "write_page_checksum": True}
    with (
        pq.ParquetWriter(_part(folder, "ledger"), schema, **form) as ledger,
        pq.ParquetWriter(_part(folder, "corpus"), CORPUS_SCHEMA, **form) as corpus,
    ):
        for start in range(0, records, CHUNK):
            table = _ledger(rng, info, schema, start, min(CHUNK, records - start), counts)
            ledger.write_table(table)
            _add_samples(samples, table)
            kept = table.filter(pa.compute.equal(table["outcome"], "kept"))
            for first in range(0, kept.num_rows, 1024):
                corpus.write_table(_corpus(rng, kept.slice(first, 1024)))
    rows = [row for group in samples.values() for row in group]
    pq.write_table(pa.Table.from_pylist(rows, SAMPLES_SCHEMA), _part(folder, "samples"))
    info["records"] = counts
    parts = []
    for kind, number in (("ledger", records), ("corpus", counts["kept"]), ("samples", len(rows))):
        path = _part(folder, kind)
        parts.append(Part(kind, f"{kind}/{path.name}", number, path.stat().st_size, sha256_of(path)))
    data = json.dumps(info).encode()
    write_manifest(LocalStore(folder), parts, data)
    (folder / "run.json").write_bytes(data)
    return info


def _ledger(rng: np.random.Generator, info: dict, schema: pa.Schema, start: int, rows: int, counts: Counts) -> pa.Table:
    measures = [measure for measure in measures_of(info) if not measure.collective]
    values = {measure.column: _values(rng, measure, rows) for measure in measures}
    verdict = np.full(rows, -1)
    value, limit = np.full(rows, np.nan), np.full(rows, np.nan)
    for place, measure in enumerate(measures):
        broken = measure.limits.outside(values[measure.column], None) & (verdict < 0)
        verdict[broken] = place
        if measure.of is not str:
            numbers = values[measure.column].cast(pa.float64()).to_numpy(zero_copy_only=False)
            value[broken] = numbers[broken]
            limit[broken] = next(iter(measure.bounds.values()), np.nan)
    kept = verdict < 0
    stages = np.array([measure.stage for measure in measures] + [None], dtype=object)
    names = np.array([measure.name for measure in measures] + [None], dtype=object)
    for place, number in zip(*np.unique(verdict, return_counts=True), strict=True):
        at = {stages[place]: {names[place]: int(number)}}
        add_counts(counts, {"kept": int(number)} if place < 0 else {"dropped": at})
    counts["in"] += rows
    domains = rng.zipf(1.3, rows) % DOMAINS
    offsets = np.arange(start, start + rows) * 30_000
    fixed = {
        "id": [f"made.warc.gz:{offset}" for offset in offsets],
        "url": [f"https://www.site{domain}.example/a-page-about/{domain:x}/something" for domain in domains],
        "warc": ["made.warc.gz"] * rows,
        "offset": offsets,
        "outcome": np.where(kept, "kept", "dropped"),
        "stage": stages[verdict],
        "rule": names[verdict],
        "value": pa.array(value, from_pandas=True),
        "limit": pa.array(limit, from_pandas=True),
        "text_bytes": np.exp(rng.normal(7.8, 0.9, rows)).astype(np.int64),
    }
    nulls = pa.nulls(rows)
    return pa.table({field.name: fixed.get(field.name, values.get(field.name, nulls)) for field in schema}).cast(schema)


def _values(rng: np.random.Generator, measure, rows: int) -> pa.Array:
    """Return values, some of them outside the limit and some of them null."""
    missing = rng.random(rows) < 0.02
    if measure.of is str:
        good = measure.bounds.get("one_of", ["first", "second", "third"])
        return pa.array(np.where(rng.random(rows) < 0.03, "other", rng.choice(good, rows)), mask=missing)
    bounds = measure.bounds
    if measure.of is int:
        low, high = bounds.get("min", 0), bounds.get("max", 1000)
        if high < 4 * low:
            return pa.array(rng.integers(low, int(high * 1.02), rows), mask=missing)
        drawn = np.exp(rng.normal(np.log((low + 1) * 8), 0.9, rows)) if high > 2 else rng.random(rows) * (high + 1.02)
        return pa.array(drawn.astype(np.int64), mask=missing)
    low, high = bounds.get("min", bounds.get("above", 0.0)), bounds.get("max", bounds.get("below", 1.0))
    return pa.array(low + (high - low) * rng.beta(2.0, 2.0, rows) * 1.06 - 0.05 * (low > 0), mask=missing)


def _corpus(rng: np.random.Generator, kept: pa.Table) -> pa.Table:
    source = WORDS * 4000
    lengths = np.minimum(np.exp(rng.normal(7.8, 0.9, kept.num_rows)), 200_000).astype(int)
    starts = rng.integers(0, 100_000, kept.num_rows)
    texts = [source[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    columns = {name: kept[name] for name in ("id", "url", "warc", "offset")}
    columns |= {"text": texts, "language": ["en"] * kept.num_rows}
    nulls = pa.nulls(kept.num_rows)
    return pa.table({field.name: columns.get(field.name, nulls) for field in CORPUS_SCHEMA}).cast(CORPUS_SCHEMA)


def _add_samples(samples: dict, table: pa.Table) -> None:
    """Add the first rows of each rule to the samples, as many as a real run has."""
    head = table.select(["id", "url", "stage", "rule", "value", "limit"]).slice(0, 4_000).to_pylist()
    for number, row in enumerate(head):
        rule = f"{row['stage']}.{row['rule']}" if row["rule"] else "kept"
        group = samples.setdefault(rule, [])
        if len(group) < (24 if rule == "kept" else 12):
            named = {name: row[name] for name in ("id", "url", "value", "limit")}
            group.append({**named, "rule": rule, "near": len(group) % 2 == 0, "draw": number, "excerpt": WORDS * 4})


def _part(folder: Path, kind: str) -> Path:
    return folder / kind / "part-00000.parquet"


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


if __name__ == "__main__":
    main()
