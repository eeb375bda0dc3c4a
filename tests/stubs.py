"""Stages that misbehave on purpose, and the factory by which page workers get them."""

import ctypes
import os
import signal
import time
from pathlib import Path

from corpus.recipes import Recipe
from corpus.stage import Limit, Stage


class Hostile(Stage):
    """Does what the query of the URL says: ?loop, ?sleep, ?segfault, ?abort, ?allocate, ?exit, ?raise, ?hungry;
    ?environment breaks the limit if a canary is in the environment."""

    name = "hostile"
    survived = Limit(max=1, of=int)

    def __init__(self, *, memory: str = "") -> None:
        self.memory = memory

    def apply(self, doc):
        act = doc.url.partition("?")[2]
        if act == "loop":
            while True:
                pass
        if act == "sleep":
            time.sleep(3600)
        if act == "segfault":
            ctypes.string_at(0)
        if act == "abort":
            os.abort()
        if act == "exit":
            os._exit(3)
        if act == "allocate":
            bytearray(20 << 30)
        if act == "hungry":  # more than a page may take, less than a page alone may
            bytearray(300 << 20)
        if act == "environment" and "canary" in str(os.environ):
            yield "survived", 2
        if act == "raise":
            raise ValueError("secret page text")
        if act == "kill-once" and not Path(self.memory).exists():
            Path(self.memory).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield "survived", 1


class Together(Hostile):
    """Does the same with many pages at once. The number of each page's batch is the measure `of`."""

    name = "together"
    of = Limit(of=int)

    def apply_batch(self, docs):
        return [[*self.apply(doc), ("of", len(docs))] for doc in docs]


class Poison(Stage):
    """Does what the query of the URL says while the file `flag` exists: ?poison-sleep, ?poison-supervisor (kills it),
    ?poison-memory (takes `gigabytes`, and hangs). A search for personal data in a text with REDACT fails then."""

    name = "poison"
    survived = Limit(max=1, of=int)

    def __init__(self, *, flag: str = "", gigabytes: int = 1) -> None:
        self.flag = flag
        self.gigabytes = gigabytes

    def apply(self, doc):
        act = doc.url.partition("?poison-")[2] if Path(self.flag).exists() else ""
        if act == "sleep":
            time.sleep(3600)
        if act == "supervisor":
            os.kill(os.getppid(), signal.SIGSEGV)
            time.sleep(3600)
        if act == "memory":
            self.held = [b"x" * (64 << 20) for _ in range(16 * self.gigabytes)]
            time.sleep(3600)
        yield "survived", 1

    def redact(self, text):
        if "REDACT" in text and Path(self.flag).exists():
            raise OSError(text)
        return text


class Paragraphs(Stage):
    """Takes the HTTP body as text, or the text of a row, and measures its length."""

    name = "paragraphs"
    sets = ("text",)
    chars = Limit(min=1, of=int)

    def apply(self, doc):
        if doc.record.text is None:
            doc.text = doc.record.block.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
        yield "chars", len(doc.text)


OWN = {Hostile.name: Hostile, Together.name: Together, Poison.name: Poison, Paragraphs.name: Paragraphs}


def recipe_from_dict(data, modules=()):
    """Return a recipe of these stages and those of `filters`. A page worker that needs no filters starts without them,
    in two thirds of the time."""
    if {table.get("stage") for table in data["stages"]} <= OWN.keys():
        return Recipe.from_dict(data, OWN)
    from filters import STAGES

    return Recipe.from_dict(data, {**STAGES, **OWN})


FACTORY = "tests.stubs:recipe_from_dict"
