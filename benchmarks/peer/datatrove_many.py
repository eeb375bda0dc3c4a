"""FineWeb-2's filters by datatrove over texts of many languages. Runs in the peer's environment:

    python datatrove_many.py JOB      # {"documents": path, "configs": folder, "out": path}

The filters, their order and their arguments are those of fineweb-2-pipeline.py. Each line of the documents has an id, a
text and a label such as deu_Latn.
"""

import json
import sys
import warnings
from importlib import metadata
from pathlib import Path

import yaml
from datatrove.data import Document
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.utils.logging import logger
from datatrove.utils.word_tokenizers import KiwiTokenizer

logger.remove()
warnings.simplefilter("ignore")
KiwiTokenizer.__init__.__defaults__ = ("cong",)  # the Korean model "sbg" no longer ships with kiwipiepy


def filters_of(label: str, config: dict) -> list:
    return [
        GopherRepetitionFilter(
            language=label, dup_para_frac=0, dup_line_char_frac=0, dup_para_char_frac=0,
            dup_line_frac=config["dup_line_frac"], top_n_grams=config["top_n_grams"], dup_n_grams=config["dup_n_grams"],
        ),
        FineWebQualityFilter(
            language=label, short_line_thr=999, char_duplicates_ratio=0.1, line_punct_thr=config["line_punct_thr"],
            new_line_ratio=config["new_line_ratio"],
        ),
        GopherQualityFilter(
            language=label, max_avg_word_length=config["max_avg_word_length"],
            min_avg_word_length=config["min_avg_word_length"], stop_words=config["stopwords"],
            max_non_alpha_words_ratio=config["max_non_alpha_words_ratio"], min_stop_words=2,
        ),
    ]  # fmt: skip


def verdict(steps: list, text: str) -> str:
    for step in steps:
        found = step.filter(Document(text=text, id=""))
        if found is not True:
            return found[1] if isinstance(found, tuple) else "dropped"
    return "kept"


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    steps: dict[str, list] = {}
    found = {}
    for line in Path(job["documents"]).read_text().splitlines():
        doc = json.loads(line)
        label = doc["label"]
        if label not in steps:
            steps[label] = filters_of(label, yaml.safe_load((Path(job["configs"]) / f"{label}.yml").read_text()))
        found[doc["id"]] = verdict(steps[label], doc["text"])
    versions = {"datatrove": metadata.version("datatrove")}
    Path(job["out"]).write_text(json.dumps({"verdicts": found, "versions": versions}))


if __name__ == "__main__":
    main()
