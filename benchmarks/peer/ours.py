"""Our side of the comparison: archives one after another in one process, as a page worker judges them.

    python -m benchmarks.peer.ours JOB
    # {"archives": [paths], "recipe": name, "settings": [...], "limits": [paths], "out": path}

`run_unit` judges the whole archive. Every record is announced on the board, and every batch is written as frames, to
nowhere: the pipe to the supervisor is in `corpus build`, which `benchmarks.vs_datatrove` times too. The stages' own
methods are timed on the CPU clock, so that signatures and personal data can be told from the rest of the pass.
"""

import json
import os
import sys
import time
from collections import defaultdict
from importlib import metadata
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType
from lxml.html import HTMLParser, fromstring
from resiliparse.parse.html import HTMLTree

from benchmarks.peer.clock import Lap, tree_cpu
from corpus.document import Document
from corpus.sandbox.page_worker import settle
from corpus.sandbox.protocol import Board, send_batch
from corpus.sandbox.unit import Unit, run_unit
from corpus.warc.plan import plan
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from corpus.warc.source import LocalSource
from filters import load_recipe
from filters.extract.page import page_of


def with_timers(stage, name, seconds):
    """Let a stage add the CPU seconds of its methods to `seconds[name]`."""
    clock = time.process_time

    def timed(method):
        def call(*args):
            started = clock()
            try:
                return method(*args)
            finally:
                seconds[name] += clock() - started

        return call

    def timed_measures(apply):
        # the clock is a system call, so it is read twice per document, not twice per measure
        def measures(doc):
            started = clock()
            try:
                yield from apply(doc)
            finally:
                seconds[name] += clock() - started

        return measures

    if hasattr(stage, "sign"):
        stage.sign = timed(stage.sign)
    else:
        stage.apply = timed_measures(stage.apply)


def judge(path, pipeline, seconds, board, nowhere):
    """Judge an archive. Return the CPU seconds of each part, and the WARC-Record-IDs of the kept pages."""
    seconds.clear()
    kept, pages = [], 0
    lap = Lap()
    source = LocalSource(path)
    found = plan(source, max(1, source.size))
    unit = Unit(source.name, str(path), "", found.layout, found.codec, found.flavor, 0, source.size, source.tag)
    for batch in run_unit(pipeline, source, unit, announce=board.announce):
        send_batch(nowhere, batch)
        rows = batch.tables["ledger"]
        pages += rows.num_rows
        outcomes = zip(rows["record_id"].to_pylist(), rows["outcome"].to_pylist(), strict=True)
        kept += [record_id for record_id, outcome in outcomes if outcome == "kept"]
    took = lap.took()
    sign, pii = seconds.pop("minhash", 0.0), seconds.pop("pii", 0.0)
    return {
        "judge": took["cpu"] - sign - pii, "sign": sign, "pii": pii, "wall": took["wall"],
        "since_start": tree_cpu(), "stages": dict(seconds), "kept": kept, "pages": pages,
    }  # fmt: skip


def limits(path):
    """Return the CPU seconds of the least that any pipeline does: decompressing and parsing every page."""
    lap, read = Lap(), 0
    for record in ArchiveIterator(str(path), record_types=WarcRecordType.response, parse_http=True):
        read += len(record.reader.read())
    found = {"fastwarc": lap.took()["cpu"]}
    lap = Lap()
    for record in ArchiveIterator(str(path), record_types=WarcRecordType.response, parse_http=True):
        HTMLTree.parse_from_bytes(record.reader.read(), "utf-8")
    found["fastwarc + resiliparse"] = lap.took()["cpu"]
    lap = Lap()
    for _ in read_warc(path):
        pass
    found["our reader"] = lap.took()["cpu"]
    lap = Lap()
    for item in read_warc(path):
        if isinstance(item, Record) and item.judged:
            html = page_of(Document.of(item)).html
            if html.strip():
                # a new parser for each page, as a parser keeps its first encoding
                fromstring(html.encode(), parser=HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True))
    found["our reader + lxml"] = lap.took()["cpu"]
    return found


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    pipeline = load_recipe(job["recipe"], job["settings"]).pipeline()
    pipeline.prepare()
    settle()
    seconds: dict[str, float] = defaultdict(float)
    for bound in pipeline.stages:
        with_timers(bound.stage, bound.name, seconds)
    board = Board(os.memfd_create("board"))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    results = {Path(path).name: judge(path, pipeline, seconds, board, nowhere) for path in job["archives"]}
    versions = {name: metadata.version(name) for name in ("corpus", "trafilatura", "resiliparse", "lxml", "spacy")}
    least = {Path(path).name: limits(path) for path in job["limits"]}
    Path(job["out"]).write_text(json.dumps({"archives": results, "versions": versions, "limits": least}))


if __name__ == "__main__":
    main()
