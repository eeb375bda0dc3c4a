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
import hashlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import CRAWL_ARCHIVES, CRAWL_PAGES, adopt_orphans, cpu_of_the_rest, machine_line, shared_data
from corpus.errors import CorpusError
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters.language.identification import checked_model
from filters.url.blocklist import build_blocklist

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
VENV = BUILD / "peer-venv"
NEWER = BUILD / "peer-trafilatura"
BLOCKLIST = BUILD / "peer.blocklist"
FIGURES = Path(__file__).parent / "figures" / "vs_datatrove.txt"
RAW = BUILD / "vs_datatrove.json"
FIRST_PAGES = 5
NEWER_TRAFILATURA = "2.3.1"
SAME_WORK = ("measures=first", 'pii.entities=["email", "ip_address"]')
"""Settings that leave out what the peer doesn't do: measuring a dropped page by later rules, and finding other kinds of
personal data."""
STAGES = (
    "url", "rights", "screen", "extract", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One of the programs that are compared: its name in the tables and the command that judges archives."""

    name: str
    command: list[str]
    job: dict
    environment: dict[str, str] = field(default_factory=dict)
    peer: bool = False


def make_environment() -> None:
    """Make the peer's virtual environment, a folder with trafilatura 2.3.1 to lay over it, and its block lists in our
    form."""
    wanted, newer = (Path(__file__).parent / "peer" / name for name in ("requirements.txt", "newer.txt"))
    stamp = VENV / "installed"
    digest = hashlib.sha256(wanted.read_bytes() + newer.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"Installing the peer into {VENV} …", file=sys.stderr)
        shutil.rmtree(VENV, ignore_errors=True)
        shutil.rmtree(NEWER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        pip = [VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", wanted], check=True)
        subprocess.run([*pip, "--no-deps", "--target", NEWER, "-r", newer], check=True)
        stamp.write_text(digest)
    if not BLOCKLIST.exists():
        (assets,) = VENV.glob("lib/python*/site-packages/datatrove/assets")
        words = [assets / f"{kind}.txt" for kind in ("banned_words", "soft_banned_words", "banned_subwords")]
        build_blocklist([assets / "url_filterblacklistsv0_3_0.tar.gz", *words], BLOCKLIST)


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


class Memory(threading.Thread):
    """Samples the memory of a process and its descendants: the highest PSS, and the highest PSS that is no mapped
    file, in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.pss, self.own = pid, 0, 0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(1.0):
            sizes = [_rollup(pid) for pid in _descendants(self.pid)]
            self.pss = max(self.pss, sum(pss for pss, _ in sizes))
            self.own = max(self.own, sum(pss - mapped for pss, mapped in sizes))

    def end(self) -> None:
        self._ended.set()
        self.join()


def _descendants(root: int) -> list[int]:
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _rollup(pid: int) -> tuple[int, int]:
    """(PSS, the part of it that is mapped files), in bytes."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    except OSError:
        return 0, 0
    return tuple(int(lines.get(name, "0 kB").split()[0]) << 10 for name in ("Pss", "Pss_File"))


def run_pinned(command: list, cpu: int, environment: dict[str, str] | None = None) -> dict[str, float]:
    """Run a command and its children on one CPU. Return the CPU seconds of all, the wall seconds, and the peak memory
    in bytes."""
    adopt_orphans()
    started = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
    )  # fmt: skip
    memory = Memory(process.pid)
    memory.start()
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu_seconds = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    memory.end()
    cpu_seconds += cpu_of_the_rest()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}:\n{complaint.decode(errors='replace')[-4000:]}")
    return {"cpu": cpu_seconds, "wall": wall, "pss": memory.pss, "own": memory.own}


def run_side(side: Side, archives: list[Path], timed: list[Path], cpu: int, scratch: Path) -> dict:
    """Run one turn of one side. Return what its process reports, and its peak memory."""
    job, out = scratch / "job.json", scratch / "out.json"
    about = {"archives": archives, "limits": timed if side.name == "ours" else [], "scratch": scratch, "out": out}
    job.write_text(json.dumps({**side.job, **about}, default=str))
    used = run_pinned([*side.command, job], cpu, side.environment)
    return {**json.loads(out.read_text()), "memory": used}


WHOLE = {"fineweb": "whole `corpus build`", "default": "whole build, `default`"}
"""The recipes of the builds as a user starts them, and their names in the tables."""


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


def spread(values: list[float], form: str = "{:.1f}", extremes: bool = True) -> str:
    """The median of values, with the smallest and the largest one if there are several."""
    middle = form.format(statistics.median(values))
    return (
        middle
        if len(values) == 1 or not extremes
        else f"{middle} ({form.format(min(values))}–{form.format(max(values))})"
    )


class Report:
    """Lines to the screen and, in the end, to a file."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str = "") -> None:
        self.lines.append(line)
        print(line, flush=True)


SPANS = {
    "to last filter": ("judge",),
    "+ signatures": ("judge", "sign"),
    "+ personal data": ("judge", "sign", "pii"),
    "+ start-up": ("judge", "sign", "pii", "start-up"),
}


def cost(turn: dict, archive: str, parts: tuple[str, ...]) -> float:
    """CPU seconds of the parts of one turn."""
    start = next(iter(turn["archives"].values()))["since_start"]
    return sum({**turn["archives"][archive], "start-up": start}[part] for part in parts)


def report_archive(
    say: Report, archive: str, turns: dict[str, list[dict]], builds: dict[str, list[dict]], names: list[Side]
) -> None:
    """The tables of one archive."""
    first = turns["ours"]
    pages = first[0]["archives"][archive]["pages"]
    say(f"\n{archive}: {pages} pages. Pages/s/core in the steady state, median (min–max) of {len(first)} rounds")
    say(f"  {'':30}" + "".join(f"{span:>22}" for span in SPANS) + f"{'wall s':>9}{'kept':>7}")
    for side in names:
        mine = turns[side.name]
        cells = [spread([pages / cost(turn, archive, parts) for turn in mine]) for parts in SPANS.values()]
        wall = spread([turn["archives"][archive]["wall"] for turn in mine], "{:.0f}", False)
        kept = len(mine[0]["archives"][archive]["kept"])
        say(f"  {side.name:30}" + "".join(f"{cell:>22}" for cell in cells) + f"{wall:>9}{kept:7}")
    for recipe, runs in builds.items():
        speed = spread([pages / run["cpu"] for run in runs])
        wall = spread([run["wall"] for run in runs], "{:.0f}", False)
        say(f"  {WHOLE[recipe]:30}{speed:>88}{wall:>9}{runs[0]['kept']:7}")
    say("  Times as fast, round by round")
    for theirs in (side for side in names if side.peer):
        for mine in (side for side in names if not side.peer):
            pairs = list(zip(turns[mine.name], turns[theirs.name], strict=True))
            cells = [
                spread([cost(b, archive, parts) / cost(a, archive, parts) for a, b in pairs], "{:.2f}")
                for parts in SPANS.values()
            ]
            say(f"    {mine.name + ' : ' + theirs.name:50}" + "".join(f"{cell:>20}" for cell in cells))
        for recipe, runs in builds.items():
            pairs = zip(runs, turns[theirs.name], strict=True)
            whole = spread([cost(b, archive, SPANS["+ start-up"]) / run["cpu"] for run, b in pairs], "{:.2f}")
            say(f"    {WHOLE[recipe].removeprefix('whole ') + ' : ' + theirs.name:50}{whole:>80}")
    for theirs in (side for side in names if side.peer):
        a, b = (set(turns[name][0]["archives"][archive]["kept"]) for name in ("ours", theirs.name))
        trouble = {kind: [t["archives"][archive][kind] for t in turns[theirs.name]] for kind in ("timeouts", "broken")}
        say(f"  kept by ours and {theirs.name}: {len(a & b)}, by ours alone {len(a - b)}, by it alone {len(b - a)}; "
            f"its timeouts {trouble['timeouts']}, sandboxes lost {trouble['broken']}")  # fmt: skip
    report_stages(say, archive, turns, names, pages)
    least = {name: [turn["limits"][archive][name] for turn in first] for name in first[0]["limits"][archive]}
    say("  The limit, pages/s/core: " + ", ".join(
        f"{name} {spread([pages / seconds for seconds in each], '{:.0f}')}" for name, each in least.items()
    ))  # fmt: skip
    for name in ("our reader + lxml", "fastwarc + resiliparse"):
        for side in ("ours", "ours, default"):
            pairs = zip(least[name], turns[side], strict=True)
            share = statistics.median(a / cost(b, archive, ("judge",)) for a, b in pairs)
            say(f"    decompressing and parsing alone, {name}: {share:.0%} of what {side} takes to the last filter")


def report_stages(say: Report, archive: str, turns: dict[str, list[dict]], names: list[Side], pages: int) -> None:
    """CPU milliseconds per page of the archive, stage by stage, all sides beside each other."""
    say("  Stage by stage, CPU ms a page (of all pages), median of rounds")
    say(f"    {'':28}" + "".join(f"{side.name.removeprefix('datatrove, '):>20}" for side in names))

    def row(label, of):
        say(f"    {label:28}" + "".join(
            f"{1e3 / pages * statistics.median(of(turn['archives'][archive]) for turn in turns[side.name]):20.3f}"
            for side in names
        ))  # fmt: skip

    row("reading, and the rest", lambda done: done["judge"] - sum(done["stages"].get(stage, 0) for stage in STAGES))
    for stage in STAGES:
        row(stage, lambda done, stage=stage: done["stages"].get(stage, 0))
    row("sum", lambda done: done["judge"])
    row("signatures", lambda done: done["sign"])
    row("personal data", lambda done: done["pii"])


def report_crawl(
    say: Report, archive: str, turns: dict[str, list[dict]], begun: dict[str, list[dict]], builds: dict[str, list[dict]]
) -> None:
    """Print the time and disk that a whole crawl of such pages would take, from the medians. The rows of whole builds
    leave out what a build of the first pages takes too: a crawl has it once for each worker, not for each archive."""
    pages = turns["ours"][0]["archives"][archive]["pages"]
    say(
        f"\nOne Common Crawl ({CRAWL_ARCHIVES:,} archives, {CRAWL_PAGES:,} pages), if its pages were those of {archive}"
    )
    each = {
        f"{name}, steady state": statistics.median(cost(turn, archive, SPANS["+ personal data"]) for turn in mine)
        / pages
        for name, mine in turns.items()
    }
    for recipe, runs in builds.items():
        started = zip(runs, begun[recipe], strict=True)
        each[WHOLE[recipe]] = statistics.median(run["cpu"] - begin["cpu"] for run, begin in started) / (
            pages - FIRST_PAGES
        )
    for name, seconds in each.items():
        say(f"  {name:44}{seconds * CRAWL_PAGES / 3600:12,.0f} core-hours{1e3 * seconds:9.2f} ms a page")
    read, written = (statistics.median(run[kind] for run in builds["fineweb"]) / pages for kind in ("read", "written"))
    for verb, size in (("reads", read), ("leaves", written)):
        say(f"  `corpus build` {verb} {size:,.0f} bytes a page, {size * CRAWL_PAGES / 1e12:,.1f} TB")


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
    say(f"\n{'':32}{'start-up, CPU s':>20}{'peak PSS, MB':>18}{'without files':>18}")
    for side in compared:
        mine = turns[side.name]
        start = spread([turn["archives"][begin.name]["since_start"] for turn in mine])
        peak, own = (max(turn["memory"][kind] for turn in mine) / 1e6 for kind in ("pss", "own"))
        say(f"  {side.name:30}{start:>20}{peak:18.0f}{own:18.0f}")
    for recipe, name in WHOLE.items():
        start = spread([run["cpu"] for run in builds[begin.name][recipe]])
        whole = [run for runs in builds.values() for run in runs[recipe]]
        peak, own = (max(run[kind] for run in whole) / 1e6 for kind in ("pss", "own"))
        say(f"  {name:30}{start:>20}{peak:18.0f}{own:18.0f}")
    report_crawl(say, timed[0].name, turns, builds[begin.name], builds[timed[0].name])
    if options.save:
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text("\n".join(say.lines) + "\n")


if __name__ == "__main__":
    try:
        main()
    except CorpusError as error:
        raise SystemExit(str(error)) from None
