"""The recipe `many` beside datatrove's FineWeb-2 filters, on the same texts of many languages:

    python -m benchmarks.vs_datatrove_many [--peer PYTHON] [--save] [--all]

The texts are those that trafilatura took from the shared pages, in every language of the recipe, and documents made of
the shared sentences: whole, as lines, with repeated lines, with numbers, or cut short. Prints for each language how
many documents have the same verdict, and for each pair of different verdicts why they differ.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.peer_process import VENV, make_environment
from benchmarks.recipe_many import CONFIGS
from corpus.document import Document
from corpus.outcome import KEPT, Outcome
from filters import load_recipe
from filters.language.identification import Predictor
from filters.language.labels import code_of

DATA = Path(os.environ.get("CORPUS_SHARED_DATA", "../shared/data"))
FIGURES = Path(__file__).parent / "figures" / "vs_datatrove_many.txt"
STAGES = ("gopher_repetition", "fineweb", "gopher_quality")
BY_STANZA = {"be", "cy", "gl", "kk", "mn", "mt"}
"""The languages that FineWeb-2 splits by models of stanza, which can't be had offline."""

PER_LANGUAGE = 60
_SENTENCE_CODES = {"nb": "no"}


def made_documents(code: str, sentences: list[str]) -> Iterator[str]:
    """Yield documents of a language: most of them near the limits."""
    rng = random.Random(f"documents of {code}")
    for number in range(PER_LANGUAGE):
        chosen = rng.sample(sentences, rng.choice([3, 5, 8, 12, 20, 30]))
        kind = number % 6
        if kind == 1:
            chosen = [rng.choice(chosen) if rng.random() < 0.35 else one for one in chosen]
        if kind == 2:
            chosen = [f"{one} {rng.randrange(10**6)} / {rng.randrange(99)}%" for one in chosen]
        if kind == 3:
            chosen = [one.rstrip(".!?。") if rng.random() < 0.9 else one for one in chosen]
        if kind == 4:
            chosen = [one[: rng.randrange(10, 40)] for one in chosen]
        yield (" " if kind == 0 else "\n").join(chosen)


def documents() -> list[dict[str, str]]:
    labels = {code_of(path.stem): path.stem for path in CONFIGS.glob("*.yml")}
    labels = {code: label for code, label in labels.items() if code not in BY_STANZA}
    by_language = defaultdict(list)
    with gzip.open(DATA / "langid" / "sentences.tsv.gz", "rt", encoding="utf-8") as file:
        for line in file:
            code, sentence = line.rstrip("\n").split("\t")
            by_language[_SENTENCE_CODES.get(code, code)].append(sentence)
    found = []
    for code, label in sorted(labels.items()):
        if sentences := by_language.get(code):
            texts = enumerate(made_documents(code, sentences))
            found += [{"id": f"{code}-made-{n}", "code": code, "label": label, "text": text} for n, text in texts]
    predictor = Predictor()
    table = pq.read_table(DATA / "parity" / "datatrove_0.10.1.parquet", columns=["id", "text"])
    for row in table.to_pylist():
        code = predictor.best(row["text"])[0] if row["text"] else ""
        if code in labels:
            found.append({"id": row["id"], "code": code, "label": labels[code], "text": row["text"]})
    return found


def ours(docs: list[dict[str, str]]) -> dict[str, Outcome]:
    pipeline = load_recipe("many").pipeline()
    pipeline.stages = [bound for bound in pipeline.stages if bound.name in STAGES]
    outcomes = {doc["id"]: Outcome(KEPT, Document(text=doc["text"], language=doc["code"])) for doc in docs}
    pipeline.judge_all(list(outcomes.values()))
    return outcomes


def theirs(docs: list[dict[str, str]], peer: Path) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "documents.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in docs))
        job = {"documents": str(folder / "documents.jsonl"), "configs": str(CONFIGS), "out": str(folder / "out.json")}
        (folder / "job.json").write_text(json.dumps(job))
        script = Path(__file__).parent / "peer" / "datatrove_many.py"
        subprocess.run([peer, script, folder / "job.json"], check=True)
        found: dict[str, str] = json.loads((folder / "out.json").read_text())["verdicts"]
        return found


def report(docs: list[dict[str, str]], peer: Path, every: bool) -> list[str]:
    one, other = ours(docs), theirs(docs, peer)
    same: Counter[str] = Counter()
    count: Counter[str] = Counter(doc["code"] for doc in docs)
    kept: Counter[str] = Counter()
    differ: Counter[tuple[str, str, str]] = Counter()
    lines = []
    for doc in docs:
        outcome, verdict = one[doc["id"]], other[doc["id"]]
        kept[doc["code"]] += verdict == "kept"
        if outcome.kept == (verdict == "kept"):
            same[doc["code"]] += 1
            continue
        differ[doc["code"], outcome.rule or "kept", verdict] += 1
        if every:
            lines.append(f"  {doc['id']}: {outcome.reason or 'kept'}; datatrove: {verdict}")
    table = [f"{len(docs)} documents in {len(count)} languages, {sum(kept.values())} kept by datatrove"]
    table += [f"same verdict: {sum(same.values())} ({sum(same.values()) / len(docs):.2%})"]
    exact = [code for code in sorted(count) if same[code] == count[code]]
    table += [f"all verdicts the same in {len(exact)} languages: {' '.join(exact)}"]
    for code in sorted(set(count) - set(exact)):
        rules = [f"{mine} / {peers} {n}" for (own, mine, peers), n in sorted(differ.items()) if own == code]
        share = f"{same[code]:4d} of {count[code]:4d} ({same[code] / count[code]:.1%})"
        table.append(f"{code:>3} {share}  {', '.join(rules)}")
    return table + lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", type=Path, help="the Python of an environment with datatrove and languages.txt")
    parser.add_argument("--save", action="store_true", help=f"write the table to {FIGURES.name} too")
    parser.add_argument("--all", action="store_true", help="name each document with another verdict")
    options = parser.parse_args()
    peer = options.peer
    if peer is None:
        make_environment()
        peer = VENV / "bin" / "python"
        packages = Path(__file__).parent / "peer" / "languages.txt"
        subprocess.run([peer, "-m", "pip", "install", "--quiet", "-r", packages], check=True)
    lines = report(documents(), peer, options.all)
    print("\n".join(lines))
    if options.save:
        FIGURES.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
