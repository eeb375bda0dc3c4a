"""Words of Chinese, Japanese and Thai by ICU, beside the segmenters that FineWeb-2 uses, on 200 sentences each:

    pip install jieba rjieba sudachipy sudachidict-core pythainlp nlpo3    # those that are installed are measured
    python -m benchmarks.segmenters [--save]

Prints the CPU time for a character, the mean length of a word, and the agreement with FineWeb-2's segmenter: F1 of the
boundaries between words.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.languages import sentences
from corpus.text.words import split_words

FIGURES = Path(__file__).parent / "figures" / "segmenters.txt"
Split = Callable[[str], list[str]]


def jieba() -> Split:
    import jieba as module

    module.setLogLevel(60)
    return lambda text: list(module.cut(text))


def rjieba() -> Split:
    import rjieba as module

    return lambda text: list(module.cut(text))


def sudachi() -> Split:
    from sudachipy import Dictionary, SplitMode

    tokenizer = Dictionary().tokenizer(mode=SplitMode.A)
    return lambda text: [token.surface() for token in tokenizer.tokenize(text)]


def pythainlp() -> Split:
    from pythainlp.tokenize import word_tokenize

    return lambda text: list(word_tokenize(text, engine="newmm-safe"))


def nlpo3() -> Split:
    import pythainlp
    from nlpo3 import load_dict, segment

    load_dict(str(Path(pythainlp.__file__).parent / "corpus" / "words_th.txt"), "words")  # it has no words of its own
    return lambda text: list(segment(text, "words"))


SEGMENTERS: dict[str, dict[str, Callable[[], Split]]] = {
    "zh": {"jieba": jieba, "rjieba": rjieba},
    "ja": {"sudachi": sudachi},
    "th": {"pythainlp": pythainlp, "nlpo3": nlpo3},
}
"""The segmenters by language. The first is FineWeb-2's."""


def boundaries(words: list[str]) -> set[int]:
    """Return the ends of words, as numbers of characters that are no whitespace."""
    ends, end = set(), 0
    for word in words:
        end += len("".join(word.split()))
        ends.add(end)
    return ends


def measured(name: str, code: str, split: Split, texts: list[str], reference: list[set[int]]) -> str:
    split(texts[0])
    started = time.process_time()
    found = [split(text) for text in texts]
    took = time.process_time() - started
    ends = [boundaries(words) for words in found]
    same = sum(len(mine & theirs) for mine, theirs in zip(ends, reference, strict=True))
    f1 = 2 * same / (sum(map(len, ends)) + sum(map(len, reference))) if reference else 1.0
    chars = sum(map(len, texts))
    return f"{code:4}{name:12}{took / chars * 1e6:10.2f}{chars / sum(map(len, found)):10.2f}{f1:10.3f}"


def lines() -> Iterator[str]:
    yield f"{'':16}{'µs/char':>10}{'chars':>10}{'F1':>10}"
    by_language = sentences()
    for code, segmenters in SEGMENTERS.items():
        texts = by_language[code]
        reference: list[set[int]] = []
        for name, make in segmenters.items():
            try:
                split = make()
            except ImportError as error:
                yield f"{code:4}{name:12} not measured: {error}"
                continue
            reference = reference or [boundaries(split(text)) for text in texts]
            yield measured(name, code, split, texts, reference)
        yield measured("ICU", code, partial(split_words, language=code), texts, reference)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--save", action="store_true", help=f"write the table to {FIGURES.name} too")
    options = parser.parse_args()
    table = "\n".join(lines())
    print(table)
    if options.save:
        FIGURES.write_text(table + "\n")


if __name__ == "__main__":
    main()
