"""What the stage `rights` costs and finds: `python -m benchmarks.rights [WARC...] [--save]`.

The pages that pass `url` and `screen` are judged. The stage parses some of them, and the extraction of the recipe
`default` uses that parse. So the time of these parses is printed, too.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

from resiliparse.parse.html import HTMLTree

from benchmarks.machine import find_shared_data, machine_line
from corpus.document import Document
from corpus.outcome import KEPT, Outcome
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters import load_recipe

FIGURES = Path(__file__).parent / "figures" / "rights.txt"
SIGNALS = ("noai", "noimageai", "noindex", "tdm_reservation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", nargs="*", type=Path)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    archives = options.archives or sorted(((find_shared_data() or Path()) / "warc").glob("*.warc.gz"))
    pipeline = load_recipe("default").pipeline()
    pipeline.prepare()
    stages = [bound for bound in pipeline.stages if bound.name in ("url", "screen", "rights")]
    own = parsing = 0.0
    found: Counter[str] = Counter()
    licenses: Counter[str] = Counter()
    pages = reached = parsed = 0
    for record in (record for archive in archives for record in read_warc(archive)):
        if not isinstance(record, Record) or not record.judged:
            continue
        pages += 1
        outcome = Outcome(KEPT, Document.of(record))
        if not all(bound.judge(outcome) for bound in stages[:-1]):
            continue
        reached += 1
        started = time.process_time()
        stages[-1].judge(outcome)
        own += time.process_time() - started
        if "tree" in vars(outcome.doc.page):
            parsed += 1
            started = time.process_time()
            HTMLTree.parse(outcome.doc.page.html)
            parsing += time.process_time() - started
        found.update(name for name in SIGNALS if outcome.measures[f"rights.{name}"])
        if name := outcome.measures["rights.license"]:
            licenses[f"{name} by {outcome.measures['rights.license_source']}"] += 1
    lines = [
        f"{pages:,} pages of {len(archives)} archives, {reached:,} of them after the screen",
        f"rights: {1e3 * own / pages:.3f} ms a page, or {1e3 * own / reached:.3f} ms for each page after the screen",
        f"of this, {1e3 * parsing / pages:.3f} ms are for the parse of {parsed} pages, which the extraction uses",
        *(f"{name}: {found[name]}" for name in SIGNALS),
        f"licences: {licenses.total()}",
        *(f"  {name}: {number}" for name, number in licenses.most_common(12)),
        machine_line(),
    ]
    print("\n".join(lines))
    if options.save:
        FIGURES.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
