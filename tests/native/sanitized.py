"""Sends mutated pages and models through kernels, which may have been built with sanitizers, and prints a digest of
their results:

python -m tests.native.sanitized KERNELS.so SEED COUNT [BYTES]

A page is a piece of a real page, of at most so many bytes. Small pieces meet as many mutations in less time.
"""

import hashlib
import importlib.util
import random
import sys
from typing import Any

import numpy as np

import native


def use(path: str) -> None:
    """Make `native.kernels` the module in a file. Nothing may have imported it before."""
    spec = importlib.util.spec_from_file_location("native.kernels", path)
    assert spec is not None and spec.loader is not None and "native.kernels" not in sys.modules
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["native.kernels"] = native.kernels = module


def main(seed: int, count: int, most: int = 1 << 20) -> None:
    from corpus.text.vocabulary import new_table
    from filters.classifier.model import MODELS
    from filters.extract.blocks import load_model
    from filters.language.identification import BUNDLED
    from native import kernels
    from tests.faults.fuzz import real_pages
    from tests.faults.mutate import mutated

    extractor = load_model()
    chance = random.Random(seed)
    pages, total = real_pages([]), hashlib.sha256()
    files = [BUNDLED.read_bytes(), (MODELS / "page_type" / "model.bin").read_bytes()]
    models = [kernels.FastText(file) for file in files]
    phrases = kernels.PhraseCounter(["a", "<p", "the ", "class=", "href", "e e"])
    rules = kernels.EnglishRules({"don't": ["do", "n't"], "a.m.": ["a.m."], "Mr.": ["Mr."], ":)": [":)"]})
    for number in range(count):
        if number % 100 == 0:  # making a table takes longer than a page
            table = new_table(rules, new_table(rules))
        page, other = chance.choice(pages), chance.choice(pages)
        size = min(most, chance.choice((300, 3_000, 30_000)))
        start = chance.choice((0, chance.randrange(len(page))))
        html, _ = mutated(chance, page[start : start + size], other[-most:])
        if chance.random() < 0.5:
            html = html.decode("utf-8", "replace").encode()
        looks = (kernels.structure_of(html, 5), kernels.beyond_ascii(html), phrases.counts(html))
        total.update(repr((looks, kernels.parser_hazards(html), looks_at_tree(html))).encode())
        total.update(repr(of_markup_and_text(table, html, html.decode("utf-8", "surrogateescape"))).encode())
        if kernels.beyond_ascii(html) is not None:
            total.update(kernels.visible_text(html, chance.choice((1_000, 100_000)), 16).encode())
        for model in models:
            total.update(repr(model.predict(html, [0, 5])).encode())
        if chance.random() < 0.1:
            total.update(repr(of_damaged_model(chance, chance.choice(files), html)).encode())
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


def looks_at_tree(html: bytes) -> object:
    """Return what kernels say of lxml's tree of a page."""
    from lxml import etree

    from filters.extract.trafilatura.parse import PARSER, text_length, xml_text_length
    from filters.extract.trafilatura.rules import flagged_below

    try:
        tree = etree.fromstring(html, PARSER)
    except etree.LxmlError:
        return None
    if tree is None:
        return None
    flags = [(element.tag, bits) for element, bits in flagged_below(tree, (1 << 32) - 1)]
    return flags, text_length(tree), xml_text_length(tree)


def of_markup_and_text(table: Any, html: bytes, text: str) -> object:
    """Return what the kernels for texts say of a page's markup, whose words are its stretches."""
    from native import kernels

    tags = kernels.may_opt_out(html, (b"robots", b"tdm-")), kernels.may_license(html)
    numbers, waiting = table.read(text)
    for number, stretch in waiting:
        table.set_tokens(number, [stretch[:1], stretch[1:]])
    words = table.words(numbers)
    hashes = []
    for kind in range(3):
        for number in table.hashes(kind, numbers)[1]:
            table.set_hashes(kind, number, [number, kind])
        hashes.append(table.hashes(kind, numbers)[0])
    least = kernels.least_values(
        kernels.shingles(hashes[0], 5), np.arange(100, dtype=np.uint32), np.ones(100, np.uint32)
    )
    lines = kernels.clean_lines(
        table, text, numbers, terminal_punctuation=False, javascript_lines=True, policy_lines=True, latex=True,
        min_words_per_line=1, max_word_length=100,
    )  # fmt: skip
    return (
        tags, kernels.personal_hints(text)[0], sorted(kernels.personal_hints(text)[1]), numbers.tolist(),
        words.tolist(),
        kernels.top_ngram_chars(table, words, [2, 3]), kernels.duplicate_ngram_chars(table, words, [1, 5]),
        [values.tolist() for values in (*hashes, least)], table.count_words(words), table.roles(numbers),
        table.count_sentences(text, numbers), lines[0], lines[1],
    )  # fmt: skip


def of_damaged_model(chance: random.Random, file: bytes, text: bytes) -> object:
    """Return what a model predicts after some of its numbers were changed, or None if it can't be opened."""
    from native import kernels

    damaged = bytearray(file)
    for _ in range(chance.randint(1, 3)):
        place = chance.choice((chance.randrange(100), chance.randrange(len(file) - 4)))
        damaged[place : place + 4] = chance.choice((0, 1, 1 << 31, (1 << 32) - 1, chance.getrandbits(32))).to_bytes(4)
    try:
        return kernels.FastText(bytes(damaged)).predict(text, [0])
    except ValueError:
        return None


if __name__ == "__main__":
    use(sys.argv[1])
    main(*map(int, sys.argv[2:]))
