"""MinHash in a run: who is kept, what is removed with which evidence, and what is not."""

import pytest

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.run import open_run
from filters.minhash import MinHash
from jobs.build import build
from jobs.engine import LocalEngine
from jobs.progress import Progress
from tests.jobs.test_build import job, tree
from tests.warcs import write_warc


def text(seed, words=400):
    """Words that no other seed has; in letters, because digits are all one to MinHash."""
    return " ".join(letters(seed * 1000 + number) for number in range(words))


def letters(number):
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:06d}")


def edited(original, share):
    """`original` with about that share of its shingles changed: every change of a word spoils five of them."""
    words = original.split()
    step = max(5, round(5 / share))
    for number in range(0, len(words), step):
        words[number] = "edit" + letters(number)
    return " ".join(words)


def run(tmp_path, pages, *, order=None, **minhash):
    stages = {"stages": [{"stage": "paragraphs"}, {"stage": "minhash", **minhash}]}
    names = order or list(pages)
    for number, name in enumerate(names):
        write_warc(tmp_path / f"{number}.warc.gz", {f"http://{name}.example/": pages[name].encode()})
    made = job(sorted(tmp_path.glob("*.warc.gz")), tmp_path / "out", stages)
    assert build(made, lambda: LocalEngine(1), Progress(quiet=True)).exit_code == 0
    found = open_run(tmp_path / "out")
    found.verify()
    rows = found.ledger.to_table().to_pylist()
    return found, {row["url"].removeprefix("http://").removesuffix(".example/"): row for row in rows}


def kept(rows):
    return {name for name, row in rows.items() if row["outcome"] == "kept"}


def test_exact_and_near_duplicates_go_with_evidence(tmp_path):
    base = text(1)
    found, rows = run(tmp_path, {"a": base, "b": base, "c": edited(base, 0.1), "d": text(2)})
    assert kept(rows) == {"a", "d"} or kept(rows) == {"c", "d"}
    keeper = next(iter(kept(rows) - {"d"}))
    for name in {"a", "b", "c"} - {keeper}:
        row = rows[name]
        assert (row["stage"], row["rule"], row["detail"]) == ("minhash", "similarity", rows[keeper]["id"])
        assert row["value"] == row["minhash.similarity"] >= 0.7 == row["limit"]
        assert row["minhash.cluster_size"] == 3
    corpus = {row["id"]: row["duplicates"] for row in found.corpus.to_table().to_pylist()}
    assert corpus == {rows[keeper]["id"]: 2, rows["d"]["id"]: 0}
    assert found.info["records"]["dropped"] == {"minhash": {"similarity": 2}}


def test_no_chain_of_unlike_documents_is_removed(tmp_path):
    """A~B and B~C, but A and C share too little: B goes, A and C stay."""
    words = text(3, 500).split()
    pages = {"a": " ".join(words[:400]) + " " + text(4, 5), "b": " ".join(words[50:450]), "c": " ".join(words[100:500])}
    _, rows = run(tmp_path, pages)
    assert kept(rows) >= {"a"}
    assert rows["c"]["outcome"] == "kept"
    assert rows["b"]["rule"] == "similarity"


def test_the_classic_way_removes_the_chain(tmp_path):
    words = text(3, 500).split()
    pages = {"a": " ".join(words[:400]) + " " + text(4, 5), "b": " ".join(words[50:450]), "c": " ".join(words[100:500])}
    _, rows = run(tmp_path, pages, clusters="classic")
    assert len(kept(rows)) == 1


def test_a_document_dropped_later_is_no_keeper(tmp_path):
    """The longest copy fails a later stage: the cluster keeps the other one."""
    base = text(5)
    stages = {
        "stages": [
            {"stage": "paragraphs"},
            {"stage": "minhash"},
            {"stage": "paragraphs", "name": "later", "chars": {"max": len(base)}},
        ]
    }
    write_warc(
        tmp_path / "a.warc.gz",
        {"http://long.example/": (base + " more").encode(), "http://short.example/": base.encode()},
    )
    build(job([tmp_path / "a.warc.gz"], tmp_path / "out", stages), lambda: LocalEngine(1), Progress(quiet=True))
    rows = {row["url"]: row for row in open_run(tmp_path / "out").ledger.to_table().to_pylist()}
    assert rows["http://long.example/"]["stage"] == "later"
    assert rows["http://short.example/"]["outcome"] == "kept"


def test_keeper_rules():
    longest, best = MinHash(), MinHash(keep="best")
    assert longest.sign(Document(text=text(1))).preference < longest.sign(Document(text=text(1, 50))).preference
    sure, unsure = Document(text="x"), Document(text="x")
    sure.language_score, unsure.language_score = 0.99, 0.7
    assert best.sign(sure).preference < best.sign(unsure).preference
    earliest = MinHash(keep="earliest")
    dates = ["2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z", "2026-01-01T00:00:00+02:00", "no date"]
    values = [earliest.sign(Document(text="x", date=date)).preference for date in dates]
    assert values == sorted(values)
    assert len(set(values)) == 4


@pytest.mark.parametrize("option", ["scheme", "keep", "clusters"])
def test_unknown_options(option):
    with pytest.raises(ConfigError, match=option):
        MinHash(**{option: "nonsense"})


def test_short_texts_are_compared_by_hash_alone(tmp_path):
    _, rows = run(tmp_path, {"a": "one two three", "b": "one two three", "c": "one two four"})
    assert len(kept(rows)) == 2
    assert rows["c"]["outcome"] == "kept"


def test_a_limit_switched_off_removes_nothing(tmp_path):
    _, rows = run(tmp_path, {"a": text(1), "b": text(1)}, similarity={"below": "off"})
    assert kept(rows) == {"a", "b"}


@pytest.mark.parametrize("scheme", ["affine32", "datatrove"])
def test_the_same_documents_whatever_the_units(tmp_path, scheme):
    base = text(6)
    pages = {f"p{n}": edited(base, 0.05 + n / 50) if n % 2 else text(n) for n in range(30)}
    write_warc(tmp_path / "a.warc.gz", {f"http://{name}.example/": body.encode() for name, body in pages.items()})
    stages = {"stages": [{"stage": "paragraphs"}, {"stage": "minhash", "scheme": scheme}]}
    for out, unit_bytes in (("x", None), ("y", 3_000)):
        made = job([tmp_path / "a.warc.gz"], tmp_path / out, stages, unit_bytes=unit_bytes)
        build(made, lambda: LocalEngine(2), Progress(quiet=True))
    assert tree(tmp_path / "x") == tree(tmp_path / "y")
    assert open_run(tmp_path / "x").info["records"]["dropped"]["minhash"]["similarity"] > 2
