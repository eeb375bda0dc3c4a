"""The public summary of training content that Article 53(1)(d) of the EU AI Act asks for, as Markdown and CSV.

Each line is a question of the template, what the run says about it, and the provider's answer. A line that has neither
is marked as not answered. The texts of pages are never part of it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from corpus.outcome import DROPPED, REMOVED
from corpus.runs.choice_line import choice_line
from corpus.tables.ledger import total
from jobs.card.facts import CorpusFacts, Domain
from jobs.card.questions import QUESTIONS, SECTIONS, Answers

NOT_ANSWERED = "not answered"
_BILLION = 10**9
SHOWN = 100
"""The most domains that the Markdown lists. The CSV of domains has all of them."""
_LANGUAGES = 40
_OPT_OUTS = ("noai", "noimageai", "noindex", "tdm_reservation", "robots")
"""The measures of the stage `rights` that are about opt-outs."""
_CRAWL = re.compile(r"CC-MAIN-\d{4}-\d{2}")
_CAPTURED = re.compile(r"CC-MAIN-(\d{4})(\d{2})\d{8}-")
"""The beginning of the name of an archive of Common Crawl: when its first page was captured."""
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069|`<>\[\]*\\]")


@dataclass(frozen=True)
class Line:
    """A question of the template, with what the run says and what the provider answered."""

    section: str
    question: str
    run: str = ""
    answer: str = ""

    @property
    def status(self) -> str:
        sources = [name for name, text in (("run", self.run), ("answers", self.answer)) if text]
        return " and ".join(sources) or NOT_ANSWERED


def summary_lines(
    info: Mapping[str, Any], locations: Mapping[str, str], facts: CorpusFacts, share: str, answers: Answers
) -> list[Line]:
    """Return the lines of the summary. `share` tells which domains are listed."""
    said = {
        "tokens": _size_range(facts, answers),
        "content_types": f"{facts.documents:,} texts, {facts.bytes:,} bytes in UTF-8. This corpus has only text.",
        "latest_date": f"{_date(facts.last)}, by the dates of the kept pages" if facts.last else "",
        "public_datasets": _public_datasets(info, locations),
        "crawled_content": "; ".join(_licenses(facts)),
        "opt_out_measures": " ".join(_opt_outs(info)),
        "illegal_content_measures": " ".join(_illegal_content(info)),
        "other_processing": " ".join(_processing(info)),
    }
    lines = [Line(one.section, one.text, said.get(one.key, ""), _answer(answers.get(one.key))) for one in QUESTIONS]
    period = f"{_date(facts.first)} to {_date(facts.last)}, by the dates of the kept pages" if facts.first else ""
    lines += [
        Line("1.3", "Linguistic characteristics", "; ".join(_languages(facts))),
        Line("2.3", "Period of data collection", period),
        Line("2.3", "Modality", "Text"),
        Line("2.3", "Most relevant domain names", share),
    ]
    order = list(SECTIONS)
    return sorted((line for line in lines if line.section), key=lambda line: order.index(line.section))


def _answer(given: Any) -> str:
    return ("no", "yes")[given] if isinstance(given, bool) else "" if given is None else str(given)


def _date(month: str) -> str:
    """Return a month such as 2026-01 as MM/YYYY."""
    return f"{month[5:]}/{month[:4]}" if month else ""


def _size_range(facts: CorpusFacts, answers: Answers) -> str:
    """Return the range of the template. Without an answer it is known only for a small corpus, because a token has at
    least one byte."""
    tokens = answers.get("tokens")
    if tokens is None:
        known = facts.bytes < _BILLION
        return "Less than 1 billion tokens in this corpus, since a token has at least one byte" if known else ""
    if tokens < _BILLION:
        return "Less than 1 billion tokens"
    return "1 billion to 10 trillion tokens" if tokens <= 10_000 * _BILLION else "More than 10 trillion tokens"


def _public_datasets(info: Mapping[str, Any], locations: Mapping[str, str]) -> str:
    """Return what the names and places of the inputs say about their origin."""
    inputs = info["inputs"]
    kind = "files of documents" if info.get("documents") else "archives"
    size = sum(item["bytes"] for item in inputs)
    said = f"The run read {len(inputs):,} {kind} with {size:,} bytes."
    captured = sorted({found[1] + "-" + found[2] for item in inputs if (found := _CAPTURED.match(_file(item["name"])))})
    if captured:
        number = sum(bool(_CAPTURED.match(_file(item["name"]))) for item in inputs)
        crawls = sorted({found[0] for place in locations.values() if (found := _CRAWL.search(place))})
        named = f" of the crawls {', '.join(crawls)}" if crawls else ""
        said += f" By their names, {number:,} are archives of Common Crawl{named} (https://commoncrawl.org), "
        said += f"captured from {_date(captured[0])} to {_date(captured[-1])}."
    return " ".join(filter(None, (said, choice_line(info))))


def _file(name: str) -> str:
    return name.rpartition("/")[2]


def _shares(sums: Mapping[str, tuple[int, int]], whole: int, unknown: str) -> Iterator[str]:
    for name, (documents, size) in sorted(sums.items(), key=lambda one: (-one[1][1], one[0]))[:_LANGUAGES]:
        share = f"{100 * size / whole:.2f}%" if whole else "0%"
        yield f"{plain(name) or unknown}: {share} of the bytes, {documents:,} texts"
    if len(sums) > _LANGUAGES:
        yield f"and {len(sums) - _LANGUAGES:,} more"


def _languages(facts: CorpusFacts) -> Iterator[str]:
    return _shares(facts.languages, facts.bytes, "unknown language")


def _licenses(facts: CorpusFacts) -> Iterator[str]:
    if set(facts.licenses) - {""}:
        yield "Licences that the pages declare"
        yield from _shares(facts.licenses, facts.bytes, "no licence declared")


def _stages(info: Mapping[str, Any], use: str) -> Iterator[tuple[dict[str, Any], dict[str, int]]]:
    """Yield the stages of a kind in the recipe, with the documents that each rule dropped."""
    for table in info["recipe"]["stages"]:
        if table["stage"] == use:
            yield table, info["records"][DROPPED].get(table["name"], {})


def _opt_out_rules(table: Mapping[str, Any]) -> list[str]:
    """Return the measures of opt-outs that have a limit."""
    return [name for name in _OPT_OUTS if any(bound != "off" for bound in table.get(name, {}).values())]


def _opt_outs(info: Mapping[str, Any]) -> Iterator[str]:
    found = False
    for table, dropped in _stages(info, "rights"):
        for rule in _opt_out_rules(table):
            found = True
            yield f"Pages outside the limit of {table['name']}.{rule} were dropped: {dropped.get(rule, 0):,}."
        if table.get("robots_index"):
            yield f"The robots.txt of sites was read from an index, for {', '.join(table['agents'])}."
    if not found:
        yield "The recipe has no rule that drops pages by their opt-outs."
    if removed := info["records"][DROPPED].get(REMOVED):
        yield f"Pages taken down on request: {total(removed):,}."


def _illegal_content(info: Mapping[str, Any]) -> Iterator[str]:
    found = False
    for table, dropped in _stages(info, "url"):
        found = True
        listed = "a block list of the user" if table.get("blocklist") else "the built-in lists"
        yield f"URLs were compared with {listed} of domains and words. Pages dropped: {total(dropped):,}."
    if not found:
        yield "The recipe has no block list."


def _processing(info: Mapping[str, Any]) -> Iterator[str]:
    records, names = info["records"], [table["name"] for table in info["recipe"]["stages"]]
    yield f"The recipe {plain(info['recipe']['name'])} has the stages {', '.join(map(plain, names))}."
    yield f"Of {records['in']:,} records, {records['kept']:,} were kept and {total(records[DROPPED]):,} dropped."
    if given_up := info.get("quarantined"):
        yield f"The run is not complete: {len(given_up):,} parts of its inputs could not be read."
    if any(_stages(info, "pii")):
        yield "Personal data that was recognised in the texts was replaced."
    yield f"The fingerprint of the run is {info['fingerprint']}."


def plain(text: str) -> str:
    """Return a text from a page's data without signs that mean something in Markdown or to a terminal."""
    return _UNSAFE.sub("\ufffd", text)


def as_markdown(name: str, lines: Iterable[Line], domains: Iterable[Domain]) -> str:
    """Return the summary as Markdown, with the largest of its domains."""
    text = [
        f"# Public summary of training content: {name}",
        "",
        "By the template of the AI Office for Article 53(1)(d) of Regulation (EU) 2024/1689 (C(2025) 5235, 24 July 2025"
        "). It covers one corpus. A model that is trained on other data, too, needs that data in its summary.",
    ]
    section = ""
    for line in lines:
        if line.section != section:
            section = line.section
            text += ["", f"## {section} {SECTIONS[section]}" if section != "0" else f"## {SECTIONS[section]}", ""]
        said = [f"{line.run} *(from the run)*"] if line.run else []
        said += [f"{line.answer} *(answer of the provider)*"] if line.answer else []
        text.append(f"- **{line.question}**: {' '.join(said) or f'*{NOT_ANSWERED}*'}")
    text += [
        "",
        "## Domain names",
        "",
        f"The largest {SHOWN}, or all that are listed.",
        "",
        "| domain | documents | bytes |",
        "|---|---|---|",
    ]
    text += [f"| {plain(one.name)} | {one.documents:,} | {one.bytes:,} |" for one in domains]
    return "\n".join(text) + "\n"


def as_csv(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows as CSV. A cell that a spreadsheet would take for a formula gets an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow([f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@" and cell else cell for cell in row])
    return out.getvalue().encode()
