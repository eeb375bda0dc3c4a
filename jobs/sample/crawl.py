"""The built-in sample crawl: some hundred generated pages, good and bad, in one damaged archive.

    write_sample(Path("sample.warc.gz"))                    # the same bytes each time
    expected_outcomes()                                     # what the recipe "fineweb" should do with each page

Half of the pages are ordinary pages in nine languages. Each other page breaks one rule, or only seems to break it.
All people, towns and events are invented. All hosts are under names reserved for examples.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import BinaryIO

from corpus.errors import ConfigError, OutputError
from corpus.storage.replacing import replacing
from jobs.sample.archive import ODDITIES, ArchiveWriter, truncated
from jobs.sample.response_cases import RESPONSE_CASES
from jobs.sample.sample_page import KEPT, Expected, SamplePage
from jobs.sample.sites import article_page
from jobs.sample.text_cases import TEXT_CASES

SPECIAL_SHARE = 0.48
"""The share of pages that break a rule or come close to it: 192 of 400."""

_LANGUAGES = {"en": 30, "de": 14, "fr": 14, "es": 12, "it": 7, "pt": 7, "ru": 8, "ja": 4, "zh": 4}
"""The number of pages in each language, among a hundred ordinary pages."""

_MIN_PAGES = 20


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """The size of a sample crawl, the number of its records by type, and the number of its pages by intent, damaged
    ones included.
    """

    pages: int
    bytes: int
    records: dict[str, int]
    intents: dict[str, int]


def write_sample(path: Path, pages: int = 400, seed: int = 0, expected: Path | None = None) -> SampleSummary:
    """Write the sample crawl to `path`, and its expected outcomes to `expected` as JSON lines.

    Damaged pages and other oddities are written in addition to `pages`.
    """
    if path.exists() and not path.is_file():  # a device, for example, must not be replaced by a file
        raise OutputError(f"{path} is not a file.", "Give another path.")
    try:
        with replacing(path) as scratch, scratch.open("xb") as file:
            records, outcomes = _write(file, pages, seed)
            size = file.tell()
        if expected:
            lines = (json.dumps(asdict(outcome), ensure_ascii=False) + "\n" for outcome in outcomes)
            expected.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        what = f"{error.filename or path} can't be written: {error.strerror}."
        raise OutputError(what, "Give another path.") from None
    intents = Counter(outcome.intent.partition(":")[0] for outcome in outcomes)
    return SampleSummary(pages, size, dict(sorted(records.items())), dict(sorted(intents.items())))


def expected_outcomes(pages: int = 400, seed: int = 0) -> list[Expected]:
    """Return the expected outcomes of `write_sample` with the same arguments, in the order of its records."""
    return _write(io.BytesIO(), pages, seed)[1]


def _write(file: BinaryIO, pages: int, seed: int) -> tuple[Counter[str], list[Expected]]:
    """Write all records. Return their number by type, and their expected outcomes."""
    writer = ArchiveWriter(file, seed)
    writer.write_info()
    plan = plan_pages(pages, seed)
    oddities = {(i + 1) * len(plan) // (len(ODDITIES) + 1): oddity for i, oddity in enumerate(ODDITIES)}
    written = []
    for i, page in enumerate(plan):
        writer.write_page(page)
        written.append(page)
        if i in oddities:
            written.append(oddities[i](writer))
    written.append(truncated(writer))
    return writer.records, [page.expected() for page in written]


def plan_pages(pages: int, seed: int) -> list[SamplePage]:
    """Make the pages, in the order of the file. The first page of each cluster is meant to be kept."""
    if pages < _MIN_PAGES:
        raise ConfigError(f"A sample of {pages} pages is too small.", f"Ask for {_MIN_PAGES} or more.")
    special = list(_special_pages(round(pages * SPECIAL_SHARE), seed))
    plan = special + [_ordinary_page(Random(f"{seed}/ordinary/{i}")) for i in range(pages - len(special))]
    Random(f"{seed}/order").shuffle(plan)
    first: dict[str, str] = {}
    seen: set[str] = set()
    for i, page in enumerate(plan):
        url, intent = page.url, page.intent
        if url in seen:
            url += f"{'&' if '?' in url else '?'}n={len(seen)}"
        seen.add(url)
        if page.cluster and intent == KEPT and first.setdefault(page.cluster, url) != url:
            intent = f"duplicate_of:{first[page.cluster]}"
        plan[i] = replace(page, url=url, intent=intent)
    return plan


def _special_pages(wanted: int, seed: int) -> Iterator[SamplePage]:
    """Alternate between special texts and special responses. A cluster that does not fit is omitted."""
    for turn in count():
        for name, cases in (("rules", TEXT_CASES), ("transport", RESPONSE_CASES)):
            round_, i = divmod(turn, len(cases))
            made = cases[i](Random(f"{seed}/{name}/{i}/{round_}"))
            batch = made if isinstance(made, list) else [made]
            if len(batch) <= wanted:
                yield from batch
                wanted -= len(batch)
            if not wanted:
                return


def _ordinary_page(rng: Random) -> SamplePage:
    [language] = rng.choices(list(_LANGUAGES), list(_LANGUAGES.values()))
    return article_page(rng, KEPT if language == "en" else "language.label", language=language)
