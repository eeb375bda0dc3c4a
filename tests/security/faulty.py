"""A plugin that makes our own stages and phases fail, with the text of a page in the message.

A page names its fault in its URL: `?extract-raise` fails in the stage `extract`, once that has done its work. The
variable CORPUS_FAULT names a phase, or `bug` for a bug of the driver. Their messages are what CORPUS_TEXT holds.
"""

import os
import resource
import signal
import sys

import filters
from corpus.stage import Stage


class Faulty(Stage):
    """No recipe names it: a plugin must have a stage."""

    name = "faulty"


def fail(act, text):
    """Do what `act` says."""
    if act == "raise":
        raise ValueError(text) from KeyError(text)
    if act == "crash":
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0, "a core dump would hold the text"
        os.kill(os.getpid(), signal.SIGSEGV)
    while act == "loop":
        pass


def after(method):
    """Return a stage's `visit` that does its work, and then what the URL of the page says."""

    def visit(self, outcome, bound, first, given=None):
        doc = outcome.doc
        before = f"{doc.text} {doc.record.block.decode()}"
        goes_on = method(self, outcome, bound, first)
        act = doc.url.partition(f"?{bound.name}-")[2]
        if act:
            print(before, flush=True)  # as libraries do
            print(before, file=sys.stderr, flush=True)
            fail(act, f"{before} {doc.text}")
        return goes_on

    return visit


def redact(self, text, really=filters.Pii.redact):
    """Fail at a text with REDACT. The text of a sample is the last that a page worker touches."""
    if "REDACT" in text:
        fail("raise", text)
    return really(self, text)


for stage in filters.STAGES.values():
    stage.visit = after(stage.visit)
filters.Pii.redact = redact


def fault(*arguments, **named):
    fail(act or "raise", os.environ["CORPUS_TEXT"])


phase, _, act = os.environ.get("CORPUS_FAULT", "").partition("-")
if phase in ("ledger", "corpus", "samples") and "jobs.runner.task_functions" in sys.modules:
    tasks = sys.modules["jobs.runner.task_functions"]
    pack_part = tasks.pack_part
    tasks.pack_part = lambda store, task, schema: (fault if task.kind == phase else pack_part)(store, task, schema)
elif phase == "bug" and "jobs.build.build" in sys.modules:
    sys.modules["jobs.build.build"].run_info = fault
elif phase and "corpus.dedup.phases" in sys.modules:
    sys.modules["corpus.dedup.phases"]._PHASES[phase] = fault
