"""Sends mutated pages through kernels, which may have been built with sanitizers, and prints a digest of their results:

python -m tests.native.sanitized KERNELS.so SEED COUNT
"""

import hashlib
import importlib.util
import random
import sys

import native


def use(path: str) -> None:
    """Make `native.kernels` the module in a file. Nothing may have imported it before."""
    spec = importlib.util.spec_from_file_location("native.kernels", path)
    assert spec is not None and spec.loader is not None and "native.kernels" not in sys.modules
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["native.kernels"] = native.kernels = module


def main(seed: int, count: int) -> None:
    from filters.extract.blocks import load_model
    from native import kernels
    from tests.faults.fuzz import real_pages
    from tests.faults.mutate import mutated

    extractor = load_model()
    chance = random.Random(seed)
    pages, total = real_pages([]), hashlib.sha256()
    for _ in range(count):
        page, other = chance.choice(pages), chance.choice(pages)
        html, _ = mutated(chance, page[: chance.choice((300, 3_000, 30_000))], other)
        if chance.random() < 0.5:
            html = html.decode("utf-8", "replace").encode()
        try:
            for markdown in (False, True):
                comments = chance.choice(("auto", "keep", "drop"))
                total.update(repr(extractor.extract(html, "https://site.example/a", comments, markdown, True)).encode())
            total.update(repr(extractor.blocks(html, "https://site.example/a")).encode())
            read = kernels.Page(html, "https://site.example/a")
            for part in (read.title, read.headings, read.statements, read.times, read.linked_data, read.texts):
                total.update(repr(part()).encode())
        except UnicodeDecodeError:  # bytes that are no UTF-8 give text that is none
            pass
    sys.stdout.write(f"{count} pages {total.hexdigest()}\n")


if __name__ == "__main__":
    use(sys.argv[1])
    main(int(sys.argv[2]), int(sys.argv[3]))
