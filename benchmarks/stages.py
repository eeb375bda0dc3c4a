"""CPU time per page and stage, in one process: `python -m benchmarks.stages WARC... [--recipe fineweb] [--save]`.

The stages take turns over batches of pages, as in a run. The first stage that needs words pays for them; this time is
shown apart. The first archive is judged once before anything is counted, so that models are loaded. Each archive is
then judged twice: at first sight, when many of its words are new, and again, when all are known, as nearly all are in a
long run. For kept pages of some 5 kB of text (4,000 to 6,000 characters) the time of each group of stages after
extraction is printed too. `--save` keeps what is printed (benchmarks/figures/stages_fineweb.txt) and the
figures that the next run prints beside its own (stages_fineweb.json).
"""

import argparse
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.machine import find_shared_data, machine_line
from corpus.dedup.contract import DocumentComparison
from corpus.document import Document
from corpus.outcome import DROPPED, KEPT
from corpus.sandbox.page_worker import settle
from corpus.sandbox.unit import RECORDS_PER_BATCH
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters import load_recipe
from jobs.sample.crawl import write_sample

FIGURES = Path(__file__).parent / "figures"
GROUPS = {
    "language": ("language",),
    "words + Gopher + C4 + FineWeb": ("words", "gopher_repetition", "gopher_quality", "c4", "fineweb"),
    "signature": ("minhash",),
    "personal data": ("pii",),
}
SOME_5_KB = range(4_000, 6_000)
Seconds = defaultdict[str, float]
"""CPU seconds by stage."""


def add(totals: Seconds, seconds: Seconds) -> None:
    for stage, one in seconds.items():
        totals[stage] += one


class Timed:
    """The CPU seconds and the documents of each stage, and the seconds of each stage on kept pages of some 5 kB."""

    def __init__(self) -> None:
        self.pages = 0
        self.seconds: Seconds = defaultdict(float)
        self.documents: Counter[str] = Counter()
        self.kept = 0
        self.of_kept: Seconds = defaultdict(float)


class Timing:
    """A document on its way through the stages."""

    def __init__(self, record: Record) -> None:
        self.doc = Document.of(record)
        self.fate = KEPT
        self.stopped = False
        self.chars = 0
        self.seconds: Seconds = defaultdict(float)

    def take(self, bound) -> None:
        """Run a stage over the document, and add its time."""
        if bound.name == "gopher_repetition":
            started = time.process_time()
            self.doc.words()
            self.seconds["words"] += time.process_time() - started
        started = time.process_time()
        if isinstance(bound.stage, DocumentComparison):
            if self.fate != KEPT:
                return
            bound.stage.sign(self.doc)
        else:
            self.stopped = self._measured(bound)
        self.seconds[bound.name] += time.process_time() - started
        if bound.name == "extract":
            self.chars = len(self.doc.text)

    def _measured(self, bound) -> bool:
        """Return True if later stages do not see the document."""
        stopped = False
        for measure, value, *_ in bound.stage.apply(self.doc):
            if bound.limits[measure].broken_by(value):
                self.fate = DROPPED
                stopped = stopped or bound.stage.gate
                if bound.stage.costly:
                    return True
        return stopped


def run(path: Path, pipeline, timed: Timed) -> Timed:
    """Judge an archive, timing each stage."""
    walk = read_warc(path)
    while True:
        started = time.process_time()
        items = list(islice(walk, RECORDS_PER_BATCH))
        timed.seconds["read"] += time.process_time() - started
        timed.documents["read"] += len(items)
        if not items:
            return timed
        batch = [Timing(item) for item in items if isinstance(item, Record) and item.judged]
        for bound in pipeline.stages:
            for one in batch:
                if not one.stopped:
                    one.take(bound)
        timed.pages += len(batch)
        for one in batch:
            add(timed.seconds, one.seconds)
            timed.documents.update(one.seconds.keys())
            if one.fate == KEPT and one.chars in SOME_5_KB:
                timed.kept += 1
                add(timed.of_kept, one.seconds)


def default_archives() -> list[Path]:
    """Real archives, or the sample crawl if there are none."""
    if real := find_shared_data():
        return [real / "warc" / name for name in ("mixed-00000.warc.gz", "english-00000.warc.gz")]
    sample = Path(tempfile.mkdtemp()) / "sample.warc.gz"
    write_sample(sample, pages=1000)
    return [sample]


def lines_of(name: str, timed: Timed, again: Timed, before: dict[str, float]) -> Iterator[str]:
    """The figures of an archive."""
    total = sum(timed.seconds.values())
    each, speed = 1e3 * total / timed.pages, timed.pages / total
    yield ""
    yield f"{name}: {timed.pages} pages, {each:.2f} ms a page, {speed:.0f} pages/s/core"
    yield f"  {'stage':20}{'µs a page':>12}{'before':>10}{'documents':>12}{'µs each':>10}{'share':>8}{'again':>10}"
    for stage, seconds in timed.seconds.items():
        reached = timed.documents[stage]
        yield (
            f"  {stage:20}{1e6 * seconds / timed.pages:12.1f}{before.get(stage, ''):>10}{reached:12}"
            f"{1e6 * seconds / reached:10.1f}{seconds / total:8.1%}{1e6 * again.seconds[stage] / reached:10.1f}"
        )
    if not timed.kept:
        return
    yield f"  ms per kept page of 4,000 to 6,000 characters ({timed.kept}): at first sight, again"
    for group, stages in GROUPS.items():
        first, then = (1e3 * sum(one.of_kept[stage] for stage in stages) / one.kept for one in (timed, again))
        yield f"    {group:32}{first:6.2f}{then:8.2f}"


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
    settle()
    run(warcs[0], pipeline, Timed())
    saved = FIGURES / f"stages_{options.recipe}.json"
    before = json.loads(saved.read_text()) if saved.exists() else {}
    figures = {}
    lines = [machine_line()]
    for path in warcs:
        timed, again = (run(path, pipeline, Timed()) for _ in range(2))
        lines += lines_of(path.name, timed, again, before.get(path.name, {}))
        figures[path.name] = {stage: round(1e6 * one / timed.pages, 1) for stage, one in timed.seconds.items()}
    print("\n".join(lines))
    if options.save:
        saved.with_suffix(".txt").write_text("\n".join(lines) + "\n")
        saved.write_text(json.dumps(before | figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
