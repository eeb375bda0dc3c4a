"""Compare extraction with hand-made main text: `python -m benchmarks.extraction [--pages N] [--save]`.

It prints precision, recall and F1 on the multiset of lower-case words of each page (mean and median over pages), and
the CPU time per page, for every engine. The pages are those of the shared archives whose bytes the annotators had (by
sha1). The rule by which `rescue` replaces trafilatura's text is tuned on one half of the pages (by hash) and reported
on the other.

Some 5% of the hand-made texts do not fit their page as archived: the page has less than half of their words. They stay
in the main figures and lower them for every engine alike. A second table leaves them out.
"""

import argparse
import gzip
import hashlib
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import trafilatura
from resiliparse.extract.html2text import extract_plain_text

from benchmarks.machine import machine_line, shared_data
from corpus.document import Document
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters.extract import Extract, precision_mode
from filters.extract.extraction import resiliparse_text
from filters.extract.page import page_of

FIGURES = Path(__file__).parent / "figures" / "extraction.txt"
OWN, FAST, OTHER = "trafilatura's own call", "filters.extract.precision_mode", "resiliparse"
STAGES = {
    "rescue": Extract(engine="rescue"),
    "rescue, layout tables as blocks": Extract(engine="rescue", layout_tables=True),
    "blocks": Extract(engine="blocks"),
}
SHARES = tuple(round(0.1 * n, 1) for n in range(1, 11))
LINE_CHARS = (0, 40, 60, 80, 100)

MARKS = re.compile(r"<(?:h|p|l)>|\A\s*URL:[^\n]*", re.IGNORECASE)  # CleanEval's
WORD = re.compile(r"\w+")


@dataclass
class Page:
    """One page: its hand-made words, and for each engine the text, its quality and its cost."""

    sha1: str
    truth: Counter
    on_page: bool
    texts: dict[str, str] = field(default_factory=dict)
    quality: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, text: str, seconds: float) -> None:
        self.texts[name], self.seconds[name], self.quality[name] = text, seconds, quality(text, self.truth)

    @property
    def tunes(self) -> bool:
        """True if the page is in the half that tuning may see."""
        return int(self.sha1[:8], 16) % 2 == 0


def words(text: str) -> Counter:
    return Counter(WORD.findall(text.lower()))


def quality(text: str, truth: Counter) -> tuple[float, float, float]:
    """Precision, recall and F1 of the words of a text."""
    found = words(text)
    common = (found & truth).total()
    if not common:
        same = float(not found and not truth)
        return same, same, same
    precision, recall = common / found.total(), common / truth.total()
    return precision, recall, 2 * precision * recall / (precision + recall)


def too_short(text: str, other: str, share: float, line_chars: int) -> bool:
    """The plain rule: the text is shorter than `share` of the other engine's long lines."""
    return len(text) < share * sum(len(line) for line in other.split("\n") if len(line) >= line_chars)


def lost_words(text: str, other: str, share: float, line_chars: int) -> bool:
    """The rule by content: this text is empty, or it lacks words in long lines of the other engine's text, more than
    `share` per word that it has."""
    has = Counter(text.split())
    theirs = Counter(word for line in other.split("\n") if len(line) >= line_chars for word in line.split())
    return not has or (theirs - has).total() > share * has.total()


Rule = Callable[[str, str, float, int], bool]
RULES: dict[str, Rule] = {"rescue by length": too_short, "rescue by lost words": lost_words}


def own_call(html: str) -> str | None:
    """trafilatura's own function, called as FineWeb calls it."""
    return trafilatura.extract(html, favor_precision=True, include_comments=False, deduplicate=False)


def marked_records() -> Iterator[tuple[Record, str, str]]:
    """Records of the shared archives, with the sha1 of the page and its hand-made text."""
    with gzip.open(shared_data() / "truth" / "main_text.jsonl.gz", "rt", encoding="utf-8") as lines:
        truths = {row["sha1"]: row["text"] for row in map(json.loads, lines)}
    for archive in sorted((shared_data() / "warc").glob("*.warc.gz")):
        for item in read_warc(archive):
            if isinstance(item, Record) and item.kind == "response":
                sha1 = hashlib.sha1(page_of(Document.of(item)).body).hexdigest()
                if text := MARKS.sub(" ", truths.pop(sha1, "")):
                    yield item, sha1, text


def read_pages(limit: int | None) -> list[Page]:
    """All annotated pages, with the text of every engine."""
    for stage in STAGES.values():
        stage.prepare()
    pages: list[Page] = []
    for item, sha1, text in marked_records():
        html, truth = page_of(Document.of(item)).html, words(text)
        if not truth:
            continue
        everything = words(extract_plain_text(html, main_content=False))
        page = Page(sha1, truth, (everything & truth).total() * 2 >= truth.total())
        for name, extract in ((OWN, own_call), (FAST, precision_mode.extract), (OTHER, resiliparse_text)):
            started = time.process_time()
            text = extract(html) or ""
            page.add(name, text, time.process_time() - started)
        for name, stage in STAGES.items():
            doc = Document.of(item)
            _ = page_of(doc).utf8, page_of(doc).structure  # these are the same for all
            started = time.process_time()
            for _ in stage.apply(doc):
                pass
            page.add(name, doc.text, time.process_time() - started)
        pages.append(page)
        if len(pages) == limit:
            return pages
    return pages


def table(say: Callable[[str], None], title: str, pages: list[Page]) -> None:
    """Print the quality of every engine on these pages, and the standard errors of means."""
    say(f"\n{title}: {len(pages)} pages")
    say(f"  {'':34}{'precision':>10}{'recall':>8}{'F1 mean':>16}{'F1 median':>11}{'empty':>7}{'CPU ms a page':>15}")
    rows(say, pages, pages[0].texts)


def rows(say: Callable[[str], None], pages: list[Page], names: Iterable[str]) -> None:
    for name in names:
        precision, recall, f1 = zip(*(page.quality[name] for page in pages), strict=True)
        error = statistics.stdev(f1) / len(f1) ** 0.5
        cost = 1e3 * statistics.mean(page.seconds[name] for page in pages)
        say(
            f"  {name:34}{statistics.mean(precision):10.3f}{statistics.mean(recall):8.3f}"
            f"{f'{statistics.mean(f1):.4f} ±{error:.4f}':>16}{statistics.median(f1):11.3f}"
            f"{sum(not page.texts[name] for page in pages):7}{cost:15.2f}"
        )


def apply_rule(name: str, settings: tuple[float, int], pages: list[Page]) -> int:
    """Give every page the text that a rule chooses, under the rule's name, at the cost of both engines and of the rule.
    Return how often it chooses the other engine's text."""
    taken = 0
    for page in pages:
        started = time.process_time()
        lost = RULES[name](page.texts[FAST], page.texts[OTHER], *settings)
        cost = time.process_time() - started
        engine = OTHER if lost else FAST
        page.texts[name], page.quality[name] = page.texts[engine], page.quality[engine]
        page.seconds[name] = page.seconds[FAST] + page.seconds[OTHER] + cost
        taken += lost
    return taken


def mean_f1(pages: list[Page], name: str) -> float:
    return statistics.mean(page.quality[name][2] for page in pages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=int, help="only the first N annotated pages: a quick look")
    parser.add_argument("--save", action="store_true", help=f"write them to figures/{FIGURES.name} too")
    options = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    pages = read_pages(options.pages)
    say(machine_line())
    same = sum(page.texts[OWN] == page.texts[FAST] for page in pages)
    say(f"{FAST} gives trafilatura's own text on {same} of {len(pages)} pages")
    tuning, held = ([page for page in pages if page.tunes is half] for half in (True, False))
    best = [max(page.quality[FAST][2], page.quality[OTHER][2]) for page in held]
    table(say, "All annotated pages", pages)
    table(say, "Without those whose text is not on the page", [page for page in pages if page.on_page])
    table(say, "The held half", held)
    say(f"  always the better of the two texts, on the held half: {statistics.mean(best):.4f}")
    say("\nRescue: rules tuned on the other half, on the held half")
    for name in RULES:
        found = []
        for settings in product(SHARES, LINE_CHARS):
            apply_rule(name, settings, tuning)
            found.append((mean_f1(tuning, name), settings))
        score, settings = max(found, key=lambda entry: entry[0])
        taken = apply_rule(name, settings, held)
        rows(say, held, [name])
        say(f"    share {settings[0]}, of lines of {settings[1]} characters or more: {score:.4f} where it was tuned; "
            f"{taken} of {len(held)} texts replaced")  # fmt: skip
    if options.save:
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
