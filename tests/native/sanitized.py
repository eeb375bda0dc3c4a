"""Sends mutated pages through kernels that were built with sanitizers: `python sanitized.py KERNELS.so SEED COUNT`."""

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

from filters.extract import blocks
from tests.faults.fuzz import real_pages
from tests.faults.mutate import mutated


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("kernels", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(path: str, seed: int, count: int) -> None:
    kernels = load(path)
    blocks.kernels = kernels  # type: ignore[attr-defined]
    extractor = blocks.load_model.__wrapped__(blocks.MODEL)
    chance = random.Random(seed)
    pages = real_pages([])
    for _ in range(count):
        page, other = chance.choice(pages), chance.choice(pages)
        html, _ = mutated(chance, page[: chance.choice((300, 3_000, 30_000))], other)
        if chance.random() < 0.5:
            html = html.decode("utf-8", "replace").encode()
        try:
            for markdown in (False, True):
                extractor.extract(
                    html, "https://site.example/a", chance.choice(("auto", "keep", "drop")), markdown, True
                )
            read = kernels.Page(html, "https://site.example/a")
            for part in (read.title, read.headings, read.statements, read.times, read.linked_data, read.texts):
                part()
        except UnicodeDecodeError:  # bytes that are no UTF-8 give text that is none
            pass
    sys.stdout.write(f"{Path(path).name}: {count} pages\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
