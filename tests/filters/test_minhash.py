"""MinHash in a run: kept documents, removed documents and their evidence."""

from dataclasses import replace

import pytest

import jobs.build.compare
from corpus.document import Document
from corpus.errors import ConfigError
from corpus.recipes import Recipe
from corpus.run import open_run
from corpus.stage import Limit, Stage
from filters.minhash import MinHash
from jobs.build.build import build
from jobs.runner.progress import Progress
from tests.commands import run_command
from tests.dedups import of_texts
from tests.engines import InProcess
from tests.jobs.build.test_build import job, tree
from tests.warcs import page, write_warc


def text(seed, words=400):
    """Return words that no other seed has. They are letters, because MinHash takes all numbers as equal by default."""
    return " ".join(letters(seed * 1000 + number) for number in range(words))


def letters(number):
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:06d}")


def edited(original, share):
    """Return `original` with about this share of its shingles changed. A changed word changes five shingles."""
    words = original.split()
    step = max(5, round(5 / share))
    for number in range(0, len(words), step):
        words[number] = "edit" + letters(number)
    return " ".join(words)


def compared(tmp_path, pages, **minhash):
    """Return the verdict row of each page, None for one without duplicates. No page goes through a build."""
    return dict(zip(pages, of_texts(tmp_path, list(pages.values()), **minhash), strict=True))


def left(verdicts):
    return {name for name, row in verdicts.items() if not (row and row["removed"])}


def run(tmp_path, pages, **minhash):
    """Run a whole build, with one archive for each page."""
    stages = {"stages": [{"stage": "paragraphs"}, {"stage": "minhash", **minhash}]}
    for number, name in enumerate(pages):
        write_warc(tmp_path / f"{number}.warc.gz", {f"http://{name}.example/": pages[name].encode()})
    made = job(sorted(tmp_path.glob("*.warc.gz")), tmp_path / "out", stages)
    assert build(made, lambda: InProcess(), Progress(quiet=True)).exit_code == 0
    found = open_run(tmp_path / "out")
    found.verify()
    rows = found.ledger().to_pylist()
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
    corpus = {row["id"]: row["duplicates"] for row in found.corpus().to_pylist()}
    assert corpus == {rows[keeper]["id"]: 2, rows["d"]["id"]: 0}
    assert found.info["records"]["dropped"] == {"minhash": {"similarity": 2}}


def test_no_chain_of_unlike_documents_is_removed(tmp_path):
    """A ~ B ~ C, but A and C share too little: B is removed, A and C stay."""
    words = text(3, 500).split()
    pages = {"a": " ".join(words[:400]) + " " + text(4, 5), "b": " ".join(words[50:450]), "c": " ".join(words[100:500])}
    assert left(compared(tmp_path, pages)) == {"a", "c"}


def test_the_classic_way_removes_the_chain(tmp_path):
    words = text(3, 500).split()
    pages = {"a": " ".join(words[:400]) + " " + text(4, 5), "b": " ".join(words[50:450]), "c": " ".join(words[100:500])}
    assert len(left(compared(tmp_path, pages, clusters="classic"))) == 1


def test_a_document_dropped_later_is_no_keeper(tmp_path):
    """The longest copy fails a later stage, so the cluster keeps the other copy."""
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
    build(job([tmp_path / "a.warc.gz"], tmp_path / "out", stages), lambda: InProcess(), Progress(quiet=True))
    rows = {row["url"]: row for row in open_run(tmp_path / "out").ledger().to_pylist()}
    assert rows["http://long.example/"]["stage"] == "later"
    assert rows["http://short.example/"]["outcome"] == "kept"


def test_keeper_rules():
    longest = MinHash()
    assert longest.sign(Document(text=text(1))).preference < longest.sign(Document(text=text(1, 50))).preference
    earliest = MinHash(prefer="earliest")
    dates = ["2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z", "2026-01-01T00:00:00+02:00", "no date"]
    values = [earliest.sign(Document(text="x", date=date)).preference for date in dates]
    assert values == sorted(values)
    assert len(set(values)) == 4
    newest = [MinHash(prefer="newest").sign(Document(text="x", date=date)).preference for date in dates]
    assert newest[2] < newest[1] < newest[0] < newest[3]
    first = MinHash(prefer="first")
    assert first.sign(Document(text=text(1))).preference == first.sign(Document(text="x", date=dates[0])).preference


class Given(Stage):
    """A number that the text ends with, or nothing."""

    name = "given"
    number = Limit(of=int)
    word = Limit(of=str)

    def apply(self, doc):
        end = doc.text.split()[-1]
        yield "number", int(end) if end.isdecimal() else None
        yield "word", end


@pytest.mark.parametrize("later", [False, True])
def test_a_measure_prefers_the_highest_and_then_the_first(later):
    """The stage of the measure may come after the comparison. A document without a value comes last."""
    stages = [Given(), MinHash(prefer="given.number", numbers=False)]
    made = Recipe.of(stages[::-1] if later else stages)
    base = text(1)
    for ends, keeper in ((("3", "17", "5"), 1), (("none", "0", "other"), 1), (("4", "x", "4"), 0), (("a", "b"), 0)):
        found = list(made.run([{"id": str(at), "text": f"{base} {end}"} for at, end in enumerate(ends)]))
        assert [one.kept for one in found] == [at == keeper for at in range(len(ends))], ends
        assert {one.detail for one in found if not one.kept} == {str(keeper)}


@pytest.mark.parametrize("prefer", ["given.nubmer", "given.word", "minhash.cluster_size", "other.number"])
def test_a_measure_that_can_prefer_nothing_is_refused(prefer):
    with pytest.raises(ConfigError, match=f"minhash.prefer = '{prefer}' names no measure") as error:
        Recipe.of([Given(), MinHash(prefer=prefer)])
    assert "given.number" in error.value.todo


@pytest.mark.parametrize("option", ["scheme", "prefer", "clusters", "verify"])
def test_unknown_options(option):
    with pytest.raises(ConfigError, match=option):
        MinHash(**{option: "nonsense"})


def test_short_texts_are_compared_by_hash_alone(tmp_path):
    verdicts = compared(tmp_path, {"a": "one two three", "b": "one two three", "c": "one two four"})
    assert left(verdicts) == {"a", "c"}


def test_a_limit_switched_off_removes_nothing(tmp_path):
    _, rows = run(tmp_path, {"a": text(1), "b": text(1)}, similarity={"below": "off"})
    assert kept(rows) == {"a", "b"}


@pytest.mark.parametrize("scheme", ["affine32", pytest.param("datatrove", marks=pytest.mark.slow)])
def test_the_same_documents_whatever_the_units(tmp_path, scheme):
    base = text(6)
    pages = {f"p{n}": edited(base, 0.05 + n / 50) if n % 2 else text(n) for n in range(30)}
    write_warc(tmp_path / "a.warc.gz", {f"http://{name}.example/": body.encode() for name, body in pages.items()})
    stages = {"stages": [{"stage": "paragraphs"}, {"stage": "minhash", "scheme": scheme}]}
    for out, unit_bytes in (("x", None), ("y", 3_000)):
        made = job([tmp_path / "a.warc.gz"], tmp_path / out, stages, unit_bytes=unit_bytes)
        build(made, lambda: InProcess(), Progress(quiet=True))
    assert tree(tmp_path / "x") == tree(tmp_path / "y")
    assert open_run(tmp_path / "x").info["records"]["dropped"]["minhash"]["similarity"] > 2


def test_an_alarm_stops_before_anything_is_packed(tmp_path, monkeypatch):
    """An archive of copies raises the alarm beside an archive of different pages. A higher rate lets it pass."""
    monkeypatch.setattr(jobs.build.compare, "ALARM_DOCUMENTS", 10)
    write_warc(tmp_path / "copies.warc.gz", {f"http://{n}.copies.example/": text(1).encode() for n in range(20)})
    write_warc(tmp_path / "pages.warc.gz", {f"http://{n}.pages.example/": text(2 + n).encode() for n in range(30)})
    stages = {"stages": [{"stage": "paragraphs"}, {"stage": "minhash"}]}
    made = job([tmp_path], tmp_path / "out", stages)
    stopped = build(made, lambda: InProcess(), Progress(quiet=True))
    assert (stopped.exit_code, stopped.info) == (4, None)
    assert "19 of the 20 documents of copies.warc.gz, more than the 90%" in stopped.alarm
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".work"}
    again = build(replace(made, alarm_rate=0.95), lambda: InProcess(), Progress(quiet=True))
    assert again.exit_code == 0
    facts = again.info["dedup"]
    assert facts["archives"] == [
        {"warc": "copies.warc.gz", "compared": 20, "removed": 19, "rate": 0.95},
        {"warc": "pages.warc.gz", "compared": 30, "removed": 0, "rate": 0.0},
    ]
    assert facts["domains"] == {
        "number": 2,
        "most_removed": [{"domain": "copies.example", "compared": 20, "removed": 19, "rate": 0.95}],
    }
    kept = [row for row in open_run(tmp_path / "out").corpus().to_pylist() if row["duplicates"]]
    assert facts["largest"] == [{"id": kept[0]["id"], "documents": 20}]
    assert facts["removed"] == {"exact": 19, "all": 19}


def test_the_alarm_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(jobs.build.compare, "ALARM_DOCUMENTS", 4)
    write_warc(tmp_path / "w.warc.gz", {f"http://{n}.example/": page("Page", text(1)) for n in range(5)})
    command = ["build", tmp_path / "w.warc.gz", "-o", tmp_path / "out", "--alarm-rate"]
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[[stages]]\nstage = "extract"\n[[stages]]\nstage = "minhash"\n')
    for rate, code in (("0.5", 4), ("1", 0)):
        assert run_command(*command, rate, "--recipe", recipe) == code
        said = capsys.readouterr().err
        assert ("Stopped: Dedup would remove 4 of the 5 documents of the run" in said) == (code == 4)


def prices(seed):
    """A page on which every fourth word is a price."""
    return " ".join(f"{word} {word} each {at * seed % 997}.50" for at, word in enumerate(text(1, 120).split()))


@pytest.mark.parametrize("scheme", ["affine32", "datatrove"])
@pytest.mark.parametrize("numbers", [True, False])
def test_price_lists_are_duplicates_unless_numbers_count(tmp_path, scheme, numbers):
    dated = f"{text(2)} On 3 May 2019 {text(3)}"
    pages = {"old": prices(7), "new": prices(11), "may": dated, "june": dated.replace("3 May 2019", "28 June 2021")}
    found = left(compared(tmp_path, pages, scheme=scheme, numbers=numbers))
    assert len(found & {"old", "new"}) == (2 if numbers else 1)
    assert len(found & {"may", "june"}) == 1


@pytest.mark.parametrize("verify", ["signature", "jaccard", "containment"])
def test_what_similarity_is(tmp_path, verify):
    """The second page is the first half of the first page, so the first page has all shingles of the second. They share
    a band."""
    words = text(3, 1000).split()
    pages = {"whole": " ".join(words), "part": " ".join(words[:800]), "other": text(9, 1000)}
    rows = compared(tmp_path, pages, verify=verify, clusters="classic")
    assert left(rows) == {"whole", "other"}
    exact = {"jaccard": 796 / 996, "containment": 1.0}.get(verify)
    assert rows["part"]["similarity"] == (round(exact, 6) if exact else pytest.approx(0.8, abs=0.13))
    assert rows["part"]["exact"] == 0


class Said(Stage):
    """Takes the language from the id."""

    name = "said"
    sets = ("language",)
    label = Limit(one_of=("hr", "bs"), of=str)

    def apply(self, doc):
        doc.language = doc.id[:2]
        yield "label", doc.language


@pytest.mark.parametrize("scheme", ["affine32", "datatrove"])
@pytest.mark.parametrize(("language", "left"), [("en", ["hr1"]), ("page", ["hr1", "bs1"])])
def test_documents_of_different_languages_are_not_compared(scheme, language, left):
    same, near = text(1), edited(text(1), 0.05)
    docs = [Document(id=id, text=one) for id, one in (("hr1", same), ("bs1", same), ("hr2", same), ("bs2", near))]
    made = Recipe.of([Said(), MinHash(scheme=scheme, language=language, prefer="first")])
    assert [one.doc.id for one in made.run(docs) if one.kept] == left


def test_the_language_of_the_page_is_read():
    with pytest.raises(ConfigError, match="minhash reads the language"):
        Recipe.of([MinHash(language="page")]).check_input({"text"})
