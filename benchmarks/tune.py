"""The time and the memory that `corpus tune` takes: `python -m benchmarks.tune [--records 1000000 10000000]`.

The first part answers over a ledger of generated records. It has the columns of the default recipe, and gates stop as
large a share of its records as in real archives. The second part, if there is real data, is `tune --write` beside a
fresh build with the same recipe. Each run is a process of its own. Times are by the wall clock and in CPU seconds,
which say more on a machine that does other things too.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.machine import find_shared_data, machine_line, run_measured, shared_data
from corpus.stage import Limit
from corpus.storage.commits import Part, sha256_of
from corpus.storage.manifest import write_manifest
from corpus.storage.store import LocalStore
from corpus.tables.ledger import ledger_schema, no_counts
from corpus.tables.pack import ROWS_PER_LEDGER_PART, write_rows
from filters import load_recipe

SETTINGS = {
    "one rule looser": ["gopher_quality.words.min=30"],
    "one rule tighter": ["gopher_quality.words.min=80"],
    "a gate looser": ["language.score.above=0.5"],
    "five rules at once": [
        "gopher_quality.words.min=30",
        "gopher_quality.alpha_ratio.min=0.75",
        "fineweb.line_punct_ratio=off",
        "gopher_repetition.dup_5_gram.max=0.2",
        "c4.curly_bracket=off",
    ],
}
AT_ONCE = 1 << 16
STOPPED = 0.4
"""The share of records that a gate stops: their later measures are null."""


def write_ledger(folder: Path, records: int, seed: int = 0) -> None:
    """Write the folder of a finished run that has a ledger of `records` records, and nothing else."""
    rng = np.random.default_rng(seed)
    recipe = load_recipe("default")
    columns = recipe.pipeline().columns
    schema = ledger_schema(columns)
    limits = {f"{bound.name}.{name}": limit for bound in recipe.stages for name, limit in bound.limits.items()}
    compared = {bound.name: bound.stage.kind for bound in recipe.stages if hasattr(bound.stage, "kind")}
    (folder / "ledger").mkdir(parents=True)
    parts = []
    for number, start in enumerate(range(0, records, ROWS_PER_LEDGER_PART)):
        end = min(start + ROWS_PER_LEDGER_PART, records)
        tables = (
            make_rows(rng, first, min(AT_ONCE, end - first), schema, limits, compared)
            for first in range(start, end, AT_ONCE)
        )
        path = folder / "ledger" / f"part-{number:05d}.parquet"
        rows = write_rows(tables, "ledger", schema, path)
        parts.append(Part("ledger", f"ledger/{path.name}", rows, path.stat().st_size, sha256_of(path)))
    info = {
        "complete": True,
        "recipe": recipe.canonical(),
        "resources": {},
        "versions": {},
        "fingerprint": "",
        "inputs": [],
        "against": [],
        "removed": "",
        "records": no_counts() | {"in": records},
        "other_records": {},
        "columns": {name: kind.__name__ for name, kind in columns.items()},
        "compared": compared,
        "exceptions": [],
        "quarantined": [],
    }
    data = json.dumps(info).encode()
    write_manifest(LocalStore(folder), parts, data)
    (folder / "run.json").write_bytes(data)


def make_rows(rng, first: int, count: int, schema: pa.Schema, limits: dict[str, Limit], compared) -> pa.Table:
    """Return rows whose values lie around their limits. The verdict of each row follows from its values."""
    ids = [
        f"CC-MAIN-20260101000000-20260101030000-{n // 40_000:05d}.warc.gz:{n % 40_000 * 25_013}"
        for n in range(first, first + count)
    ]
    made: dict[str, list[str] | np.ndarray | pa.Array] = {
        "id": ids,
        "url": [
            f"https://site{n % 9973}.example/path/{n * 7919 % 1_000_003}/page.html" for n in range(first, first + count)
        ],
    }
    made["warc"] = [one.rpartition(":")[0] for one in ids]
    made["offset"] = np.arange(first, first + count) % 40_000 * 25_013
    made["record_id"] = [f"<urn:uuid:{n:032d}>" for n in range(first, first + count)]
    stopped_at = np.where(rng.random(count) < STOPPED, 3, 99)  # the stages before: url, rights, extract
    end = np.full(count, -1)
    names = [name for name in schema.names if "." in name]
    stages = list(dict.fromkeys(name.split(".")[0] for name in names))
    for place, name in enumerate(names):
        limit, stage = limits[name], stages.index(name.split(".")[0])
        missing = stopped_at < stage
        if name.split(".")[0] in compared:
            near = rng.random(count) < 0.2
            made[name] = pa.array(rng.integers(0, 2, count) if limit.of is int else rng.random(count), mask=~near)
            continue
        if limit.of is str:
            labels = np.full(count, limit.one_of[0] if limit.one_of else "utf-8")
            if name == "language.label":
                labels[stopped_at < 99] = "de"
                end[(end < 0) & (stopped_at < 99)] = place
            made[name] = pa.array(labels, mask=missing)
            continue
        values, broken = values_around(rng, limit, count)
        made[name] = pa.array(values, mask=missing)
        fresh = broken & ~missing & (end < 0)
        end[fresh] = place
        if stage == 3:
            stopped_at = np.where(fresh, 3, stopped_at)
    lookup = np.array([*names, ""])[end]
    kept = end < 0
    made["outcome"] = np.where(kept, "kept", "dropped")
    made["stage"] = pa.array([one.partition(".")[0] or None for one in lookup], pa.string())
    made["rule"] = pa.array([one.partition(".")[2] or None for one in lookup], pa.string())
    made["text_bytes"] = pa.array(rng.integers(300, 9000, count), mask=stopped_at < 99)
    arrays = [pa.array(made[f.name]).cast(f.type) if f.name in made else pa.nulls(count, f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def values_around(rng, limit: Limit, count: int):
    """Return values, some percent of them outside the limit, and a mask of those."""
    lowest = next((b for b in (limit.min, limit.above) if b is not None), None)
    highest = next((b for b in (limit.max, limit.below) if b is not None), None)
    values = rng.lognormal(0, 0.35, count)
    if lowest is not None:
        values = lowest * (0.55 + values)
    elif highest:
        values = highest * 0.5 * values
    elif highest == 0:
        values = (rng.random(count) < 0.02).astype(float)
    if limit.of is int:
        values = np.floor(values).astype(np.int64)
    broken = np.zeros(count, bool)
    if limit.min is not None:
        broken |= values < limit.min
    if limit.max is not None:
        broken |= values > limit.max
    if limit.above is not None:
        broken |= values <= limit.above
    return values, broken


CORPUS = [sys.executable, "-m", "jobs.cli"]


def answer(records: int, folder: Path) -> None:
    """Time the answers over one ledger."""
    write_ledger(folder, records)
    size = sum(path.stat().st_size for path in (folder / "ledger").iterdir())
    print(f"\n{records:,} records, {size / 1e6:,.0f} MB of ledger")
    for name, settings in SETTINGS.items():
        options = [option for setting in settings for option in ("--set", setting)]
        wall, cpu, _ = run_measured([*CORPUS, "tune", str(folder), *options, "--json"])
        print(f"  {name:20}{wall:8.2f} s {cpu:8.2f} CPU s")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    print(f"  most resident memory so far: {most / 1e6:,.0f} MB")


WRITTEN = {
    "tighter, words.min 50 → 80": ["gopher_quality.words.min=80"],
    "looser, words.min 50 → 30": ["gopher_quality.words.min=30"],
    "a rule off, c4.curly_bracket": ["c4.curly_bracket.max=off"],
}


def written(folder: Path) -> None:
    """`tune --write` beside fresh builds of real archives, in CPU seconds of all processes."""
    archives = [str(path) for path in sorted((shared_data() / "warc").glob("*.warc.gz"))]
    how = ["--workers", "2"]
    base = folder / "base"
    _, cpu, _ = run_measured([*CORPUS, "build", *archives, "-o", str(base), *how])
    records = json.loads((base / "run.json").read_text())["records"]
    print(f"\n`tune --write` of {len(archives)} real archives, {records['in']:,} records, {records['kept']:,} kept")
    print(f"  {'the run itself':32}{cpu:8.1f} CPU s")
    for number, (name, settings) in enumerate(WRITTEN.items()):
        options = [option for setting in settings for option in ("--set", setting)]
        fresh, made = folder / f"fresh{number}", folder / f"made{number}"
        _, whole, _ = run_measured([*CORPUS, "build", *archives, "-o", str(fresh), *how, *options])
        _, cpu, _ = run_measured([*CORPUS, "tune", str(base), *options, "--write", str(made), *how])
        pages = json.loads((made / "timings.json").read_text())["pass"]["read"]
        same = "every file the same" if files(fresh) == files(made) else "NOT THE SAME"
        share = f"{cpu / whole:.0%}"
        print(f"  {name:32}{cpu:8.1f} CPU s, a build {whole:.1f}: {share}; {pages} pages read again; {same}")


def files(folder: Path) -> dict[str, str]:
    """The digests of all files of a run except its timings."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "timings.json")
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=int, nargs="*", default=[1_000_000, 10_000_000])
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.getcwd()
    print(machine_line())
    for records in options.records:
        with tempfile.TemporaryDirectory() as folder:
            answer(records, Path(folder) / "run")
    if find_shared_data():
        with tempfile.TemporaryDirectory() as folder:
            written(Path(folder))


if __name__ == "__main__":
    main()
