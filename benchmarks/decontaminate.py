"""How many benchmark items the stage `decontaminate` finds in pages, what it takes for one, its time and its memory:
`python -m benchmarks.decontaminate [--items N] [--save]`.

Each item of the real benchmarks is put into a real page: its question and, in the next line, one of its answers, as
they are or changed. The page counts as right if the stage drops it and names the item. Then the stage reads real pages
into which nothing was put. Each page that it drops is printed, to be read by a person. Time and memory are those of the
real index, and of one of 100,000 items, most of which are made of stretches of real pages.
"""

import argparse
import json
import random
import re
import string
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

from benchmarks.machine import machine_line, shared_data
from corpus.document import Document
from corpus.outcome import KEPT, Outcome
from corpus.stage import BoundStage
from corpus.warc.reader import read_warc
from filters import load_recipe
from filters.decontaminate import Decontaminate
from filters.decontaminate.build import LONG, Item, build_index
from filters.decontaminate.index import EvalIndex
from filters.decontaminate.normalise import words_of
from jobs.build.eval_items import read_items
from jobs.build.inputs import find_inputs
from jobs.show.evals import parsed

FIGURES = Path(__file__).parent / "figures" / "decontaminate.txt"
MANY = 100_000
SOME_5_KB = range(4_000, 6_000)
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clean_pages() -> list[str]:
    """The texts of real pages: those of the archives as the recipe `default` extracts them, in all languages, and the
    main texts of WCXB."""
    stages = [bound for bound in load_recipe("default").stages if bound.name == "extract"]
    pipeline = load_recipe("default").pipeline()
    pipeline.stages = stages
    found = []
    for path in sorted((shared_data() / "warc").glob("*.warc.gz")):
        found += [outcome.doc.text for outcome in pipeline.run(read_warc(path)) if outcome.kept]
    with (shared_data() / "wcxb" / "dev.jsonl.zst").open("rb") as file:
        reader = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file)
        found += [json.loads(line)["main_content"] or "" for line in reader.read().splitlines()]
    return [text for text in found if text.strip()]


def real_items() -> list[Item]:
    return list(read_items(find_inputs([str(shared_data() / "evals" / "*.gz")]), {}, []))


def named_items(items: list[Item], index: EvalIndex) -> list[tuple[str, Item]]:
    """The items that the index looks for, with their names."""
    ordered = sorted(items, key=lambda item: item.benchmark)
    there = set(index.arrays["links"][::2].tolist())
    return [("{}:{}".format(*index.name_of(at)), item) for at, item in enumerate(ordered) if at in there]


def other_form(text: str, rng: random.Random) -> str:
    """The text in capitals, with other punctuation."""
    return re.sub("[,;:.!?]", lambda _: rng.choice(",;:.!?"), text).upper().replace("'", "’").replace('"', "”")


def changer(share: float, kinds: tuple[str, ...], vocabulary: list[str]) -> Callable[[str, random.Random], str]:
    """A function that changes a share of the words of a text."""

    def change(text: str, rng: random.Random) -> str:
        words: list[str] = []
        for word in text.split(" "):
            kind = rng.choice(kinds) if rng.random() < share else "same"
            words += [word] if kind in ("same", "added") else []
            words += [rng.choice(vocabulary)] if kind in ("added", "replaced") else []
        return " ".join(words)

    return change


def forms(vocabulary: list[str]) -> dict[str, Callable[[str, random.Random], str]]:
    mixed = ("replaced", "added", "left out")
    return {
        "as it is": lambda text, rng: text,
        "capitals, other punctuation": other_form,
        "lower case, no punctuation": lambda text, rng: text.lower().translate(NO_PUNCTUATION),
        "lines of 8 words": lambda text, rng: re.sub(r"((?:\S+\s+){7}\S+)\s+", r"\1\n", text),
        "2% of words replaced": changer(0.02, ("replaced",), vocabulary),
        "5% of words replaced": changer(0.05, ("replaced",), vocabulary),
        "2% replaced, added, left out": changer(0.02, mixed, vocabulary),
        "5% replaced, added, left out": changer(0.05, mixed, vocabulary),
    }


def judge(bound: BoundStage, text: str) -> Outcome:
    outcome = Outcome(KEPT, Document(text=text))
    bound.judge(outcome)
    return outcome


def names_in(outcome: Outcome) -> set[str]:
    ranges, _ = parsed(str(outcome.measures["decontaminate.found"] or ""))
    return {f"{name}:{at}" for name, of in ranges.items() for first, last in of for at in range(first, last + 1)}


def recall(bound: BoundStage, items: list[tuple[str, Item]], pages: list[str]) -> Iterator[str]:
    """The share of items that are found, for each form."""
    vocabulary = [word for page in pages[:200] for word in page.split()]
    yield f"  {'form':32}{'all':>8}{'long':>8}{'short':>8}   ({LONG} words and more, or fewer)"
    for name, change in forms(vocabulary).items():
        rng = random.Random(name)
        right, of = Counter[bool](), Counter[bool]()
        for own, item in items:
            lines = rng.choice(pages).split("\n")
            put = f"{item.question}\n{rng.choice(item.answers or ('',))}"
            lines.insert(rng.randrange(len(lines) + 1), change(put, rng))
            outcome = judge(bound, "\n".join(lines))
            is_long = len(words_of(item.question)) >= LONG
            of[is_long] += 1
            right[is_long] += not outcome.kept and own in names_in(outcome)
        every = right.total() / of.total()
        yield f"  {name:32}{every:8.4f}{right[True] / of[True]:8.4f}{right[False] / of[False]:8.4f}"


def alarms(bound: BoundStage, pages: list[str]) -> Iterator[str]:
    """The pages that are dropped though nothing was put into them, and the number of those that come near."""
    outcomes = [judge(bound, text) for text in pages]
    dropped = [(outcome, text) for outcome, text in zip(outcomes, pages, strict=True) if not outcome.kept]
    near = sum(outcome.kept and bool(outcome.measures["decontaminate.overlap"]) for outcome in outcomes)
    yield f"  {len(dropped)} of {len(pages)} clean pages dropped, {near} more with an overlap of 0.5 to 0.75"
    for outcome, text in dropped:
        start, end = map(int, re.findall(r"characters (\d+) to (\d+)", outcome.detail)[0])
        yield f"    {outcome.value:.3f} {outcome.detail}: {' '.join(text[start:end].split())[:160]}"


def milliseconds(stage: Decontaminate, pages: list[str]) -> float:
    """The CPU time of a page, the best of five. Its stretches are known, as other stages need them too."""
    documents = [Document(text=text) for text in pages]
    for doc in documents:
        doc.stretches()
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for doc in documents:
            for _ in stage.apply(doc):
                pass
        best = min(best, time.process_time() - started)
    return 1e3 * best / len(documents)


def resident(kind: str) -> int:
    """The memory of this process in bytes: "RssFile" or "RssAnon"."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(rf"{kind}:\s+(\d+)", status)[0])


def cost(name: str, folder: Path, pages: list[str], size: int) -> str:
    """The time and memory of an index."""
    stage = Decontaminate(index=str(folder))
    files, own = resident("RssFile"), resident("RssAnon")
    stage.prepare()
    each = milliseconds(stage, pages)
    files, own = resident("RssFile") - files, resident("RssAnon") - own
    index = EvalIndex.open(folder)
    return (
        f"  {name:16}{size:>9,}{index.bytes / 1e6:9.1f} MB{files / 1e6:12.1f} MB shared{own / 1e6:8.1f} MB own"
        f"{each:9.3f} ms a page"
    )


def pieces(pages: list[str], count: int) -> list[Item]:
    """Made items: stretches of pages, of 8 to 80 words."""
    rng = random.Random(1)
    words = [page.split() for page in pages]
    found: list[Item] = []
    while len(found) < count:
        page = rng.choice(words)
        at, size = rng.randrange(len(page)), rng.randint(8, 80)
        found.append(Item("made", " ".join(page[at : at + size]), (" ".join(page[at + size : at + size + 4]),)))
    return found


def lines_of(count: int) -> Iterator[str]:
    """The figures, one line after another."""
    yield machine_line()
    pages, items = clean_pages(), real_items()
    some = [page for page in pages if len(page) in SOME_5_KB]
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("real", "many")]
        started = time.process_time()
        index = build_index(items, folders[0])
        yield f"index of {len(items):,} items, made in {time.process_time() - started:.1f} s:"
        yield from (
            f"  {one.name}: {one.items:,} items, {one.left_out} can't be looked for" for one in index.benchmarks
        )
        bound = BoundStage.of(Decontaminate(index=str(folders[0])))
        bound.stage.prepare()
        yield "clean pages:"
        yield from alarms(bound, pages)
        there = named_items(items, index)
        count = min(count, len(there))
        yield f"share of {count:,} items that are found in pages:"
        yield from recall(bound, random.Random(1).sample(there, count), some)
        yield f"cost on {len(some)} pages of 4,000 to 6,000 characters:"
        yield cost("real items", folders[0], some, len(items))
        # the pages that are timed give no items
        build_index([*items, *pieces([page for page in pages if page not in set(some)], MANY - len(items))], folders[1])
        yield cost("and made ones", folders[1], some, MANY)
        off = Decontaminate()
        off.prepare()
        yield f"  without an index{1e3 * milliseconds(off, some):60.2f} µs a page"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=3_000, help="items that are put into pages, drawn at random")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    lines = []
    for line in lines_of(options.items):
        print(line, flush=True)
        lines.append(line)
    if options.save:
        FIGURES.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
