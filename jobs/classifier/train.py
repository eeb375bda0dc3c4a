"""Train a classifier, and judge it by pages of sites that it has not seen.

The sites are divided into folds by a hash. For each fold, a model is trained on the other folds and judges the pages
of the fold, so each page is judged once by a model that saw no page of its site. These judgements give the figures and
the calibration. The model that is written learns from all pages.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError, InputError
from filters.fasttext_file import LABEL, FastText
from jobs.classifier.pages import Page, draw

FILE = "model.bin"
_MOST_COPIES = 10
_BYTES_PER_WORD = 26
"""The size of a word in a quantized model, beside its codes, which have half a byte for each dimension."""


@dataclass(frozen=True)
class Settings:
    """The settings of a training. `max_kb` is the size of the model in kB; if it is 0, the model is not quantized."""

    seed: int = 0
    folds: int = 5
    ngrams: int = 2
    dim: int = 16
    epochs: int = 10
    rate: float = 1.0
    min_count: int = 3
    buckets: int = 1 << 18
    max_kb: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_pages(pages: Sequence[Page], settings: Settings) -> dict[str, int]:
    """Return the number of pages of each label, the most frequent label first. Raises InputError if there are too few
    labels, or too few sites of a label."""
    counts = Counter(page.label for page in pages)
    if len(counts) < 2:
        there = f"All pages have the label '{min(counts)}'" if counts else "There is no page with a text and a label"
        raise InputError(f"{there}, so there is nothing to tell apart.", "Give pages of at least two labels.")
    for label in sorted(counts):
        sites = len({page.site for page in pages if page.label == label})
        if sites < settings.folds:
            raise InputError(
                f"The pages with the label '{label}' are of {sites} sites, but {settings.folds} folds need as many.",
                "Give pages of more sites, or fewer --folds.",
            )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def folds_of(pages: Sequence[Page], settings: Settings) -> list[int]:
    """Return the fold of each page. All pages of a site are in one fold, and each fold has sites of each label.

    The sites of each label are dealt to the folds in the order of a hash. A site counts for its most frequent label.
    """
    labels: dict[str, Counter[str]] = {}
    for page in pages:
        labels.setdefault(page.site, Counter())[page.label] += 1
    sites: dict[str, list[str]] = {}
    for site, counts in labels.items():
        sites.setdefault(min(counts, key=lambda label: (-counts[label], label)), []).append(site)
    fold: dict[str, int] = {}
    for group in sites.values():
        ordered = sorted(group, key=lambda site: (draw(settings.seed, site), site))
        fold |= {site: number % settings.folds for number, site in enumerate(ordered)}
    return [fold[page.site] for page in pages]


def train(
    pages: Sequence[Page], settings: Settings, out: Path, look: Callable[[Any], object] = lambda model: None
) -> None:
    """Train a model and write it to `out`. The same pages and settings give the same bytes. `look` is called with the
    model before it is quantized.

    All labels count the same: pages of rare labels are repeated, each at most ten times.
    """
    import fasttext

    with tempfile.TemporaryDirectory(prefix="corpus-classifier-") as folder:
        lines = Path(folder, "lines.txt")
        lines.write_bytes(b"".join(_lines(pages, settings)))
        model = fasttext.train_supervised(
            input=str(lines), lr=settings.rate, dim=settings.dim, epoch=settings.epochs, wordNgrams=settings.ngrams,
            minCount=settings.min_count, bucket=settings.buckets, thread=1, seed=settings.seed % (1 << 31), verbose=0,
        )  # fmt: skip
        look(model)
        if settings.max_kb:
            rows = 1000 * settings.max_kb // (_BYTES_PER_WORD + settings.dim // 2)
            model.quantize(input=str(lines), cutoff=rows, retrain=True, qnorm=True, thread=1, verbose=0)
        model.save_model(str(out))
    if settings.max_kb and out.stat().st_size > 1000 * settings.max_kb:
        what = f"The model has {out.stat().st_size:,} bytes, although it was quantized."
        raise ConfigError(what, "Raise --max-kb, or lower --ngrams.")


def _lines(pages: Sequence[Page], settings: Settings) -> Iterator[bytes]:
    """Yield the lines to learn from, in the order of a hash, so that equal labels do not follow each other."""
    counts = Counter(page.label for page in pages)
    most = max(counts.values())
    copies = [
        (draw(settings.seed + 1 + copy, page.id), number)
        for number, page in enumerate(pages)
        for copy in range(min(round(most / counts[page.label]), _MOST_COPIES))
    ]
    for _, number in sorted(copies):
        page = pages[number]
        yield f"{LABEL}{page.label} {page.line}\n".encode("utf-8", "replace")


def judge_held_out(
    pages: Sequence[Page], settings: Settings, done: Callable[[], None] = lambda: None
) -> list[dict[str, float]]:
    """Return the probabilities of all labels for each page, by a model that saw no page of its site."""
    folds = folds_of(pages, settings)
    found: list[dict[str, float]] = [{} for _ in pages]
    with tempfile.TemporaryDirectory(prefix="corpus-classifier-") as folder:
        for fold in range(settings.folds):
            path = Path(folder, f"{fold}.bin")
            train([page for page, own in zip(pages, folds, strict=True) if own != fold], settings, path)
            model = FastText(path)
            labels = range(len(model.labels))
            for number, page in enumerate(pages):
                if folds[number] == fold:
                    label, _, chances = model.predict(page.line, labels)
                    if label is not None:
                        found[number] = dict(zip(model.labels, chances, strict=True))
            path.unlink()
            done()
    return found
