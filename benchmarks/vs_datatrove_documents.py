"""Documents that are texts already: our stages beside datatrove's filters, on the same JSON Lines and parquet.

    python -m benchmarks.vs_datatrove_documents [--rounds 3] [--save]

The texts are those that trafilatura took from the 3,010 shared pages. Both sides have the quality filters of FineWeb
that need no page, with the same limits, and run on the same single CPU, in turns. Every file is judged after a warm-up
with another one. Prints documents per CPU second, how many times as fast ours is, the share of reading, and the
documents that only one side keeps.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import machine_line
from benchmarks.peer.clock import Lap
from benchmarks.peer_process import VENV, make_environment, run_pinned
from corpus.documents.columns import choose_columns
from corpus.documents.files import columns_in, format_of, plan_documents, read_part
from corpus.sandbox.page_worker import settle
from corpus.sandbox.unit import Unit, run_unit
from corpus.warc.source import LocalSource
from filters import load_recipe
from filters.language.identification import checked_model

TEXTS = Path(os.environ.get("CORPUS_SHARED_DATA", "../shared/data")) / "parity" / "datatrove_0.10.1.parquet"
FIGURES = Path(__file__).parent / "figures" / "vs_datatrove_documents.txt"
PAGE_STAGES = ("url", "screen", "extract", "minhash", "pii")


def judge(path: Path) -> dict:
    """Judge a file in this process, as a page worker does."""
    recipe = load_recipe("fineweb", dict.fromkeys(PAGE_STAGES, "off"))
    pipeline = recipe.pipeline()
    pipeline.prepare()
    settle()
    lap = Lap()
    source = LocalSource(path)
    form = format_of(path.name)
    assert form is not None
    columns = choose_columns(columns_in(source, form), {}, path.name)
    (part,) = plan_documents(source, form, columns, 1 << 40).ranges
    named = json.dumps(columns.as_dict())
    unit = Unit(path.name, str(path), "", form.layout, form.codec, "", *part, source.tag, named)
    kept, documents = [], 0
    for batch in run_unit(pipeline, source, unit):
        rows = batch.tables["ledger"].select(["record_id", "outcome"]).to_pylist()
        documents += len(rows)
        kept += [row["record_id"] for row in rows if row["outcome"] == "kept"]
    took = lap.took()["cpu"]
    lap = Lap()
    for _ in read_part(LocalSource(path), form, part, columns):
        pass
    return {"cpu": took, "read": lap.took()["cpu"], "documents": documents, "kept": kept}


def ours(job: dict) -> None:
    results = {Path(path).name: judge(Path(path)) for path in job["files"]}
    Path(job["out"]).write_text(json.dumps({"files": results}))


def write_files(folder: Path) -> list[Path]:
    rows = pq.read_table(TEXTS, columns=["id", "url", "text"]).to_pylist()
    rows = [row for row in rows if row["text"]]
    warm, timed = rows[::10], [row for number, row in enumerate(rows) if number % 10]
    files = []
    for name, some in (("warm", warm), ("timed", timed)):
        files.append(folder / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in some))
    files.append(folder / "timed.parquet")
    pq.write_table(pa.Table.from_pylist(timed), files[-1])
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--save", action="store_true", help=f"write the table to {FIGURES.name} too")
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        ours(json.loads(options.ours.read_text()))
        return
    make_environment()
    lines = [f"{machine_line()}; all on CPU {options.cpu}"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = write_files(folder)
        job = {"files": list(map(str, files)), "lid": str(checked_model("", "")[0]), "out": str(folder / "out.json")}
        (folder / "job.json").write_text(json.dumps(job))
        peer = [VENV / "bin" / "python", Path(__file__).parent / "peer" / "datatrove_documents.py", folder / "job.json"]
        own = [sys.executable, "-m", "benchmarks.vs_datatrove_documents", "--ours", folder / "job.json"]
        turns: dict[str, list[dict]] = {"ours": [], "datatrove": []}
        for _ in range(options.rounds):
            for name, command in (("ours", own), ("datatrove", peer)):
                run_pinned(command, options.cpu)
                turns[name].append(json.loads((folder / "out.json").read_text())["files"])
        for file in files[1:]:
            lines += report(file.name, turns)
    print("\n".join(lines))
    if options.save:
        FIGURES.write_text("\n".join(lines) + "\n")


def report(file: str, turns: dict[str, list[dict]]) -> list[str]:
    found = {name: [turn[file] for turn in rounds] for name, rounds in turns.items()}
    rates = {name: [one["documents"] / one["cpu"] for one in rounds] for name, rounds in found.items()}
    times = [mine / theirs for mine, theirs in zip(rates["ours"], rates["datatrove"], strict=True)]
    one, other = (set(found[name][0]["kept"]) for name in ("ours", "datatrove"))
    lines = [f"{file}: {found['ours'][0]['documents']} documents, {len(one)} kept by ours, {len(other)} by datatrove"]
    for name in found:
        share = statistics.median(round_["read"] / round_["cpu"] for round_ in found[name])
        lines.append(
            f"  {name:<10} {statistics.median(rates[name]):8.1f} documents per CPU s, reading {share:.1%} of it"
        )
    lines.append(f"  times as fast {statistics.median(times):.2f} ({min(times):.2f}–{max(times):.2f})")
    lines.append(f"  kept by ours alone {len(one - other)}, by datatrove alone {len(other - one)}")
    return lines


if __name__ == "__main__":
    main()
