"""`corpus card`: the papers of a run in one folder, ready to be published.

The folder gets links to the files of the corpus, so that it is a whole dataset for the Hub and for Croissant. The files
of a run in a bucket are not copied. Put them into `corpus/` in that folder.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from corpus.errors import OutputError, reason_of
from corpus.run import Run
from corpus.storage.replacing import replacing, write_whole
from corpus.storage.store import as_json
from jobs.card.croissant import croissant
from jobs.card.facts import CorpusFacts, Domain, DomainSizes, read_facts
from jobs.card.questions import Answers
from jobs.card.training_content import SHOWN, as_csv, as_markdown, summary_lines
from jobs.runner.derived import register
from jobs.tokens.data_card import hub_card

_SHARE, _SME_SHARE, _SME_MOST = 0.10, 0.05, 1_000
"""The share of domains to list, by size of content, and that for small and medium-sized enterprises, of which the lower
of share and number counts (template, 2.3)."""
_ROWS_AT_ONCE = 10_000


def write_card(run: Run, out: Path, answers: Answers) -> dict[str, Any]:
    """Write the papers, and return what is shown. The same run and answers give the same bytes."""
    name = answers.get("name") or out.resolve().name
    try:
        out.mkdir(parents=True, exist_ok=True)
        linked = _link_corpus(run, out)
        with read_facts(run) as (facts, domains):
            most = listed_domains(facts.domains, bool(answers.get("sme")))
            share = _share(facts, most, answers)
            lines = summary_lines(run.info, run.locations(), facts, share, answers)
            _write_domains(out / "domains.csv", domains, most)
            shown = list(domains.largest(min(most, SHOWN)))
        write_whole(out / "training_content.md", as_markdown(name, lines, shown).encode())
        table = [(line.section, line.question, line.run, line.answer, line.status) for line in lines]
        write_whole(out / "training_content.csv", as_csv([("section", "question", "run", "answer", "source"), *table]))
        languages = _by_size(facts)
        card = hub_card(name, run, facts.documents, facts.bytes, languages, answers.get("license", "other"))
        write_whole(out / "README.md", card.encode())
        said = f"{facts.documents:,} texts, made by the recipe {run.info['recipe']['name']} of corpus."
        write_whole(out / "croissant.json", as_json(croissant(run, name, said, languages, answers)))
    except OSError as error:
        raise OutputError(f"The card can't be written to {out}: {reason_of(error)}.", "Give another -o.") from None
    if out.resolve() != Path(run.location).resolve():
        register(run.location, "card", out)
    open_questions = [f"{line.section} {line.question}" for line in lines if not (line.run or line.answer)]
    counts = {"documents": facts.documents, "bytes": facts.bytes, "domains": facts.domains, "listed": most}
    return {**counts, "linked": linked, "not_answered": open_questions}


def listed_domains(domains: int, sme: bool) -> int:
    """Return how many domains the summary lists."""
    if sme:
        return min(math.ceil(_SME_SHARE * domains), _SME_MOST)
    return math.ceil(_SHARE * domains)


def _share(facts: CorpusFacts, most: int, answers: Answers) -> str:
    if not facts.domains:
        return "The documents have no URLs with host names."
    rule = "5% of all domains or 1,000, whichever is lower" if answers.get("sme") else "10% of all domains"
    said = f"The largest by bytes of text: {most:,} of {facts.domains:,} ({rule}). domains.csv lists them."
    if facts.without_domain:
        said += f" {facts.without_domain:,} documents have no URL with a host name."
    return said


def _by_size(facts: CorpusFacts) -> list[str]:
    """Return the known languages, the largest first."""
    found = sorted(facts.languages.items(), key=lambda one: (-one[1][1], one[0]))
    return [name for name, _ in found if name.isascii() and name.isalpha()]


def _write_domains(path: Path, domains: DomainSizes, most: int) -> None:
    rows = ((one.name, one.documents, one.bytes) for one in domains.largest(most))
    with replacing(path) as scratch, scratch.open("xb") as file:
        file.write(as_csv([Domain.__dataclass_fields__]))
        for some in _portions(rows):
            file.write(as_csv(some))


def _portions(rows: Iterator[tuple[str, int, int]]) -> Iterator[list[tuple[str, int, int]]]:
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield some


def _link_corpus(run: Run, out: Path) -> bool:
    """Link the files of a local corpus into the folder. Return False if they are in a bucket."""
    source = Path(run.location)
    if "://" in run.location or out.resolve() == source.resolve():
        return "://" not in run.location
    (out / "corpus").mkdir(exist_ok=True)
    wanted = {Path(part.key).name for part in run.parts("corpus")}
    for old in (out / "corpus").iterdir():
        if old.is_symlink():  # of an earlier card, perhaps of more files
            old.unlink()
    for name in sorted(wanted):
        target = os.path.relpath((source / "corpus" / name).resolve(), (out / "corpus").resolve())
        (out / "corpus" / name).symlink_to(target)
    return True
