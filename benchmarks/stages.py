"""CPU time per page and stage, in one process: `python -m benchmarks.stages WARC... [--recipe fineweb] [--save]`.

Each stage is timed on the documents that reach it, with the views that the stages before it have computed. The first
archive is gone through once before anything is counted, so that memos and models are warm. `--save` makes the
figures those that the next run prints beside its own (benchmarks/figures/stages.json).
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.machine import find_shared_data, machine_line
from corpus.dedup import Dedup
from corpus.document import Document
from corpus.outcome import DROPPED, KEPT
from corpus.warc.reader import read_warc
from corpus.warc.record import JUDGED, Record
from filters import load_recipe
from jobs.sample import write_sample

FIGURES = Path(__file__).parent / "figures" / "stages.json"


class Timed:
    """CPU seconds and documents by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.pages: dict[str, int] = defaultdict(int)

    def add(self, stage: str, started: float) -> None:
        self.seconds[stage] += time.process_time() - started
        self.pages[stage] += 1


def run(path: Path, pipeline, timed: Timed) -> int:
    """Judge an archive, timing each stage. Returns the number of judged records."""
    records = 0
    walk = read_warc(path)
    while True:
        started = time.process_time()
        item = next(walk, None)
        timed.add("read", started)
        if item is None:
            return records
        if not isinstance(item, Record) or item.kind not in JUDGED:
            continue
        records += 1
        doc = Document.of(item)
        fate = KEPT
        for bound in pipeline.stages:
            stage = bound.stage
            if bound.name == "gopher_repetition":  # the first that needs words pays for them: shown apart
                started = time.process_time()
                doc.words()
                timed.add("words", started)
            started = time.process_time()
            stopped = False
            if isinstance(stage, Dedup):
                if fate == KEPT:
                    stage.sign(doc)
                    timed.add(bound.name, started)
                continue
            for measure, value, *_ in stage.apply(doc):
                if bound.limits[measure].broken_by(value):
                    fate = DROPPED
                    if stage.costly:
                        stopped = True
                        break
                    stopped = stopped or stage.gate
            timed.add(bound.name, started)
            if stopped:
                break


def default_archives() -> list[Path]:
    """Real archives, or the sample crawl where there are none."""
    if real := find_shared_data():
        return [real / "warc" / name for name in ("mixed-00000.warc.gz", "english-00000.warc.gz")]
    sample = Path(tempfile.mkdtemp()) / "sample.warc.gz"
    write_sample(sample, pages=1000)
    return [sample]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("warcs", nargs="*", type=Path)
    parser.add_argument("--recipe", default="fineweb")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    warcs = options.warcs or default_archives()
    pipeline = load_recipe(options.recipe, options.settings).pipeline()
    pipeline.prepare()
    run(warcs[0], pipeline, Timed())
    before = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures = {}
    print(machine_line())
    for path in warcs:
        timed = Timed()
        pages = run(path, pipeline, timed)
        total = sum(timed.seconds.values())
        print(f"\n{path.name}: {pages} pages, {1e3 * total / pages:.2f} ms a page, {pages / total:.0f} pages/s/core")
        print(f"  {'stage':20}{'µs a page':>12}{'before':>10}{'documents':>12}{'µs each':>10}{'share':>8}")
        for stage, seconds in timed.seconds.items():
            each = 1e6 * seconds / pages
            old = before.get(path.name, {}).get(stage)
            figures.setdefault(path.name, {})[stage] = round(each, 1)
            reached = timed.pages[stage]
            print(
                f"  {stage:20}{each:12.1f}{old if old is not None else '':>10}{reached:12}"
                f"{1e6 * seconds / reached:10.1f}{seconds / total:8.1%}"
            )
    if options.save:
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text(json.dumps(before | figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
