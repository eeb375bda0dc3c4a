"""The tables of `benchmarks.vs_datatrove`."""

import statistics

from benchmarks.machine import CRAWL_ARCHIVES, CRAWL_PAGES
from benchmarks.peer_process import Side

FIRST_PAGES = 5
STAGES = (
    "url", "rights", "screen", "extract", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb",
)  # fmt: skip


WHOLE = {"fineweb": "whole `corpus build`", "default": "whole build, `default`"}
"""The recipes of the builds as a user starts them, and their names in the tables."""


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
        for own in (side for side in names if not side.peer):
            pairs = list(zip(turns[own.name], turns[theirs.name], strict=True))
            cells = [
                spread([cost(b, archive, parts) / cost(a, archive, parts) for a, b in pairs], "{:.2f}")
                for parts in SPANS.values()
            ]
            say(f"    {own.name + ' : ' + theirs.name:50}" + "".join(f"{cell:>20}" for cell in cells))
        for recipe, runs in builds.items():
            pairs = list(zip(runs, turns[theirs.name], strict=True))
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
        for who in ("ours", "ours, default"):
            parsed = zip(least[name], turns[who], strict=True)
            share = statistics.median(a / cost(b, archive, ("judge",)) for a, b in parsed)
            say(f"    decompressing and parsing alone, {name}: {share:.0%} of what {who} takes to the last filter")


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


def report_starts(
    say: Report, turns: dict[str, list[dict]], begun: str, builds: dict[str, dict[str, list[dict]]]
) -> None:
    """Print the CPU time up to the end of the first pages, and the memory of all archives. `begun` is the archive of
    these pages."""
    say(f"\n{'':32}{'start-up, CPU s':>20}{'peak PSS, MB':>18}{'without files':>18}")
    for name, mine in turns.items():
        start = spread([turn["archives"][begun]["since_start"] for turn in mine])
        peak, own = (max(turn["memory"][kind] for turn in mine) / 1e6 for kind in ("pss", "own"))
        say(f"  {name:30}{start:>20}{peak:18.0f}{own:18.0f}")
    for recipe, name in WHOLE.items():
        start = spread([run["cpu"] for run in builds[begun][recipe]])
        whole = [run for runs in builds.values() for run in runs[recipe]]
        peak, own = (max(run[kind] for run in whole) / 1e6 for kind in ("pss", "own"))
        say(f"  {name:30}{start:>20}{peak:18.0f}{own:18.0f}")


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
