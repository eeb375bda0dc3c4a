"""Recall of language identification per language, on 200 sentences in each of 75 languages:

    python -m benchmarks.languages [--model PATH …] [--save]

Compares lid.176, heliport if it is installed, and the fastText models at the given paths, such as GlotLID's. A label
counts as right if it is the language's code after our mapping. A model that does not have a language has a recall of 0
there. `passing` is the share of the sentences that are labelled right and reach the score that the recipe `many` asks
of this language, with the first model.
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from corpus.document import Document
from corpus.outcome import KEPT, Outcome
from filters import load_recipe
from filters.language import Language

SENTENCES = Path(os.environ.get("CORPUS_SHARED_DATA", "../shared/data")) / "langid" / "sentences.tsv.gz"
FIGURES = Path(__file__).parent / "figures" / "languages.txt"
_SAME = {"nb": "no"}
"""The codes of the sentences where lid.176 has others."""


def sentences() -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    with gzip.open(SENTENCES, "rt", encoding="utf-8") as file:
        for line in file:
            code, sentence = line.rstrip("\n").split("\t")
            found[_SAME.get(code, code)].append(sentence)
    return dict(sorted(found.items()))


def labels_by(stage: Language) -> Callable[[str], str]:
    stage.prepare()

    def label(text: str) -> str:
        doc = Document(text=text)
        list(stage.apply(doc))
        return doc.language or ""

    return label


def passing(by_language: dict[str, list[str]]) -> dict[str, float]:
    """Return the share of sentences that the language stage of `many` keeps as what they are."""
    bound = next(bound for bound in load_recipe("many").stages if bound.name == "language")
    bound.prepare()
    found = {}
    for code, texts in by_language.items():
        outcomes = [Outcome(KEPT, Document(text=text)) for text in texts]
        for outcome in outcomes:
            bound.judge(outcome)
        found[code] = sum(one.kept and one.doc.language == code for one in outcomes) / len(texts)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", action="append", default=[], help="another fastText model")
    parser.add_argument("--save", action="store_true", help=f"write the table to {FIGURES.name} too")
    options = parser.parse_args()
    stages = {"lid.176": Language()}
    if find_spec("heliport"):
        stages["heliport"] = Language(engine="heliport")
    stages |= {Path(path).name: Language(model=path) for path in options.model}
    by_language = sentences()
    recalls: dict[str, dict[str, float]] = {}
    costs = {}
    for name, stage in stages.items():
        label = labels_by(stage)
        started = time.process_time()
        recalls[name] = {c: sum(label(text) == c for text in texts) / len(texts) for c, texts in by_language.items()}
        costs[name] = (time.process_time() - started) / sum(map(len, by_language.values()))
    kept = passing(by_language)
    wanted = set(next(one for one in load_recipe("many").stages if one.name == "language").limits["label"].one_of or ())
    lines = [f"{'':8}" + "".join(f"{name:>12}" for name in stages) + f"{'passing':>12}"]
    for code in by_language:
        shares = [f"{recalls[name][code]:12.3f}" for name in stages]
        lines.append(f"{code:8}" + "".join(shares) + (f"{kept[code]:12.3f}" if code in wanted else f"{'–':>12}"))
    both = {"all": list(by_language), "of many": [code for code in by_language if code in wanted]}
    for what, codes in both.items():
        means = [f"{sum(recalls[name][c] for c in codes) / len(codes):12.3f}" for name in stages]
        end = f"{sum(kept[c] for c in codes) / len(codes):12.3f}" if what != "all" else f"{'–':>12}"
        lines.append(f"{what:8}" + "".join(means) + end + f"   mean of {len(codes)} languages")
    lines.append(f"{'µs each':8}" + "".join(f"{costs[name] * 1e6:12.0f}" for name in stages))
    print("\n".join(lines))
    if options.save:
        FIGURES.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
