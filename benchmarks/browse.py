"""The time and the memory that the page of `corpus serve RUN` takes: `python -m benchmarks.browse [--records 1000000]`.

The ledgers are those of `benchmarks.tune`. Another limit is judged over the copy of the ledger, as a drag on the page
does it, and over the ledger itself, as `corpus tune` does it; the answers must be the same. A search by words runs over
as many texts as there are records, at most a million. Each question is asked five times, and the median counts. Times
are by the wall clock and in CPU seconds, which say more on a machine that does other things too.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from starlette.datastructures import QueryParams

from benchmarks.machine import machine_line
from benchmarks.tune import SETTINGS, write_ledger
from corpus.run import open_run
from corpus.storage.commits import Part, sha256_of
from corpus.storage.manifest import write_manifest
from corpus.storage.store import LocalStore
from corpus.tables.ledger import CORPUS_SCHEMA, ledger_schema, no_counts
from corpus.tables.pack import write_rows
from jobs.assistant.search import write_index
from jobs.browse import limits, pages
from jobs.browse.desk import Desk, Given
from jobs.browse.served_run import ServedRun

TIMES = 5
MOST_TEXTS = 1_000_000
WORDS_PER_TEXT = 120
WORDS = {"a rare word": "w29999", "a common word": "w5", "two words": "w700 w90", "three common words": "w3 w5 w8"}

Answer = TypeVar("Answer")


def timed(name: str, ask: Callable[[], Answer]) -> Answer:
    """Print the median of some tries, and return the answer."""
    walls, cpus = [], []
    for _ in range(TIMES):
        wall, cpu = time.monotonic(), time.process_time()
        answer = ask()
        walls.append(time.monotonic() - wall)
        cpus.append(time.process_time() - cpu)
    print(
        f"  {name:44}{1e3 * statistics.median(walls):8.0f} ms {1e3 * statistics.median(cpus):8.0f} CPU ms", flush=True
    )
    return answer


def resident() -> str:
    """The resident memory of this process now and at most, and the part of it that no file holds."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, own = (int(status[name].split()[0]) / 1e6 for name in ("VmRSS", "RssAnon"))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return f"{now:.2f} GB resident, {own:.2f} GB of it own, {most:.2f} GB at most"


def decide(folder: Path, records: int) -> None:
    """Time a run of this many records."""
    write_ledger(folder, records)
    size = sum(path.stat().st_size for path in (folder / "ledger").iterdir())
    print(f"\n{records:,} records, {size / 1e6:,.0f} MB of ledger")
    wall, cpu = time.monotonic(), time.process_time()
    run = ServedRun.open(folder)
    run.copy.make()
    copied = sum(path.stat().st_size for path in run.copy.folder.iterdir())
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    print(f"  the copy, made once: {wall:.1f} s, {cpu:.1f} CPU s, {copied / 1e6:,.0f} MB; {resident()}")
    desk = Desk(Given(folder), ServedRun.open(folder))
    timed("the first page: stages and funnel", lambda: (desk.overview(), limits.decide(run, [])))
    for name, settings in SETTINGS.items():
        answer = timed(f"another limit: {name}", partial(limits.decide, run, settings))
        plain = open_run(folder).tune(settings, limits.EXAMPLES).as_dict()
        same = {key: answer[key] for key in plain} == plain
        print(f"    {'the answer of `corpus tune`' if same else 'NOT THE ANSWER OF `corpus tune`'}", flush=True)
    timed("a histogram", lambda: limits.distribution(run, "gopher_quality.words"))
    for name, asked in {
        "the first 50 pages of a rule": "rule=gopher_quality.words",
        "pages by a part of their URL, none found": "url=no-such-page",
        "pages by value": "measure=gopher_quality.words&least=100&most=101",
        "pages that would come": "moved=come&set=gopher_quality.words.min=30",
        "50 pages from the middle": f"start={records // 2}",
    }.items():
        timed(name, partial(pages.page_rows, run, QueryParams(asked), None))
    timed("the number of pages of a rule", lambda: pages.count(run, QueryParams("rule=gopher_quality.words"), None))
    print(f"  {resident()}")


def search(folder: Path, count: int) -> None:
    """Time the search by words over this many texts."""
    write_texts(folder, count)
    wall, cpu = time.monotonic(), time.process_time()
    run = ServedRun.open(folder)
    run.folder.mkdir(parents=True)
    write_index(folder, run.folder / "passages.sqlite")
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    size = (run.folder / "passages.sqlite").stat().st_size
    texts = run.parts("corpus")[0].bytes
    print(f"\n{count:,} texts of {WORDS_PER_TEXT} words, {texts / 1e6:,.0f} MB of corpus")
    print(f"  the index, made once: {wall:.0f} s, {cpu:.0f} CPU s, {size / 1e6:,.0f} MB")
    run.copy.make()
    desk = Desk(Given(folder), run)
    for name, words in WORDS.items():

        def ask(words=words):
            among = desk._found(words)
            return among, pages.page_rows(run, QueryParams(), among)

        among, found = timed(f"{name}", ask)
        print(f"    {len(among):,} texts found, {len(found['rows'])} shown", flush=True)


def write_texts(folder: Path, count: int) -> None:
    """Write the folder of a run that keeps this many texts of made words. Common words are common as in English."""
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"w{number}" for number in range(30_000)])
    share = 1 / np.arange(1, len(vocabulary) + 1)
    at_once = 10_000

    def rows(kind: str):
        for first in range(0, count, at_once):
            numbers = range(first, min(first + at_once, count))
            ids = [f"made.warc.gz:{number}" for number in numbers]
            urls = [f"https://site{number % 997}.example/{number}" for number in numbers]
            columns = {"id": ids, "url": urls, "warc": ["made.warc.gz"] * len(ids), "offset": list(numbers)}
            if kind == "corpus":
                drawn = rng.choice(vocabulary, (len(ids), WORDS_PER_TEXT), p=share / share.sum())
                columns["text"] = [" ".join(words) + "." for words in drawn]
            else:
                columns["outcome"] = ["kept"] * len(ids)
            schema = CORPUS_SCHEMA if kind == "corpus" else ledger_schema({})
            arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(len(ids), f.type)
                      for f in schema]  # fmt: skip
            yield pa.table(arrays, schema=schema)

    parts = []
    for kind, schema in (("ledger", ledger_schema({})), ("corpus", CORPUS_SCHEMA)):
        (folder / kind).mkdir(parents=True)
        path = folder / kind / "part-00000.parquet"
        written = write_rows(rows(kind), kind, schema, path)
        parts.append(Part(kind, f"{kind}/{path.name}", written, path.stat().st_size, sha256_of(path)))
    info = {
        "complete": True, "recipe": {"name": "made", "description": "", "measures": "all", "stages": []},
        "resources": {}, "versions": {}, "fingerprint": "made", "inputs": [], "against": [], "removed": "",
        "records": no_counts() | {"in": count, "kept": count}, "other_records": {}, "columns": {}, "compared": {},
        "exceptions": [], "quarantined": [],
    }  # fmt: skip
    data = json.dumps(info).encode()
    write_manifest(LocalStore(folder), parts, data)
    (folder / "run.json").write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", help="Where the runs are made. They take 8 GB for 10 million records.")
    options = parser.parse_args()
    print(machine_line())
    for records in options.records:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            os.environ["XDG_CACHE_HOME"] = folder
            decide(Path(folder) / "run", records)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        search(Path(folder) / "texts", min(MOST_TEXTS, max(options.records)))


if __name__ == "__main__":
    main()
