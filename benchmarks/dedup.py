"""Measure dedup: what it removes of labelled pairs, and what it costs.

    python -m benchmarks.dedup                        all but the long runs
    python -m benchmarks.dedup pairs [--each 120]     precision and recall, S-curve
    python -m benchmarks.dedup numbers                what it removes of pages that differ only in numbers
    python -m benchmarks.dedup scale 1 3 10 30        million documents: time, CPU, memory, disk, by phase
    python -m benchmarks.dedup peer [--documents N]   datatrove's stages 2 and 3 on the same signatures
    python -m benchmarks.dedup against 10             new documents against an index of 10 million
    python -m benchmarks.dedup lines 1 3              million documents whose lines are compared
    python -m benchmarks.dedup counts .1 1 10         tasks, files and requests counted, and formulas up to 10 billion
    python -m benchmarks.dedup line-counts .1 1       the same for the comparison of lines

The signatures of `scale` and `peer` are made without texts (see `dedup_scale`). Pairs are made from real texts (see
`dedup_pairs`). CPU time is the user and system time of all tasks. Each side of `peer` is one process.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dedup_counts import counts
from benchmarks.dedup_lines import lines
from benchmarks.dedup_pairs import EDITS, articles, bins, jaccard, made_pairs, real_texts
from benchmarks.dedup_runs import compare, comparison, recipe, stage_of
from benchmarks.dedup_scale import cluster_of, documents, write_units
from benchmarks.machine import machine_line, shared_data
from corpus.dedup.index import open_index
from corpus.dedup.signatures import BANDS, ROWS, band_keys, sign
from corpus.document import Document
from jobs.build.compare_documents import compare_documents, make_index
from jobs.runner.engine import Engine, Stop
from jobs.runner.local_engine import LocalEngine
from jobs.runner.ray_engine import RayEngine

ROOT = Path(__file__).parents[1]
PEER = ROOT / "build" / "peer-venv" / "bin" / "python"
WAYS: dict[str, dict[str, object]] = {
    "classic": {"clusters": "classic"},
    "signature": {},
    "at .6": {"similarity": {"below": 0.6}},
    "jaccard": {"verify": "jaccard"},
    "containment": {"verify": "containment"},
}


def pairs(each: int) -> None:
    """Print what each way of comparing removes of the pairs."""
    data = shared_data()
    made = made_pairs(data, each)
    values = np.array([pair.jaccard for pair in made])
    alike = np.array([pair.alike for pair in made])
    kinds = np.array([pair.kind for pair in made])
    low, high = values.min(), values.max()
    print(f"{len(made)} pairs of real texts, {alike.sum()} of them alike; exact Jaccard {low:.2f} to {high:.2f}")
    texts = [text for pair in made for text in (pair.ours, pair.theirs)]
    found = {way: removals(texts, **options) for way, options in WAYS.items()}
    near = alike & (values >= 0.7)
    classic = hits(found["classic"], len(made)) & alike
    # `strangers` counts texts removed in favor of a text of another pair. `of classic` is the share that a way removes
    # of the pairs that the classic way rightly removes.
    print(
        f"\n{'way':12} {'removed':>7} {'alike':>6} {'unlike':>6} {'strangers':>9} {'precision':>9} "
        f"{'of classic':>10} {'where J >= .7':>13} {'recall J >= .7':>14}"
    )
    for way, gone in found.items():
        hit = hits(gone, len(made))
        strangers = sum(doc // 2 != keeper // 2 for doc, (keeper, _, _) in gone.items())
        right = (hit & alike).sum()
        shares = [(hit & some).sum() / some.sum() for some in (classic, classic & near, near)]
        print(
            f"{way:12} {len(gone):7} {right:6} {(hit & ~alike).sum():6} {strangers:9} {right / max(len(gone), 1):9.3f} "
            f"{shares[0]:10.3f} {shares[1]:13.3f} {shares[2]:14.3f}"
        )
    print("\nshare removed, by exact Jaccard" + "".join(f"{low:>8.1f}" for low, _ in bins(values)))
    for way, gone in found.items():
        hit = hits(gone, len(made))
        for name, wanted in (("alike", alike), ("unlike", ~alike)):
            shares = [hit[some[wanted[some]]].mean() if wanted[some].any() else np.nan for _, some in bins(values)]
            print(f"  {way:12} {name:16}" + "".join("       –" if np.isnan(s) else f"{s:8.2f}" for s in shares))
    print("\nshare removed, by edit" + "".join(f"{kind:>14}" for kind in EDITS))
    for way, gone in found.items():
        hit = hits(gone, len(made))
        print(f"  {way:20}" + "".join(f"{hit[kinds == kind].mean():14.2f}" for kind in EDITS))
    for name in ("articles_100", "articles_1000"):
        known, truth = articles(data, name)
        ids = list(known)
        for way in ("classic", "signature"):
            gone = removals(list(known.values()), **WAYS[way])
            told = {frozenset((ids[doc], ids[keeper])) for doc, (keeper, _, _) in gone.items()}
            print(f"{name}, {way}: {len(told & truth)} of {len(truth)} known pairs, {len(told - truth)} others")


def numbers() -> None:
    """What is removed of pages that differ from another page in all their numbers, and in nothing else."""
    rng = random.Random(0)
    found = defaultdict(list)
    for text in real_texts(shared_data()):
        other = re.sub(r"\d", lambda _: str(rng.randrange(10)), text)
        share = np.mean([any(map(str.isdigit, word)) for word in text.split()])
        shares = [jaccard(text, other, numbers) for numbers in (False, True)]
        found[next(most for most in (0.01, 0.02, 0.05, 1) if share <= most)].append(shares)
    print("\npages with another page's text and other numbers, share with Jaccard of at least .7")
    print(f"{'words with a digit':>20}{'pages':>7}{'numbers alike':>15}{'as written':>12}")
    for most, pages in sorted(found.items()):
        alike, written = (np.array(pages) >= 0.7).mean(axis=0)
        print(f"{f'up to {most:.0%}':>20}{len(pages):7}{alike:15.2f}{written:12.2f}")


def removals(texts: list[str], **options: Any) -> dict[int, tuple[int, float, bool]]:
    made = recipe(**options)
    stage = stage_of(made)
    signed = [stage.sign(Document(id=str(number), text=text)) for number, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        return compare(Path(folder), made, signed, LocalEngine(1))


def hits(gone: dict[int, tuple[int, float, bool]], count: int) -> np.ndarray:
    """Return which pairs lost one of their texts to the other."""
    found = np.zeros(count, dtype=np.bool_)
    for doc, (keeper, _, _) in gone.items():
        if doc // 2 == keeper // 2:
            found[doc // 2] = True
    return found


def s_curve(count: int = 3_000) -> None:
    """Print the share of made sets of a given Jaccard similarity that become candidates, beside 1 - (1 - s^8)^14."""
    rng = np.random.default_rng(5)
    print(f"\n{count} pairs each    candidates   theory   standard errors apart")
    for s in (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95):
        size = 300
        common = round(2 * size * s / (1 + s))
        hashes = rng.integers(0, 2**64, (count, 2 * size - common), dtype=np.uint64)
        ours = np.array([sign(row[:size]) for row in hashes])
        theirs = np.array([sign(row[size - common :]) for row in hashes])
        candidate = (band_keys(ours) == band_keys(theirs)).any(axis=1)
        exact = common / (2 * size - common)
        theory = 1 - (1 - exact**ROWS) ** BANDS
        error = (theory * (1 - theory) / count) ** 0.5
        apart = (candidate.mean() - theory) / error if error else 0.0
        print(f"  Jaccard {exact:.3f}     {candidate.mean():8.4f} {theory:8.4f}   {apart:8.2f}")


def scale(millions: float, folder: Path, engine: Engine, memory: int, keep: bool) -> None:
    """Measure the phases from signatures to verdicts."""
    count, made = int(millions * 1e6), recipe()
    here = folder / f"{millions:g}m"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    units = list(write_units(here, stage_of(made), count))
    with Stop() as stop:
        work = comparison(here, made, units, engine, stop, memory)
        signatures = work.disk.look()
        started, own = time.monotonic(), time.process_time()
        compared = compare_documents(work)
    assert compared is not None
    seconds = time.monotonic() - started
    costs = work.costs
    driver = time.process_time() - own
    cpu = driver + sum(cost["cpu"] for cost in costs.values())
    per_second = count / cpu
    print(f"\n{count:,} documents, {len(units):,} units, {memory >> 20} MiB for a task's rows")
    work.table(count)
    info = compared.facts
    print(
        f"  in all {seconds:.1f} s, {cpu:.1f} CPU s (this process {driver:.1f}): {per_second:,.0f} documents "
        f"per CPU second; disk at most {work.disk.most / count:.0f} B/doc, signatures {signatures / count:.0f} of them"
    )
    gone = info["removed"]
    print(
        f"  removed {gone['all']:,} ({gone['exact']:,} equal), unverified {info['unverified']:,}, "
        f"largest cluster {info['largest'][0]['documents']:,}",
        flush=True,
    )
    if not keep:
        shutil.rmtree(here)


def peer(count: int, folder: Path) -> None:
    """Measure datatrove's stages 2 and 3 on the same signatures."""
    if not PEER.exists():
        raise SystemExit(f"{PEER} is missing: `make bench-peer` makes the peer's environment.")
    here = folder / "peer"
    shutil.rmtree(here, ignore_errors=True)
    files = 10
    clusters = cluster_of(count, 1)
    clusters[clusters >= count] += 1 << 62
    fields = [*((f"v{n}", "<u8") for n in range(ROWS)), ("doc", "<u4")]
    for rank, part in enumerate(np.array_split(np.arange(count), files)):
        values = np.concatenate(
            [documents(clusters[some], int(some[0]), 1, np.dtype("<u8"))[1] for some in np.array_split(part, 20)]
        ) >> np.uint64(3)  # below 2^61 - 1
        for band in range(BANDS):
            records = np.zeros(len(part), dtype=fields)
            for row in range(ROWS):
                records[f"v{row}"] = values[:, band * ROWS + row]
            records["doc"] = np.arange(len(part))
            records.sort(order=[name for name, _ in fields])
            path = here / "signatures" / f"bucket_{band:03d}" / f"{rank:05d}.minhash.sig"
            path.parent.mkdir(parents=True, exist_ok=True)
            records.tofile(path)
    command = [
        str(PEER),
        str(ROOT / "benchmarks" / "peer" / "datatrove_minhash.py"),
        str(here / "signatures"),
        str(here),
    ]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    cpu = sum(answer["cpu"].values())
    shutil.rmtree(here)
    print(
        f"\ndatatrove 0.10.1, stages 2 and 3, {count:,} documents: {cpu:.1f} CPU s {answer['cpu']}, "
        f"{count / cpu:,.0f} documents per CPU second, peak {answer['peak'] / 1e6:.0f} MB, "
        f"removed {answer['removed']:,}",
        flush=True,
    )


def against(millions: float, folder: Path, engine: Engine, memory: int, new: int = 100_000) -> None:
    """Measure `new` documents against the index of a run of `millions` million documents."""
    count, made = int(millions * 1e6), recipe()
    old, more = folder / "old", folder / "new"
    for path in (old, more):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    with Stop() as stop:
        units = list(write_units(old, stage_of(made), count))
        work = comparison(old, made, units, engine, stop, memory)
        compared = compare_documents(work)
        assert compared is not None
        make_index(work, compared)
        index = sum(path.stat().st_size for path in (old / "index").iterdir())
        kept = count - sum(compared.removed)
        print(f"\nindex of {count:,} documents, {kept:,} kept: {work.costs['index']['cpu']:.1f} CPU s, "
              f"{index / kept:.0f} bytes per kept document")  # fmt: skip
        shutil.rmtree(old / ".work")
        for name, earlier in (("alone", []), ("against it", [open_index(old)])):
            shutil.rmtree(more, ignore_errors=True)
            more.mkdir()
            # nearly half of the new documents are like one of the old run
            units = list(itertools.islice(write_units(more, stage_of(made), count, later=1), new // 1000))
            work = comparison(more, made, units, engine, stop, memory, earlier)
            started = time.monotonic()
            compared = compare_documents(work)
            assert compared is not None
            cpu = sum(cost["cpu"] for cost in work.costs.values())
            peak = max(cost["peak"] for cost in work.costs.values())
            print(
                f"  {new:,} documents {name}: {time.monotonic() - started:.1f} s, {cpu:.1f} CPU s, "
                f"peak {peak / 1e6:.0f} MB, removed {sum(compared.removed):,}",
                flush=True,
            )
            print("   ", {phase: round(cost["cpu"], 2) for phase, cost in work.costs.items()})
    for path in (old, more):
        shutil.rmtree(path)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = ["all", "pairs", "numbers", "scale", "peer", "against", "lines", "counts", "line-counts"]
    parser.add_argument("what", nargs="?", choices=kinds, default="all")
    parser.add_argument("millions", nargs="*", type=float, default=[1.0])
    parser.add_argument("--each", type=int, default=120, help="pairs of each kind")
    parser.add_argument("--documents", type=int, default=300_000, help="for peer")
    parser.add_argument("--memory", type=int, default=1024, help="MiB for the rows of a task")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "dedup")
    parser.add_argument("--keep", action="store_true", help="keep the signatures")
    chosen = parser.parse_args()
    print(machine_line())
    memory = chosen.memory << 20
    if chosen.what in ("all", "pairs"):
        pairs(chosen.each)
        s_curve()
    if chosen.what in ("all", "numbers"):
        numbers()
    if chosen.what in ("counts", "line-counts"):
        of_lines = chosen.what == "line-counts"
        counts(chosen.millions, memory, of_lines, _made(chosen.folder), (10**8, 10**9, 10**10))
    if chosen.what in ("all", "scale", "against", "lines"):
        engine = (RayEngine if chosen.ray else LocalEngine)(chosen.workers)
        with contextlib.closing(engine):
            for millions in chosen.millions:
                if chosen.what == "against":
                    against(millions, chosen.folder, engine, memory)
                if chosen.what in ("all", "scale"):
                    scale(millions, chosen.folder, engine, memory, chosen.keep)
                if chosen.what in ("all", "lines"):
                    with tempfile.TemporaryDirectory(dir=_made(chosen.folder)) as folder:
                        lines(millions, Path(folder), engine, memory)
    if chosen.what in ("all", "peer"):
        with contextlib.closing(LocalEngine(1)) as engine:
            scale(chosen.documents / 1e6, chosen.folder, engine, memory, keep=False)
        peer(chosen.documents, chosen.folder)
    print(f"\npeak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB; {machine_line()}")


if __name__ == "__main__":
    main()
