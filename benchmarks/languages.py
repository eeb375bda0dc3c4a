"""Recall of language identification per language, on 200 sentences in each of 75 languages:

    python -m benchmarks.languages [--model PATH …] [--save]

Compares lid.176, heliport if it is installed, and the fastText models at the given paths, such as GlotLID's. A label
counts as right if it is the language's code after our mapping. A model that does not have a language has a recall of 0
there. The other columns are for languages of the recipe `many`:

    passing    the share of the sentences that its language stage keeps, with the right label and lid.176
    screen     the share of texts of five sentences that pass the language screen if only this language is wanted
    ends       the share of the sentences that end in a punctuation mark, as `fineweb` counts lines
    c4         the same as `c4` counts lines
    words      the rules that split words: spaCy's for a language, its common ones (xx), or ICU
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
from corpus.text.punctuation import TERMINAL_PUNCTUATION
from corpus.text.words import rules_of
from filters import load_recipe
from filters.language import Language
from filters.language.identification import Predictor

C4_ENDS = (".", "?", "!", '"', "'")
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
    bounds = {bound.name: bound for bound in load_recipe("many").stages}
    wanted = set(bounds["language"].limits["label"].one_of or ())
    kept = passing(by_language)
    predictor = Predictor()
    lines = [f"{'':8}" + "".join(f"{name:>12}" for name in stages) + "     passing  screen    ends      c4  words"]
    for code, texts in by_language.items():
        shares = "".join(f"{recalls[name][code]:12.3f}" for name in stages)
        if code in wanted:
            groups = [" ".join(texts[at : at + 5]) for at in range(0, len(texts), 5)]
            least = bounds["screen"].limits["wanted_score"].min or 0.0
            screened = sum(predictor.of(text, (code,)) >= least for text in groups) / len(groups)
            ends = [sum(text.strip()[-1] in TERMINAL_PUNCTUATION for text in texts) / len(texts)]
            ends.append(sum(text.strip().endswith(C4_ENDS) for text in texts) / len(texts))
            shares += f"{kept[code]:12.3f}{screened:8.3f}{ends[0]:8.3f}{ends[1]:8.3f}  {rules_of(code)}"
        lines.append(f"{code:8}{shares}")
    both = {"all": list(by_language), "of many": [code for code in by_language if code in wanted]}
    for what, codes in both.items():
        means = [f"{sum(recalls[name][c] for c in codes) / len(codes):12.3f}" for name in stages]
        end = f"{sum(kept[c] for c in codes) / len(codes):12.3f}" if what != "all" else ""
        lines.append(f"{what:8}" + "".join(means) + end + f"   mean of {len(codes)} languages")
    lines.append(f"{'µs each':8}" + "".join(f"{costs[name] * 1e6:12.0f}" for name in stages))
    print("\n".join(lines))
    if options.save:
        FIGURES.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
