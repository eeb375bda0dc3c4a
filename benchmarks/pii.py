"""Personal data: recall on labelled sentences, findings in real pages to read by hand, and the time of the stage.

    python -m benchmarks.pii                            # recall and time, by our rules and by presidio's
    python -m benchmarks.pii --list FILE --kind phone   # 300 findings in real pages, with the text around them
    python -m benchmarks.pii --count FILE               # precision, after a person wrote y or n before each finding

The pages are those of all archives and languages that extraction accepts. Each value of a page counts once. The file of
findings quotes the pages, so keep it outside of the repository.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import machine_line, real_archives, shared_data
from benchmarks.screen import upper_bound
from corpus.errors import InputError
from corpus.pipeline import Pipeline
from corpus.warc.reader import read_warc
from filters.extract import Extract
from filters.pii.personal_data import PATTERN_KINDS, Pii, merged

LABELS = {
    "PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip_address", "CREDIT_CARD": "credit_card",
    "IBAN_CODE": "iban", "US_SSN": "us_ssn",
}  # fmt: skip
BEFORE, AFTER = 60, 30
"""Characters around a finding in the list."""


def prepared(evidence: bool) -> Pii:
    """The stage at its defaults, by our rules or by presidio's."""
    stage = Pii(evidence=evidence)
    stage.prepare()
    return stage


def print_recall(stage: Pii) -> None:
    """For each kind: how many labelled spans are found, and how many findings have no such label."""
    labelled, found, other = Counter[str](), Counter[str](), Counter[str]()
    for sentence in json.loads((shared_data() / "pii" / "synth_pii.json").read_text()):
        labels = [
            (span["start_position"], span["end_position"], LABELS[span["entity_type"]])
            for span in sentence["spans"]
            if span["entity_type"] in LABELS
        ]
        findings = list(merged(stage.findings(sentence["full_text"])))
        labelled.update(kind for *_, kind in labels)
        found.update(one[2] for one in labels if any(map(meets(one), findings)))
        other.update(one[2] for one in findings if not any(map(meets(one), labels)))
    for kind, number in labelled.items():
        print(f"    {kind:12}{found[kind]:4} of {number:3} labels found, {other[kind]:3} findings without such a label")


def meets(one: tuple[int, int, str]):
    """A function that says whether another span is of the same kind and shares a character."""
    return lambda other: one[2] == other[2] and one[0] < other[1] and other[0] < one[1]


def real_texts() -> Iterator[str]:
    """The main texts of all real pages, each once."""
    pipeline = Pipeline.of([Extract(engine="rescue")])
    seen: set[str] = set()
    for path in real_archives():
        try:
            for outcome in pipeline.run(read_warc(path)):
                if outcome.kept and outcome.doc.text not in seen:
                    seen.add(outcome.doc.text)
                    yield outcome.doc.text
        except InputError:
            continue


def write_findings(path: Path, stage: Pii, kinds: list[str], number: int, seed: int) -> None:
    """A random draw of the findings of some kinds, one a line, with an empty first field for the verdict."""
    lines = set()
    for page, text in enumerate(real_texts()):
        values = set()
        for start, end, kind in merged(stage.findings(text)):
            if kind in kinds and (kind, text[start:end]) not in values:
                values.add((kind, text[start:end]))
                around = text[max(0, start - BEFORE) : start], text[start:end], text[end : end + AFTER]
                lines.add("\t".join([kind, str(page), *map(on_one_line, around)]))
    drawn = sorted(lines)
    if len(drawn) > number:
        drawn = sorted(random.Random(seed).sample(drawn, number))
    path.write_text("".join(f"\t{line}\n" for line in drawn), encoding="utf-8")
    print(f"{len(drawn)} of {len(lines)} findings of {', '.join(kinds)} are in {path}.")


def on_one_line(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode().split())


def print_precision(path: Path) -> None:
    """For each kind: how many findings are right, and the lower bound of that share at 95%."""
    marks = [line.split("\t")[:2] for line in path.read_text(encoding="utf-8").splitlines()]
    for kind in sorted({kind for _, kind in marks}):
        right, wrong = ([mark for mark, of in marks if of == kind].count(mark) for mark in "yn")
        least = 1 - upper_bound(wrong, right + wrong)
        print(f"{kind:12}{right} of {right + wrong} right: {right / (right + wrong):.3f}, at least {least:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", type=Path, metavar="FILE")
    parser.add_argument("--count", type=Path, metavar="FILE")
    parser.add_argument("--kind", action="append", choices=PATTERN_KINDS)
    parser.add_argument("--number", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--presidio", action="store_true", help="list what presidio finds, without our rules")
    options = parser.parse_args()
    if options.list:
        kinds = options.kind or list(PATTERN_KINDS)
        write_findings(options.list, prepared(not options.presidio), kinds, options.number, options.seed)
        return
    if options.count:
        print_precision(options.count)
        return
    print(machine_line())
    texts = list(real_texts())
    for name, evidence in (("our rules", True), ("presidio", False)):
        stage = prepared(evidence)
        seconds = []
        for _ in range(2):
            started = time.process_time()
            for text in texts:
                stage.redact(text)
            seconds.append(time.process_time() - started)
        first, again = (1e3 * second / len(texts) for second in seconds)
        print(f"{name}: {first:.2f} ms a page at first sight, {again:.2f} again ({len(texts)} real pages)")
        print_recall(stage)


if __name__ == "__main__":
    main()
