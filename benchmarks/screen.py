"""The time that the language screen takes and saves, and the pages that it loses:
`python -m benchmarks.screen [ARCHIVE...]`.

Every page goes through the recipe without the screen. Then the pages that the screen would have dropped are counted for
each threshold: those that the language rule drops anyway, those that a later rule drops, and those that are kept. The
loss of kept pages comes with its 95% upper bound (Clopper-Pearson), because 0 of n is not 0. The label that the screen
gives a page is compared with the language stage's, where a page has both.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

from benchmarks.machine import machine_line, real_archives
from corpus.document import Document
from corpus.errors import InputError
from corpus.outcome import KEPT
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters import load_recipe
from filters.language import LanguageScreen

THRESHOLDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def upper_bound(lost: int, of: int, confidence: float = 0.95) -> float:
    """The Clopper-Pearson upper bound of a share, one-sided, by bisection on the binomial distribution."""
    if lost >= of:
        return 1.0
    low, high = lost / of, 1.0
    for _ in range(60):
        share = (low + high) / 2
        term = total = (1 - share) ** of
        for k in range(lost):
            term *= (of - k) / (k + 1) * share / (1 - share)
            total += term
        low, high = (share, high) if total > 1 - confidence else (low, share)
    return high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("archives", nargs="*", type=Path)
    options = parser.parse_args()
    archives = options.archives or real_archives()
    recipe = load_recipe("fineweb")
    pipeline = recipe.pipeline()
    pipeline.stages = [bound for bound in pipeline.stages if bound.name not in ("screen", "pii", "minhash")]
    screen = LanguageScreen()
    screen.prepare()
    pages: list[tuple[float | None, str, str]] = []
    labels: list[bool] = []
    spent = {"screen": 0.0, "all": 0.0}
    for path in archives:
        try:
            items = [item for item in read_warc(path) if isinstance(item, Record) and item.kind == "response"]
        except InputError:
            continue
        for record in items:
            started = time.process_time()
            measured = {name: value for name, value, *_ in screen.apply(Document.of(record))}
            spent["screen"] += time.process_time() - started
            started = time.process_time()
            outcome = pipeline.judge_record(record)
            spent["all"] += time.process_time() - started
            if outcome is not None:
                score = measured["wanted_score"]
                assert not isinstance(score, str)
                pages.append((score, outcome.outcome, outcome.stage))
                both = measured["label"], outcome.measures.get("language.label")
                labels += [both[0] == both[1]] if all(both) else []
    kept = sum(outcome == KEPT for _, outcome, _ in pages)
    language = sum(stage == "language" for _, _, stage in pages)
    print(machine_line())
    print(f"{len(pages)} pages of {len(archives)} archives: {kept} kept, {language} dropped by language")
    print(f"screen {1e3 * spent['screen'] / len(pages):.2f} ms a page, the recipe without it "
          f"{1e3 * spent['all'] / len(pages):.2f} ms")  # fmt: skip
    print(f"label: {sum(labels) / max(len(labels), 1):.1%} of {len(labels)} are the language stage's")
    print(f"{'threshold':>10}{'dropped':>9}{'of language':>13}{'of later rules':>16}{'kept lost':>11}{'at most':>9}")
    for threshold in THRESHOLDS:
        cut = [(outcome, stage) for score, outcome, stage in pages if score is not None and score < threshold]
        stages = Counter(stage for outcome, stage in cut if outcome != KEPT)
        lost = sum(outcome == KEPT for outcome, _ in cut)
        later = sum(number for stage, number in stages.items() if stage not in ("language", "url", "extract"))
        print(
            f"{threshold:>10}{len(cut):>9}{stages['language'] / max(language, 1):>13.1%}{later:>16}{lost:>11}"
            f"{upper_bound(lost, kept):>9.2%}"
        )


if __name__ == "__main__":
    main()
