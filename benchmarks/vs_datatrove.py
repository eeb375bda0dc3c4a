"""Our `fineweb` recipe beside datatrove's FineWeb pipeline, on the same archives: `make bench-peer`, or

    python -m benchmarks.vs_datatrove [WARC...] [--rounds 3] [--pages N] [--save]

The peer gets an environment of its own in build/ (by pip, the first time). Each side is one process with its children.
All sides run on the same CPU, one after the other. In every round each side goes through all archives:

    start-up       all CPU time up to the end of the first 5 pages, which load every model and list
    warming        one archive (--warm) that is not counted
    steady state   each archive given, from the first byte read to the last page judged

CPU time is the user and system time of the process and its children. Both sides time three parts of the work apart:
from reading to the last filter; MinHash signatures of the pages that are left; removal of personal data from them. See
`benchmarks/peer` for what each side runs, and docs/speed.md for how they differ. A whole `corpus build` is timed too,
as a user starts it. A build of those 5 pages tells its start-up, which a crawl has once for each worker.
"""

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import machine_line, shared_data
from benchmarks.peer_process import BLOCKLIST, BUILD, NEWER, ROOT, VENV, Side, make_environment, run_pinned
from benchmarks.vs_datatrove_tables import FIRST_PAGES, WHOLE, Report, report_archive, report_crawl, report_starts
from corpus.errors import CorpusError
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters.language.identification import checked_model

FIGURES = Path(__file__).parent / "figures" / "vs_datatrove.txt"
RAW = BUILD / "vs_datatrove.json"
NEWER_TRAFILATURA = "2.3.1"
SAME_WORK = ("measures=first", 'pii.entities=["email", "ip_address"]')
"""Settings that leave out what the peer doesn't do: measuring a dropped page by later rules, and finding other kinds of
personal data."""


def cut(path: Path, pages: int, folder: Path) -> Path:
    """Write a copy of the archive with its first `pages` pages only."""
    seen, end = 0, path.stat().st_size
    for item in read_warc(path):
        if seen == pages:
            end = item.offset
            break
        seen += isinstance(item, Record) and item.judged
    out = folder / f"first-{pages}-{path.name}"
    with path.open("rb") as whole:
        out.write_bytes(whole.read(end))
    return out


def run_side(side: Side, archives: list[Path], timed: list[Path], cpu: int, scratch: Path) -> dict:
    """Run one turn of one side. Return what its process reports, and its peak memory."""
    job, out = scratch / "job.json", scratch / "out.json"
    about = {"archives": archives, "limits": timed if side.name == "ours" else [], "scratch": scratch, "out": out}
    job.write_text(json.dumps({**side.job, **about}, default=str))
    used = run_pinned([*side.command, job], cpu, side.environment)
    return {**json.loads(out.read_text()), "memory": used}


def run_build(archive: Path, recipe: str, cpu: int, scratch: Path) -> dict:
    """Run `corpus build` on one archive, as a user starts it, with one worker."""
    command = [sys.executable, "-m", "jobs.cli", "build", archive, "-o", scratch / "run", "--workers", "1"]
    command += ["--recipe", recipe, "--set", f"url.blocklist={BLOCKLIST}"]
    used = run_pinned(command, cpu)
    counts = json.loads((scratch / "run" / "run.json").read_text())["records"]
    written = sum(file.stat().st_size for file in (scratch / "run").rglob("*") if file.is_file())
    shutil.rmtree(scratch / "run")
    return {**used, "kept": counts["kept"], "read": archive.stat().st_size, "written": written}


def sides(lid: Path) -> list[Side]:
    """The sides, in the order of their turns."""
    ours = [sys.executable, "-m", "benchmarks.peer.ours"]
    lists = f"url.blocklist={BLOCKLIST}"
    recipe = {"recipe": "fineweb", "settings": [lists]}
    peer = [str(VENV / "bin" / "python"), str(Path(__file__).parent / "peer" / "datatrove_fineweb.py")]
    offline = {"HF_ASSETS_CACHE": str(BUILD / "peer-assets"), "HF_HUB_OFFLINE": "1"}
    newer = {**offline, "PYTHONPATH": str(NEWER)}
    return [
        Side("ours", ours, recipe),
        Side("datatrove", peer, {"lid": str(lid)}, offline, peer=True),
        Side("ours, same work", ours, {**recipe, "settings": [lists, *SAME_WORK]}),
        Side("ours, resiliparse", ours, {**recipe, "settings": [lists, "extract.engine=resiliparse"]}),
        Side("same work, resiliparse", ours, {**recipe, "settings": [lists, *SAME_WORK, "extract.engine=resiliparse"]}),
        Side("ours, default", ours, {"recipe": "default", "settings": [lists]}),
        Side(f"datatrove, trafilatura {NEWER_TRAFILATURA}", peer, {"lid": str(lid)}, newer, peer=True),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("warcs", nargs="*", type=Path)
    parser.add_argument("--warm", type=Path, help="the archive that goes before, uncounted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pages", type=int, help="cut every archive to its first pages: a quick look")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--save", action="store_true", help=f"write the tables to {FIGURES.relative_to(ROOT)} too")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # pip has compiled the peer, so each process must not compile us
    data = shared_data() / "warc" if not (options.warcs and options.warm) else Path()
    timed = options.warcs or [data / "mixed-00000.warc.gz", data / "english-00000.warc.gz"]
    timed = [path.resolve() for path in timed]
    warm = (options.warm or data / "mixed-00001.warc.gz").resolve()
    make_environment()
    lid, _ = checked_model("", "")
    say = Report()
    with tempfile.TemporaryDirectory(dir=BUILD) as temporary:
        scratch = Path(temporary)
        begin = cut(timed[-1], FIRST_PAGES, scratch)
        if options.pages:
            warm, *timed = (cut(path, options.pages, scratch) for path in (warm, *timed))
        compared = sides(lid)
        # the peer unpacks its lists at its very first run; and a sandbox that can't start looks like a time limit
        for side in compared:
            if not run_side(side, [begin], [], options.cpu, scratch)["archives"][begin.name]["kept"]:
                raise SystemExit(f"{side.name} keeps none of the first {FIRST_PAGES} pages: something is amiss.")
        turns: dict[str, list[dict]] = {side.name: [] for side in compared}
        builds: dict[str, dict[str, list[dict]]] = {
            path.name: {recipe: [] for recipe in WHOLE} for path in (begin, *timed)
        }
        say(machine_line() + f"; all on CPU {options.cpu}")
        order = ", ".join(path.name for path in timed)
        say(f"start-up: {FIRST_PAGES} pages of {timed[-1].name}; warming: {warm.name}; then {order}")
        for number in range(options.rounds):
            for side in compared:
                turns[side.name].append(run_side(side, [begin, warm, *timed], timed, options.cpu, scratch))
                print(f"round {number + 1}: {side.name} done", file=sys.stderr, flush=True)
            for path, recipe in itertools.product((begin, *timed), WHOLE):
                builds[path.name][recipe].append(run_build(path, recipe, options.cpu, scratch))
            RAW.write_text(json.dumps({"turns": turns, "builds": builds}, indent=1))
    say(f"after the rounds, {machine_line().partition(', ')[2]}")
    for side in compared:
        versions = ", ".join(f"{name} {version}" for name, version in turns[side.name][0]["versions"].items())
        say(f"{side.name}: {versions}")
    for path in timed:
        report_archive(say, path.name, turns, builds[path.name], compared)
    report_starts(say, turns, begin.name, builds)
    report_crawl(say, timed[0].name, turns, builds[begin.name], builds[timed[0].name])
    if options.save:
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text("\n".join(say.lines) + "\n")


if __name__ == "__main__":
    try:
        main()
    except CorpusError as error:
        raise SystemExit(str(error)) from None
