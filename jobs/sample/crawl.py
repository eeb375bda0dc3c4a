"""The built-in sample crawl: some hundred generated pages, good and bad, in one damaged WARC.

    write_sample(Path("sample.warc.gz"))                    # the same bytes each time
    expected_outcomes()                                     # what a FineWeb-like pipeline should do with each page

Half of the pages are ordinary ones in nine languages; the others are each made to break one rule, or to look as if.
All people, towns and events are invented, all hosts are under names reserved for examples.
"""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

from corpus.errors import ConfigError, OutputError
from jobs.sample.archive import ODDITIES, Archive, truncated
from jobs.sample.page import KEPT, Page, article_page
from jobs.sample.response_cases import SPECIAL_ANSWERS
from jobs.sample.text_cases import BROKEN_RULES

SPECIAL_SHARE = 0.48
"""The share of pages that are made to break a rule, or to come close; 192 of 400."""

_LANGUAGES = {"en": 30, "de": 14, "fr": 14, "es": 12, "it": 7, "pt": 7, "ru": 8, "ja": 4, "zh": 4}
"""Of a hundred ordinary pages."""

_MIN_PAGES = 20


@dataclass(frozen=True, slots=True)
class Expected:
    """What should become of one page or one damaged stretch.

    `intent` is one of: "kept"; "damaged" (`url` is "" where no page is hit); "skipped" (no HTTP message);
    `stage.measure`, the rule that drops it, in the names of the recipe "fineweb"; "duplicate_of:URL", where only
    the cluster is certain: a policy may keep another of its pages.
    `notes` name what is special, such as "pii:email", "charset:utf-16" or "c4:line_policy" (a line that C4 takes out).
    `contains` must be in the extracted text and `absent` must not; `secrets` must not be in a corpus without PII.
    """

    url: str
    intent: str
    language: str = "en"
    notes: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


def write_sample(path: Path, pages: int = 400, seed: int = 0, expected: Path | None = None) -> dict[str, Any]:
    """Write the sample crawl to `path`, and where asked what is expected of it to `expected`, as JSON lines.

    Returns pages (damaged ones and other oddities come in addition), bytes, records by type, and pages by intent.
    """
    if path.exists() and not path.is_file():  # a device, say, which a file must not take the place of
        raise OutputError(f"{path} is no file.", "Give another path.")
    outcomes: list[Expected] = []
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            records = _write(file, pages, seed, outcomes)
            size = file.tell()
        os.replace(partial, path)
        if expected:
            lines = (json.dumps(asdict(outcome), ensure_ascii=False) + "\n" for outcome in outcomes)
            expected.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        what = f"{error.filename or path} can't be written: {error.strerror}."
        raise OutputError(what, "Give another path.") from None
    finally:
        with suppress(OSError):
            partial.unlink()
    intents = Counter(outcome.intent.partition(":")[0] for outcome in outcomes)
    return {"pages": pages, "bytes": size, "records": _in_order(records), "intents": _in_order(intents)}


def expected_outcomes(pages: int = 400, seed: int = 0) -> list[Expected]:
    """What is expected of the sample crawl that `write_sample` writes with the same arguments, in its order."""
    outcomes: list[Expected] = []
    _write(io.BytesIO(), pages, seed, outcomes)
    return outcomes


def _write(file: BinaryIO, pages: int, seed: int, outcomes: list[Expected]) -> Counter[str]:
    """Write all records, add what is expected of them to `outcomes`, and count them by type."""
    archive = Archive(file, seed)
    archive.write_info()
    plan = plan_pages(pages, seed)
    oddities = {(i + 1) * len(plan) // (len(ODDITIES) + 1): oddity for i, oddity in enumerate(ODDITIES)}
    for i, page in enumerate(plan):
        archive.write_page(page)
        outcomes.append(_expected(page))
        if i in oddities:
            outcomes.append(_expected(oddities[i](archive)))
    outcomes.append(_expected(truncated(archive)))
    return archive.records


def _in_order(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _expected(page: Page) -> Expected:
    return Expected(page.url, page.intent, page.language, page.notes, page.contains, page.absent, page.secrets)


def plan_pages(pages: int, seed: int) -> list[Page]:
    """So many pages in the order of the file. The first page of a cluster is the one that is meant to be kept."""
    if pages < _MIN_PAGES:
        raise ConfigError(f"A sample of {pages} pages is too small.", f"Ask for {_MIN_PAGES} or more.")
    special = list(_specials(round(pages * SPECIAL_SHARE), seed))
    plan = special + [_ordinary(Random(f"{seed}/ordinary/{i}")) for i in range(pages - len(special))]
    Random(f"{seed}/order").shuffle(plan)
    first: dict[str, str] = {}
    seen: set[str] = set()
    for page in plan:
        if page.url in seen:
            page.url += f"{'&' if '?' in page.url else '?'}n={len(seen)}"
        seen.add(page.url)
        if page.cluster and page.intent == KEPT and first.setdefault(page.cluster, page.url) != page.url:
            page.intent = f"duplicate_of:{first[page.cluster]}"
    return plan


def _specials(wanted: int, seed: int) -> Iterator[Page]:
    """Pages that break rules and pages that are special otherwise, by turns; what does not fit in is left out."""
    for turn in count():
        for name, families in (("rules", BROKEN_RULES), ("transport", SPECIAL_ANSWERS)):
            round_, i = divmod(turn, len(families))
            made = families[i](Random(f"{seed}/{name}/{i}/{round_}"))
            batch = made if isinstance(made, list) else [made]
            if len(batch) <= wanted:
                yield from batch
                wanted -= len(batch)
            if not wanted:
                return


def _ordinary(rng: Random) -> Page:
    language = rng.choices(list(_LANGUAGES), list(_LANGUAGES.values()))[0]
    return article_page(rng, KEPT if language == "en" else "language.label", language=language)
