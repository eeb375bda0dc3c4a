"""Finished runs without archives: documents judged in this process, their ledger written as a build writes it."""

import json
from pathlib import Path

import pyarrow as pa

from corpus.document import Document
from corpus.pipeline import Pipeline
from corpus.recipes import Recipe, language_column
from corpus.stage import Limit, Stage
from corpus.storage.commits import Part, sha256_of
from corpus.storage.manifest import write_manifest
from corpus.storage.store import LocalStore
from corpus.tables.ledger import CORPUS_SCHEMA, add_outcome, corpus_row, ledger_row, ledger_schema, no_counts
from corpus.tables.pack import write_rows
from corpus.tables.takedown import Takedown


class Given(Stage):
    """Measures what the document's page says, {measure: value}, in the order declared."""

    def apply(self, doc):
        for name in type(self).limits:
            value = doc.page[f"{self.name}.{name}"]
            if value == "raise":
                raise ValueError
            if "language" in self.sets and name == "label":
                doc.language = value
            yield name, value


class Door(Given):
    name = "door"
    gate = True
    sets = ("language",)
    label = Limit(one_of=("en",), of=str)
    score = Limit(above=0.65)


class Dear(Given):
    name = "dear"
    costly = True
    size = Limit(min=1, max=100, of=int)
    depth = Limit(max=10, of=int)


class First(Given):
    name = "first"
    words = Limit(min=50, max=1000, of=int)
    ratio = Limit(max=0.3)
    note = Limit(of=str)


class Last(Given):
    name = "last"
    sentences = Limit(min=5, of=int)
    share = Limit(below=0.5)
    count = Limit(of=int)


REGISTRY = {stage.name: stage for stage in (Door, Dear, First, Last)}
RECIPE = {"stages": [{"stage": name} for name in ("door", "dear", "first", "last")]}
BY_LANGUAGE = {
    "door": {"de": {"score": {"above": 0.4}}, "fr": {"label": {"one_of": ["fr"]}}},
    "dear": {"de": {"size": {"max": 150}}},
    "first": {"de": {"words": {"min": 90, "max": "off"}, "note": {"one_of": ["a"]}}, "fr": {"ratio": {"above": 0.05}}},
    "last": {"fr": {"share": {"below": "off", "max": 0.4}, "sentences": {"min": 12}}},
}
"""Limits of two languages: bounds that are other, more or off. Pages in French pass the door only with these."""


def recipe(settings=(), by_language=False, **top):
    data = {**RECIPE, **top}
    if by_language:
        names = [one["stage"] for one in data["stages"]]
        there = {name: {"by_language": BY_LANGUAGE[name]} for name in names[names.index("door") :]}
        data["stages"] = [{**one, **there.get(one["stage"], {})} for one in data["stages"]]
    made = Recipe.from_dict(data, REGISTRY)
    for setting in settings:
        made = made.with_settings([setting], REGISTRY)
    return made


def as_toml(made):
    """TOML of a recipe, by way of JSON: each value is written the same in both."""
    lines = [f"measures = {json.dumps(made.measures)}"]
    for stage in made.canonical()["stages"]:
        lines.append("[[stages]]")
        for key, value in stage.items():
            inner = ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) if isinstance(value, dict) else ""
            lines.append(f"{key} = {{ {inner} }}" if isinstance(value, dict) else f"{key} = {json.dumps(value)}")
    return "\n".join(lines)


def judged(made, pages):
    """The outcomes of documents with these measures."""
    pipeline = Pipeline(made.stages, made.measures)
    outcomes = []
    for number, measures in enumerate(pages):
        doc = Document(
            id=f"w.warc.gz:{number}", url=f"http://site{number % 7}.example/{number}", text="é" * (number % 50)
        )
        doc.page = measures
        outcomes.append(pipeline.judge(doc))
    return outcomes


FACTS = {
    "complete": True,
    "resources": {},
    "versions": {"corpus": "0"},
    "fingerprint": "f" * 64,
    "inputs": [{"name": "w.warc.gz", "bytes": 1, "identity": "made"}],
    "against": [],
    "removed": Takedown().digest,
    "other_records": {},
    "compared": {},
    "dedup": None,
    "lines": None,
    "exceptions": [],
    "quarantined": [],
}
"""The entries of run.json that do not depend on the rows."""


def write_run(folder: Path, made, outcomes, rows_per_part=None):
    """The folder of a run whose ledger holds these outcomes."""
    columns = made.pipeline().columns
    rows = {
        "ledger": [ledger_row(one, "w.warc.gz", int(one.doc.id.split(":")[1]), None) for one in outcomes],
        "corpus": [corpus_row(one, "w.warc.gz", int(one.doc.id.split(":")[1])) for one in outcomes if one.kept],
    }
    parts = []
    for kind, schema in (("ledger", ledger_schema(columns)), ("corpus", CORPUS_SCHEMA)):
        (folder / kind).mkdir(parents=True)
        size = rows_per_part or max(len(rows[kind]), 1)
        for number, start in enumerate(range(0, max(len(rows[kind]), 1), size)):
            path = folder / kind / f"part-{number:05d}.parquet"
            written = write_rows(
                iter([pa.Table.from_pylist(rows[kind][start : start + size], schema)]), kind, schema, path
            )
            parts.append(Part(kind, f"{kind}/{path.name}", written, path.stat().st_size, sha256_of(path)))
    counts = no_counts()
    for one in outcomes:
        add_outcome(counts, one.outcome, one.stage, one.rule)
    info = {
        **FACTS,
        "recipe": made.canonical(),
        "columns": {name: kind.__name__ for name, kind in columns.items()},
        "language": language_column(made.stages),
        "records": counts,
    }
    data = json.dumps(info).encode()
    write_manifest(LocalStore(folder), parts, data)
    (folder / "run.json").write_bytes(data)
    return folder
