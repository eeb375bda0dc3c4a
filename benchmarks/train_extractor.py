"""Train the model that chooses the main text among the blocks of a page.

    python -m benchmarks.train_extractor [--save]

It reads pages whose main text people have marked: those of the shared archives, the development split of WCXB, and
trafilatura's own pages. Most of the last are German, and only some pieces of their text are marked as wanted or
unwanted. A block's label is the share of its words that the marked text has in the same order. Five trainings, each
without a fifth of the hosts, give the printed word F1 on pages of hosts that no training had. `--save` trains on all
pages and writes the model that ships, the same bytes each time. Other people's pages in the form of WCXB:
`--pages FILE.jsonl.zst`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import tldextract
import zstandard
from rapidfuzz.distance import LCSseq
from resiliparse.parse.html import HTMLTree

from benchmarks.extraction import WORD, marked_records
from benchmarks.machine import machine_line, shared_data
from corpus.document import Document
from filters.extract.blocks import CHANCES, load_model
from filters.extract.extraction import resiliparse_text
from filters.extract.page import page_of
from native import kernels

MODEL = Path(__file__).parents[1] / "filters" / "extract" / "blocks.npz"
FIGURES = Path(__file__).parent / "figures" / "train_extractor.txt"

FOLDS = 5
TREES = 250
SETTINGS = {
    "objective": "cross_entropy", "num_leaves": 31, "learning_rate": 0.06, "min_data_in_leaf": 40, "max_bin": 63,
    "feature_fraction": 0.4, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5,
    # one thread and fixed seeds give the same trees each time
    "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 1, "verbose": -1,
}  # fmt: skip
BLOCKS_A_PAGE = 300
"""From a page with more blocks, about so many are drawn for training."""

LEAF_SCALE = 4096
"""A leaf is written as an integer: this many times its value."""
STEP = 64
"""The width of an entry in the table of chances, in units of `1 / LEAF_SCALE`."""

LEAST_F1 = 0.5
"""A page is trained on if its blocks can reach this F1. The marked text of some pages is that of another page."""

PIECES_WEIGHT = 0.5
"""The weight of a page of which only pieces are marked. Other pages have 1.2 on average."""

HOSTS = 6
"""The lexicon has words of at least so many hosts."""
PRIOR_SHARE, PRIOR_HOSTS = 0.45, 2.0
VALUE_SCALE = 16
HALF_MASS = 0.01
"""A host on whose pages a word stands beside this share of the text speaks for the word with half a vote."""

_SUFFIXES = tldextract.TLDExtract(suffix_list_urls=())


@dataclass
class Page:
    """A page with its marked text, cut into blocks."""

    source: str
    kind: str
    url: str
    html: bytes
    truth: Counter[str]
    blocks: list[Counter[str]]
    words: np.ndarray
    """The number of words of each block."""
    found: np.ndarray
    """How many of them the marked text has in the same order."""
    pieces: tuple[list[str], list[str]] | None = None
    """Pieces of text that are wanted and unwanted, of a page whose main text is not marked as a whole."""
    marked: np.ndarray | None = None
    """Which blocks have such a piece."""

    @property
    def host(self) -> str:
        found = _SUFFIXES(self.url)
        return found.top_domain_under_public_suffix or self.url

    @property
    def weights(self) -> np.ndarray:
        """The weight of each block: a page counts by the root of its size, a block by its share of the words."""
        if self.marked is not None:
            words = self.words * self.marked
            return words * (PIECES_WEIGHT / max(1, words.sum()))
        return self.words / max(1.0, (self.words.sum() * self.truth.total()) ** 0.5)

    @property
    def shares(self) -> np.ndarray:
        return self.found / np.maximum(self.words, 1)

    def f1(self, taken: Sequence[bool]) -> float:
        """Return the word F1 of some blocks."""
        chosen: Counter[str] = Counter()
        for words, take in zip(self.blocks, taken, strict=True):
            if take:
                chosen.update(words)
        common = (chosen & self.truth).total()
        return 2 * common / (chosen.total() + self.truth.total()) if common else 0.0


def labelled(source: str, kind: str, url: str, html: str, truth: str) -> Page | None:
    """Cut a page and label its blocks. Return None if nothing is marked."""
    utf8 = html.encode("utf-8", "replace")
    blocks = [WORD.findall(text.lower()) for text in kernels.Page(utf8, url).texts()]
    marked = WORD.findall(truth.lower())
    if not marked:
        return None
    text = [word for words in blocks for word in words]
    in_order = np.zeros(len(text) + 1, np.int64)
    for step in LCSseq.opcodes(text, marked):
        if step.tag == "equal":
            in_order[step.src_start + 1 : step.src_end + 1] = 1
    sizes = np.array([len(words) for words in blocks], np.int64)
    ends = np.cumsum(sizes)
    before = np.cumsum(in_order)
    found = before[ends] - before[ends - sizes] if len(ends) else np.zeros(0, np.int64)
    return Page(source, kind, url, utf8, Counter(marked), list(map(Counter, blocks)), sizes, found)


def own_pages() -> Iterator[Page | None]:
    for record, _, text in marked_records():
        yield labelled("own", "own", record.url, page_of(Document.of(record)).html, text)


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    with open(file, "rb") as packed:
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(packed)
        yield from map(json.loads, io.TextIOWrapper(reader, encoding="utf-8"))


def pages_in_pieces(file: Path) -> Iterator[Page]:
    for row in rows_of(file):
        html, url = row["html"].encode("utf-8", "replace"), row["url"] or ""
        wanted, unwanted = row["with"] or [], row["without"] or []
        texts = kernels.Page(html, url).texts()
        blocks = [Counter(WORD.findall(text.lower())) for text in texts]
        words = np.array([block.total() for block in blocks], np.int64)
        yes = np.array([any(piece in text for piece in wanted) for text in texts], bool)
        no = np.array([any(piece in text for piece in unwanted) for text in texts], bool)
        yield Page("pieces", "pieces", url, html, Counter(), blocks, words, words * yes, (wanted, unwanted), yes | no)


def wcxb_pages(file: Path) -> Iterator[Page | None]:
    for row in rows_of(file):
        yield labelled("wcxb", row["page_type"], row["url"] or "", row["html"], row["main_content"] or "")


class WordTable:
    """How words of one kind speak for main text, by the votes of hosts."""

    def __init__(self, keys: np.ndarray, hosts: np.ndarray, mass: np.ndarray, main: np.ndarray) -> None:
        order = np.lexsort((hosts, keys))
        keys, hosts, mass, main = keys[order], hosts[order], mass[order], main[order]
        firsts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]) | (hosts[1:] != hosts[:-1])])
        mass, main = np.add.reduceat(mass, firsts), np.add.reduceat(main, firsts)
        keys, self.hosts = keys[firsts], hosts[firsts]
        self.votes = mass / (mass + HALF_MASS)
        self.main_votes = self.votes * main / np.maximum(mass, 1e-12)
        self.keys, self.places = np.unique(keys, return_inverse=True)
        self.by_host = np.argsort(self.hosts, kind="stable")

    def values(self, without: int = -1) -> tuple[np.ndarray, np.ndarray]:
        """Return words and their values. `without` leaves out the votes of one host."""
        counts = np.bincount(self.places)
        votes: np.ndarray = np.bincount(self.places, self.votes)
        main: np.ndarray = np.bincount(self.places, self.main_votes)
        first, last = np.searchsorted(self.hosts[self.by_host], [without, without + 1])
        own = self.by_host[first:last]
        counts[self.places[own]] -= 1
        votes[self.places[own]] -= self.votes[own]
        main[self.places[own]] -= self.main_votes[own]
        known = counts >= HOSTS
        yes = main[known] + PRIOR_HOSTS * PRIOR_SHARE
        no = votes[known] - main[known] + PRIOR_HOSTS * (1 - PRIOR_SHARE)
        odds = np.log(yes / no) - np.log(PRIOR_SHARE / (1 - PRIOR_SHARE))
        return self.keys[known].astype(np.uint32), np.clip(np.round(odds * VALUE_SCALE), -127, 127).astype(np.int8)


def word_tables(pages: Sequence[Page], hosts: np.ndarray) -> list[WordTable]:
    """Count words: of classes and ids, of short blocks, of headings, short texts as a whole, and words of links."""
    parts: list[list[tuple[np.ndarray, ...]]] = [[] for _ in range(5)]
    for page, host in zip(pages, hosts, strict=True):
        cut = kernels.Page(page.html, page.url)
        parents, nodes = cut.parents(), cut.block_nodes()
        mass, main = np.zeros(len(parents)), np.zeros(len(parents))
        np.add.at(mass, nodes, page.weights)
        np.add.at(main, nodes, page.weights * page.shares)
        for node in range(len(parents) - 1, 0, -1):
            mass[parents[node]] += mass[node]
            main[parents[node]] += main[node]
        for kind, (rows, keys) in enumerate(cut.words()):
            all_mass, all_main = (mass, main) if kind == 0 else (page.weights, page.weights * page.shares)
            parts[kind].append((keys.astype(np.int64), np.full(len(keys), host), all_mass[rows], all_main[rows]))
    return [WordTable(*map(np.concatenate, zip(*kind, strict=True))) for kind in parts]


def lexicon_of(tables: Sequence[WordTable], without: int = -1) -> kernels.Lexicon:
    lexicon = kernels.Lexicon()
    for kind, table in enumerate(tables):
        keys, values = table.values(without)
        lexicon.fill(kind, keys.tolist(), values.tolist())
    return lexicon


@dataclass
class Table:
    """The blocks of all pages as rows of a training."""

    features: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    page: np.ndarray
    drawn: np.ndarray
    columns: tuple[int, int]
    """The number of features of a block and of a page."""


def table_of(pages: Sequence[Page], hosts: np.ndarray, tables: Sequence[WordTable]) -> Table:
    """Measure all blocks. The lexicon that a page is measured with has no votes of its host."""
    rows: list[np.ndarray] = [np.zeros((0, 0), np.int32)] * len(pages)
    columns = (0, 0)
    for host in np.unique(hosts):
        lexicon = lexicon_of(tables, host)
        for index in np.flatnonzero(hosts == host).tolist():
            blocks, page = kernels.Page(pages[index].html, pages[index].url).features(lexicon)
            if len(blocks):
                columns = (blocks.shape[1], len(page))
                rows[index] = np.hstack([blocks, np.broadcast_to(page, (len(blocks), len(page)))])
    counts = np.array([len(page.words) for page in pages])
    of_page = np.repeat(np.arange(len(pages)), counts)
    chance = np.minimum(1, BLOCKS_A_PAGE / np.maximum(counts, 1))[of_page]
    weights = np.concatenate([page.weights for page in pages]) / chance
    fits = np.array([page.pieces is not None or page.f1((page.shares > 0.4).tolist()) >= LEAST_F1 for page in pages])
    drawn = (np.random.RandomState(0).rand(len(of_page)) < chance) & (weights > 0) & fits[of_page]
    features = np.concatenate([row for row in rows if len(row)]).astype(np.float32)
    return Table(features, np.concatenate([page.shares for page in pages]), weights, of_page, drawn, columns)


def fit(table: Table, chosen: np.ndarray) -> lightgbm.Booster:
    rows = table.drawn & chosen
    weights = table.weights[rows] / table.weights[rows].mean()
    data = lightgbm.Dataset(table.features[rows], table.shares[rows], weight=weights, params=SETTINGS)
    return lightgbm.train(SETTINGS, data, TREES)


def arrays_of(booster: lightgbm.Booster) -> dict[str, np.ndarray]:
    """Return the trees in integers. Features are integers, so a threshold may be rounded down."""
    nodes: list[list[int]] = []
    leaves: list[int] = []
    roots: list[int] = []

    def add(tree: dict) -> int:
        if "leaf_value" in tree:
            leaves.append(round(tree["leaf_value"] * LEAF_SCALE))
            return ~(len(leaves) - 1)
        place = len(nodes)
        nodes.append([int(np.floor(tree["threshold"])), tree["split_feature"], 0, 0])
        nodes[place][2:] = add(tree["left_child"]), add(tree["right_child"])
        return place

    for tree in booster.dump_model()["tree_info"]:
        roots.append(add(tree["tree_structure"]))
    size = 2 * 8 * LEAF_SCALE // STEP  # chances of sums from -8 to 8
    sums = (np.arange(size) - size // 2 + 0.5) * STEP / LEAF_SCALE
    chances = np.round(CHANCES / (1 + np.exp(-sums)))
    return {
        "nodes": np.array(nodes, np.int32), "leaves": np.array(leaves, np.int16), "roots": np.array(roots, np.int32),
        "chances": chances.astype(np.uint16), "step": np.array(STEP),
    }  # fmt: skip


def model_of(booster: lightgbm.Booster, tables: Sequence[WordTable], columns: tuple[int, int]) -> dict[str, np.ndarray]:
    model = arrays_of(booster) | {"features": np.array(columns)}
    for kind, table in enumerate(tables):
        model[f"words{kind}"], model[f"values{kind}"] = table.values()
    return model


def cross_validate(pages: Sequence[Page], table: Table) -> list[list[bool]]:
    """Return the choice for each page by a model that had no page of its host."""
    folds = np.array([int(hashlib.md5(page.host.encode()).hexdigest()[:8], 16) % FOLDS for page in pages])
    chances = np.zeros(len(table.page))
    for fold in range(FOLDS):
        held = folds[table.page] == fold
        chances[held] = fit(table, ~held).predict(table.features[held], num_threads=1)
    ends = np.cumsum([len(page.words) for page in pages])
    chosen = []
    for page, end in zip(pages, ends, strict=True):
        own = np.round(chances[end - len(page.words) : end] * CHANCES).astype(int)
        chosen.append(kernels.choose(own.tolist(), page.words.tolist()))
    return chosen


def lines_of(pages: Sequence[Page], chosen: Sequence[list[bool]]) -> Iterable[str]:
    groups: dict[str, list[float]] = defaultdict(list)
    found: Counter[tuple[bool, bool]] = Counter()
    for page, taken in zip(pages, chosen, strict=True):
        if page.pieces is not None:
            text = kernels.Page(page.html, page.url).render(taken)
            found.update((wanted, piece in text) for wanted in (True, False) for piece in page.pieces[not wanted])
            continue
        groups[page.source].append(page.f1(taken))
        if page.kind != page.source:
            groups[f"{page.source}, {page.kind}"].append(page.f1(taken))
    if found:
        recall = found[True, True] / (found[True, True] + found[True, False])
        unwanted = found[False, True] / (found[False, True] + found[False, False])
        f1 = 2 * found[True, True] / (2 * found[True, True] + found[True, False] + found[False, True])
        yield f"pieces of text: found {recall:.3f}, unwanted {unwanted:.3f}   F1 {f1:.4f}"
    for name, values in sorted(groups.items()):
        error = np.std(values) / len(values) ** 0.5
        yield f"{name:<24} {len(values):>6} pages   F1 {np.mean(values):.4f} ± {error:.4f}"


def cost_lines(pages: Sequence[Page], extractor: kernels.BlockExtractor) -> Iterator[str]:
    """The CPU time of a page beside resiliparse's, and the time of a byte in pages of several sizes."""

    def milliseconds(extract: Callable[[], object], rounds: int = 3) -> float:
        took = []
        for _ in range(rounds):
            started = time.process_time()
            extract()
            took.append(time.process_time() - started)
        return min(took) * 1000

    for name in ("own", "wcxb"):
        some = [page for page in pages if page.source == name][::3]
        texts = [page.html.decode() for page in some]
        ours = milliseconds(lambda: [extractor.extract(page.html, page.url) for page in some])  # noqa: B023
        other = milliseconds(lambda: [resiliparse_text(HTMLTree.parse(text)) for text in texts])  # noqa: B023
        each = f"{ours / len(some):.3f} and {other / len(some):.3f} ms a page"
        yield f"{name:<5} blocks and resiliparse's main content: {each}, ratio {ours / other:.3f}"
    small = [page for page in pages if page.source == "own" and len(page.html) < 100_000]
    one = max(small, key=lambda page: len(page.blocks))
    for size in (10_000, 100_000, 1_000_000, 20_000_000):
        html = one.html * -(-size // len(one.html))
        took = milliseconds(lambda: extractor.extract(html[:size], one.url), 5)  # noqa: B023
        yield f"a page of {size:>10,} bytes: {took / size * 1e6:.1f} ns a byte"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=Path, action="append", help="more pages, in the form of WCXB")
    parser.add_argument("--save", action="store_true", help="write the model and the figures")
    args = parser.parse_args()
    files = args.pages or [shared_data() / "wcxb" / "dev.jsonl.zst"]
    found = [*own_pages(), *(page for file in files for page in wcxb_pages(file))]
    found += pages_in_pieces(shared_data() / "snippets" / "pages.jsonl.zst")
    pages = [page for page in found if page is not None]
    hosts = np.unique([page.host for page in pages], return_inverse=True)[1]
    tables = word_tables(pages, hosts)
    table = table_of(pages, hosts, tables)
    lines = [machine_line(), f"{TREES} trees, cross-validated by host", *lines_of(pages, cross_validate(pages, table))]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / MODEL.name
        with open(made, "wb") as file:
            model = model_of(fit(table, np.ones(len(table.page), bool)), tables, table.columns)
            np.savez(file, allow_pickle=False, **model)
        lines += cost_lines(pages, load_model(made))
        lines.append(f"model: {made.stat().st_size:,} bytes, sha256 {hashlib.sha256(made.read_bytes()).hexdigest()}")
        if args.save:
            shutil.copyfile(made, MODEL)
    print("\n".join(lines))
    if args.save:
        FIGURES.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
