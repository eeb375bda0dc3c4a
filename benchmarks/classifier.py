"""Train the page-type model that ships, and print its figures: `python -m benchmarks.classifier [--write]`.

It learns from the development pages of WCXB (Murrough-Foley/web-content-extraction-benchmark, CC-BY-4.0). Each page is
judged by a model that has seen no page of its domain, in five folds, after quantization, as the shipped model is. The
trained model must have the bytes of the shipped one. `--write` puts it into the package instead. At the end: the time
of a document of 5,000 characters, and that every probability is fastText's own.
"""

import argparse
import io
import json
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import fasttext
import zstandard

from benchmarks.machine import machine_line, shared_data
from corpus.document import Document
from filters.classifier.model import FACTS, MODELS, Model, open_model
from filters.classifier.tokens import View, line_of
from jobs.classifier.make import Task, make_classifier
from jobs.classifier.pages import Page, Reading, Source
from jobs.classifier.train import FILE, Settings, train
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress

PAGES = shared_data() / "wcxb" / "dev.jsonl.zst"
WEIGHTED = ("url", "layout", "page")
VIEW = View(("unique", *WEIGHTED, *WEIGHTED))
SETTINGS = Settings(ngrams=1, dim=8, epochs=8, rate=2.0, max_kb=490)
SHIPPED = MODELS / "page_type"
CHARS = 5_000


def make(out: Path) -> None:
    scratch = out / ".work"
    how = Reading(scratch, lambda: LocalEngine(1), Progress(), {"html": "html"}, VIEW, seed=0, most=50_000)
    make_classifier(Task((Source((str(PAGES),), column="page_type"),), "", SETTINGS), out, how)


def show_figures(out: Path) -> None:
    facts, report = (json.loads((out / name).read_text()) for name in (FACTS, "report.json"))
    size = (out / FILE).stat().st_size
    print(f"{sum(facts['pages'].values())} pages of {facts['sites']} domains, model of {size:,} bytes")
    print("label           pages  precision  recall    F1   AUC  calibration error")
    for row in report["labels"]:
        rates = f"{row['precision']:.3f}   {row['recall']:.3f} {row['f1']:.3f} {row['auc']:.3f}"
        print(f"{row['label']:14s} {row['pages']:6d}     {rates}  {row['calibration']['error']:.3f}")
    print(f"macro F1 {facts['macro_f1']:.3f}, accuracy {facts['accuracy']:.3f}, held-out domains")


def texts_of(count: int) -> list[str]:
    """Texts of exactly 5,000 characters, put together from the main texts of the pages."""
    texts, held = [], ""
    stream = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(PAGES.open("rb"))
    for line in io.TextIOWrapper(stream, encoding="utf-8"):
        held += json.loads(line)["main_content"] or ""
        if len(held) >= CHARS:
            texts.append(held[:CHARS])
            held = ""
        if len(texts) == count:
            break
    return texts


def show_speed(name: str, model: Model, docs: list[Document]) -> None:
    """Print the mean time from a document to its label and score, the best of nine for each document, and how many
    predictions are fastText's own."""
    scorer, view = model.load(), model.view or View()
    best = [9.0] * len(docs)
    for _ in range(9):
        for number, doc in enumerate(docs):
            started = time.process_time()
            scorer.judge(doc, model.labels[0])
            best[number] = min(best[number], time.process_time() - started)
    itself = fasttext.load_model(str(model.file)).f.predict
    same, labels = 0, scorer.fasttext.labels
    for doc in docs:
        _, _, chances = scorer.fasttext.predict(line_of(doc, view), range(len(labels)))
        expected = {label[9:]: value for value, label in itself(line_of(doc, view) + "\n", -1, 0.0, "strict")}
        same += dict(zip(labels, chances, strict=True)) == expected
    print(f"{name}: {1000 * sum(best) / len(best):.3f} ms a document of {CHARS:,} characters, ", end="")
    print(f"{same} of {len(docs)} predictions are fastText's to the last bit")


def words_model(texts: list[str], folder: Path) -> Model:
    """A model of words and bigrams with the default settings, as for quality. Its labels mean nothing."""
    pages = [Page(str(n), "", str(n), "good" if n % 2 else "bad", "", text) for n, text in enumerate(texts)]
    train(
        [page._replace(line=line_of(Document(text=page.excerpt), View())) for page in pages], Settings(), folder / FILE
    )
    found = open_model(str(folder / FILE))
    return replace(found, view=View())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="Put the model into the package.")
    options = parser.parse_args()
    print(machine_line())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "page_type")
        make(out)
        show_figures(out)
        if options.write:
            SHIPPED.mkdir(parents=True, exist_ok=True)
            for name in (FILE, FACTS):
                shutil.copyfile(out / name, SHIPPED / name)
        same = (out / FILE).read_bytes() == (SHIPPED / FILE).read_bytes()
        print("the trained model has the bytes of the shipped one" if same else "the shipped model has OTHER bytes")
        texts = texts_of(400)
        docs = [Document(text=text, url=f"https://a.example/blog/{n}/a-page") for n, text in enumerate(texts)]
        show_speed("page_type", open_model("page_type"), docs)
        show_speed("words and bigrams", words_model(texts, Path(folder)), docs)


if __name__ == "__main__":
    main()
