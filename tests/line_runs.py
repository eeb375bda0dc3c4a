"""Write signed lines as the pass leaves them, run the comparison of lines, and compare it with plain Python."""

import contextlib
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa

from corpus.dedup.contract import SignedLines
from corpus.dedup.lines import NOT_COMPARED
from corpus.document import Document
from corpus.recipes import Recipe
from corpus.sandbox.attempt import PartWriter
from corpus.storage.commits import Commit, add_part
from corpus.storage.store import LocalStore
from corpus.text.lines import without_lines
from filters import STAGES
from jobs.build.compare import Comparison
from jobs.build.compare_lines import compare_lines
from jobs.build.passed import units_of
from jobs.runner.engine import Stop
from jobs.runner.execution import Execution
from jobs.runner.progress import Progress
from tests.engines import engine_of


def recipe(**lines):
    return Recipe.from_dict({"stages": [{"stage": "lines", **lines}]}, STAGES)


def signed_of(documents):
    """Return the signatures of documents given as lists of (hash, length)."""
    return [
        None if lines is None else SignedLines(*(np.array(column, kind).tobytes() for column, kind in _columns(lines)))
        for lines in documents
    ]


def _columns(lines):
    hashes, chars = zip(*lines, strict=True) if lines else ((), ())
    return (hashes, "<u8"), (chars, "<u4")


def write_units(store, sizes, signed, warc="w.warc.gz"):
    """Write units with these numbers of corpus rows, with the documents in order."""
    units, at = [], 0
    stage = recipe().stages[0].stage
    for number, size in enumerate(sizes):
        rows = [stage.signed_row(at + n, 0, one) for n, one in enumerate(signed[at : at + size])]
        writer = PartWriter(store.scratch(), None)
        writer.add(pa.Table.from_pylist(rows, schema=stage.signed_schema()))
        writer.close()
        part = add_part(store, "lines", writer.path, writer.rows)
        units.append(Commit(f"unit {number}", (part,), {"unit": {"warc": warc}}))
        at += size
    assert at == len(signed)
    return units


def phases(store, units, *, memory=1 << 30, workers=1, made=None, engine=None):
    """Run all phases over units."""
    made = made or recipe()
    common = {
        "store": str(store.root),
        "recipe": made.canonical(),
        "factory": "filters:recipe_from_dict",
        "modules": [],
        "depends": "",
    }
    with contextlib.closing(engine or engine_of(workers)) as engine, Stop() as stop:
        execution = Execution(store, engine, stop, Progress(quiet=True))
        return compare_lines(Comparison(execution, made.stages[0], common, units_of(units), memory_bytes=memory))


def verdict_rows(store, sizes, compared, count):
    """Return the verdict row of each document that loses something, None for the others."""
    found, start = [None] * count, 0
    for box, size, dropped in zip(compared.boxes, sizes, compared.removed, strict=True):
        rows = box.read(store).to_pylist()
        assert sum(row["removed"] for row in rows) == dropped
        for row in rows:
            found[start + row["corpus_row"]] = row
        start += size
    return found


def of_texts(folder, texts, sizes=None, **lines):
    """Return the remaining text of each document (None if it is dropped), its verdict row, and the facts."""
    made = recipe(**lines)
    stage = made.stages[0].stage
    store = LocalStore(folder)
    sizes = sizes or [len(texts)]
    units = write_units(store, sizes, [stage.sign(Document(text=text)) for text in texts])
    compared = phases(store, units, made=made)
    rows = verdict_rows(store, sizes, compared, len(texts))
    left = [
        text if row is None else None if row["removed"] else without_lines(text, row["cut"], stage.split)
        for text, row in zip(texts, rows, strict=True)
    ]
    return left, rows, compared.facts


def plainly(documents, *, least=2, keep="first", ratio=0.8, left=200):
    """Apply the rules document by document. Return (rule, removed lines, main keeper) for each that loses something."""
    lines = [[] if document is None else document for document in documents]
    have = defaultdict(list)
    for doc, own in enumerate(lines):
        for value in dict.fromkeys(value for value, _ in own if value != NOT_COMPARED):
            have[value].append(doc)
    repeated = {value: docs for value, docs in have.items() if len(docs) >= least}

    def lost(doc, keepers):
        return [n for n, (value, _) in enumerate(lines[doc]) if value in repeated and keepers.get(value) != doc]

    def judged(doc, gone):
        size, cut = sum(chars for _, chars in lines[doc]), sum(lines[doc][n][1] for n in gone)
        if not gone:
            return None
        return "removed_ratio" if cut / size > ratio else "chars_left" if size - cut < left else None

    keepers = {value: docs[0] for value, docs in repeated.items()} if keep == "first" else {}
    rules = {doc: rule for doc in range(len(lines)) if (rule := judged(doc, lost(doc, keepers)))}
    first_losses = {doc: lost(doc, keepers) for doc in rules}
    if keep == "first":
        stay = {value: [doc for doc in docs if doc not in rules] for value, docs in repeated.items()}
        keepers = {value: docs[0] for value, docs in stay.items() if docs}
    found = []
    for doc in range(len(lines)):
        gone = lost(doc, keepers)
        if not gone and doc not in rules:
            found.append(None)
            continue
        held = Counter()
        for n in gone:
            value, chars = lines[doc][n]
            if value in keepers:
                held[keepers[value]] += chars
        most = min(held, key=lambda keeper: (-held[keeper], keeper)) if held else None
        found.append((rules.get(doc), first_losses.get(doc, gone), most))
    return found
