"""Incremental dedup: new documents against the index of earlier runs."""

import json
import shutil

import numpy as np
import pytest

import corpus.dedup.index_writer
import corpus.dedup.lookup
from corpus.dedup.clusters import candidate_edges, leaders, signature_similarity, verify
from corpus.dedup.signatures import ROWS, band_keys
from corpus.errors import ConfigError, InputError, IntegrityError, OutputError
from corpus.run import open_run
from corpus.storage.store import LocalStore
from jobs.build.build import build
from jobs.runner.progress import Progress
from tests.dedups import Found, distinct_texts, phases, place, random_signatures, write_units
from tests.documents import write_documents
from tests.engines import InProcess
from tests.filters.test_minhash import edited, text
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.jobs.build.test_compare_documents import TIGHT, WHOLE, made, of_units
from tests.reference.clusters import THRESHOLD, components
from tests.warcs import write_warc


def plain_against(runs, texts, signatures, signed, rank):
    """Apply the rules on one machine. Return, for each new document, the (run, number) of the kept one and the
    similarity. A run is what `run_of` gives. The new run has the number None."""
    kept = [
        (run, doc)
        for run, one in enumerate(runs)
        for doc in np.flatnonzero(one["found"].kept_doc == np.arange(len(one["texts"])))
    ]
    old, count = len(kept), len(texts)
    place_of = {key: place for place, key in enumerate(kept)}
    known = {}
    for run, one in enumerate(runs):
        for doc, value in enumerate(map(tuple, one["texts"].tolist())):
            keeper = one["found"].kept_doc[doc]
            if keeper < len(one["texts"]):
                known.setdefault(
                    value,
                    (place_of[run, keeper], one["found"].similarity[doc], one["found"].exact[doc] or keeper == doc),
                )
    twins = leaders(texts, rank) + old
    leader = np.concatenate((np.arange(old), twins))
    similarity = np.ones(old + count)
    exact = leader != np.arange(old + count)
    for doc, value in enumerate(map(tuple, texts.tolist())):
        if value in known:
            leader[old + doc], similarity[old + doc], exact[old + doc] = known[value]
    all_signatures = np.concatenate([*(runs[run]["signatures"][doc : doc + 1] for run, doc in kept), signatures])
    all_signed = np.concatenate([np.array([runs[run]["signed"][doc] for run, doc in kept], np.bool_), signed])
    edges = [(leader, np.arange(old + count))]
    docs = np.flatnonzero(all_signed)
    for keys in band_keys(all_signatures[docs]).T:
        asked = np.isin(keys, keys[docs >= old])
        edges.append(candidate_edges(keys[asked], docs[asked]))
    component = components(old + count, edges)
    lead = np.flatnonzero(leader == np.arange(old + count))
    order = np.concatenate((np.full(old, -np.inf), rank.astype(float)))[lead]
    measure = signature_similarity(all_signatures)
    verdicts = verify(
        np.unique(component[lead], return_inverse=True)[1],
        order,
        lambda docs, keepers: measure(lead[docs], lead[keepers]),
        THRESHOLD,
        stays=lead < old,
    )
    mine = np.searchsorted(lead, leader)
    keeper = lead[verdicts.kept_doc[mine]]
    follows = (leader != np.arange(old + count)) & (keeper == leader)
    values = np.where(follows, similarity, verdicts.similarity[mine])
    sizes = np.bincount(keeper, minlength=old + count)
    names = [place(doc, "ab"[run]) for run, doc in kept] + [place(doc, "new") for doc in range(count)]
    return {
        "kept_id": [names[doc] for doc in keeper[old:]],
        "similarity": np.round(values[old:], 6).tolist(),
        "exact": (follows & exact)[old:].tolist(),
        "cluster_size": sizes[keeper][old:].tolist(),
    }


def mixed(seed):
    """Three collections with much in common. Similar documents are spread over them."""
    texts, signatures, signed, rank = made(3_000, seed)
    order = np.random.default_rng(seed + 100).permutation(3_000)
    return [
        tuple(values[order[start : start + 1_000]] for values in (texts, signatures, signed, rank))
        for start in (0, 1_000, 2_000)
    ]


def run_of(folder, archive, documents, **options):
    texts, signatures, signed, rank = documents
    store, sizes = LocalStore(folder), of_units(len(texts), 300)
    units = write_units(store, sizes, texts, signatures, signed, rank, archive=archive)
    compared = phases(store, units, index=True, **options)
    found = Found(store, sizes, compared, len(texts), archive)
    return {"texts": texts, "signatures": signatures, "signed": signed, "found": found}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize(("memory", "small"), [(WHOLE, False), (TIGHT, False), (WHOLE, True), (TIGHT, True)])
def test_new_documents_against_two_earlier_runs(tmp_path, monkeypatch, seed, memory, small):
    if small:  # parts and boxes of few documents
        monkeypatch.setattr(corpus.dedup.index_writer, "ROWS_PER_PART", 300)
        monkeypatch.setattr(corpus.dedup.index_writer, "ROWS_PER_BOX", 16)
        monkeypatch.setattr(corpus.dedup.lookup, "ROWS_PER_BOX", 16)
    a, b, new = mixed(seed)
    runs = [run_of(tmp_path / "a", "a", a), run_of(tmp_path / "b", "b", b)]
    expected = plain_against(runs, *new)
    found = run_of(tmp_path / "new", "new", new, memory=memory, against=[tmp_path / "a", tmp_path / "b"])["found"]
    assert found.kept_id == expected["kept_id"]
    assert found.similarity.tolist() == expected["similarity"]
    assert found.exact.tolist() == expected["exact"]
    assert found.cluster_size.tolist() == expected["cluster_size"]
    from_earlier = [kept for kept in found.kept_id if not kept.startswith("new")]
    assert len(from_earlier) > 50


def test_the_index_does_not_depend_on_how_the_run_was_divided(tmp_path):
    documents = mixed(3)[0]
    store = LocalStore(tmp_path / "x")
    units = write_units(store, [1_000], *documents)
    phases(store, units, index=True)
    run_of(tmp_path / "y", "w", documents, memory=TIGHT)
    assert tree(tmp_path / "x" / "index") == tree(tmp_path / "y" / "index")


def test_a_key_that_very_many_earlier_documents_share(tmp_path):
    """Each key leads to a bounded number of these documents."""
    count = 3_000
    signatures = random_signatures(count)
    signatures[:, :ROWS] = 1
    everything = np.ones(count, np.bool_), np.arange(count)
    run_of(tmp_path / "a", "a", (distinct_texts(count), signatures, *everything))
    new = random_signatures(50, seed=9)
    new[:, :ROWS] = 1
    new[7] = signatures[20]
    new[8] = signatures[2_900]  # shares all keys, not only the one that leads to the first few
    documents = (distinct_texts(50) + np.uint64(1 << 50), new, np.ones(50, np.bool_), np.arange(50))
    found = run_of(tmp_path / "new", "new", documents, against=[tmp_path / "a"])["found"]
    assert found.kept_id[7] == place(20, "a")
    assert found.facts["removed"] == {"exact": 0, "all": 1}
    assert found.facts["unverified"] > 0


# whole runs


def stages(**minhash):
    return {"stages": [{"stage": "paragraphs"}, {"stage": "minhash", **minhash}]}


def run(tmp_path, name, pages, against=(), recipe=None, **options):
    write_warc(tmp_path / f"{name}.warc.gz", {f"http://{key}.example/": body.encode() for key, body in pages.items()})
    made = job(
        [tmp_path / f"{name}.warc.gz"], tmp_path / name, recipe or stages(), against=tuple(map(str, against)), **options
    )
    result = build(made, lambda: InProcess(), Progress(quiet=True))
    assert result.exit_code == 0
    open_run(tmp_path / name).verify()
    return made


def ledger_of(folder):
    rows = open_run(folder).ledger().to_pylist()
    return {row["url"].removeprefix("http://").removesuffix(".example/"): row for row in rows}


def test_archives_added_to_a_run(tmp_path):
    base = text(1)
    run(tmp_path, "old", {"a": base, "b": edited(base, 0.1), "c": text(2)})
    kept = [row for row in ledger_of(tmp_path / "old").values() if row["outcome"] == "kept"]
    pages = {"d": base, "e": edited(base, 0.1), "f": edited(base, 0.05) + " and more" * 5, "g": text(3), "h": text(3)}
    run(tmp_path, "new", pages, [tmp_path / "old"])
    rows = ledger_of(tmp_path / "new")
    keeper = next(row["id"] for row in kept if row["url"] != "http://c.example/")
    for name in ("d", "e", "f"):
        assert (rows[name]["rule"], rows[name]["detail"]) == ("similarity", keeper)
    # the keeper rule prefers the longer one, but the document of the earlier run stays
    assert [rows[name]["minhash.preferred"] for name in ("d", "e", "f", "h")] == [0, 0, 1, 0]
    assert rows["d"]["minhash.exact"] + rows["e"]["minhash.exact"] == 1
    assert rows["g"]["outcome"] == "kept"
    facts = open_run(tmp_path / "new").info
    assert facts["against"] == [open_run(tmp_path / "old").info["index"]]
    texts = [row["text"] for name in ("old", "new") for row in open_run(tmp_path / name).corpus().to_pylist()]
    assert len(texts) == len(set(texts)) == 3


def test_whether_a_document_is_preferred_is_known_if_both_runs_have_the_same_rule(tmp_path):
    base = text(1)
    by_measure = stages(prefer="paragraphs.chars")
    run(tmp_path, "old", {"a": base, "b": text(2)}, recipe=by_measure)
    for name, recipe, preferred in (("same", by_measure, [0, 1]), ("other", stages(prefer="first"), [None, None])):
        pages = {"c": edited(base, 0.05)[:-40], "d": base + " and more" * 5}
        run(tmp_path, name, pages, [tmp_path / "old"], recipe)
        rows = ledger_of(tmp_path / name)
        assert [rows[page]["rule"] for page in "cd"] == ["similarity"] * 2
        assert [rows[page]["minhash.preferred"] for page in "cd"] == preferred


@pytest.mark.slow
def test_what_an_earlier_run_removed_counts_by_the_limit_of_this_one(tmp_path):
    base = text(1)
    run(tmp_path, "old", {"a": base, "b": edited(base, 0.03)[: len(base) - 40]})
    gone = ledger_of(tmp_path / "old")["b"]
    assert 0.7 <= gone["value"] < 0.99
    for below, outcome in ((0.99, "kept"), (0.7, "dropped")):
        run(tmp_path, f"at{below}", {"c": edited(base, 0.03)[: len(base) - 40]}, [tmp_path / "old"],
            stages(similarity={"below": below}))  # fmt: skip
        assert ledger_of(tmp_path / f"at{below}")["c"]["outcome"] == outcome


@pytest.mark.slow
def test_what_the_earlier_run_is_decides_the_result(tmp_path):
    run(tmp_path, "old", {"a": text(1)})
    run(tmp_path, "other", {"a": text(2)})
    made = run(tmp_path, "new", {"b": text(1)}, [tmp_path / "old"])
    again = job(made.inputs, made.out, stages(), against=(str(tmp_path / "other"),))
    with pytest.raises(OutputError, match="against"):
        build(again, lambda: InProcess(), Progress(quiet=True))
    moved = shutil.copytree(tmp_path / "old" / "index", tmp_path / "moved" / "index")
    same = job(made.inputs, made.out, stages(), against=(str(moved.parent),))
    assert build(same, lambda: InProcess(), Progress(quiet=True)).already_done


def test_runs_that_cannot_be_compared_with(tmp_path):
    run(tmp_path, "old", {"a": text(1)})
    run(tmp_path, "without", {"a": text(1)}, index=False)
    with_lines = stages()
    with_lines["stages"].append({"stage": "lines"})
    run(tmp_path, "lines", {"a": text(1)}, recipe=with_lines)
    assert not (tmp_path / "without" / "index").exists()
    inputs = [tmp_path / "old.warc.gz"]
    for folder, recipe, error, match in (
        ("without", stages(), InputError, "no index"),
        ("nowhere", stages(), InputError, "no index"),
        ("lines", stages(), InputError, "no index, because that run removes repeated lines"),
        ("old", stages(scheme="datatrove"), ConfigError, "was made with"),
        ("old", stages(verify="jaccard"), ConfigError, "was made with"),
        ("old", {"stages": [{"stage": "paragraphs"}]}, ConfigError, "compares no documents"),
    ):
        with pytest.raises(error, match=match):
            build(
                job(inputs, tmp_path / "x", recipe, against=(str(tmp_path / folder),)),
                lambda: InProcess(),
                Progress(quiet=True),
            )
    assert not (tmp_path / "x").exists()


def test_verify_finds_a_harmed_index(tmp_path):
    run(tmp_path, "old", {"a": text(1), "b": text(2)})
    content = json.loads((tmp_path / "old" / "index" / "index.json").read_text())
    path = tmp_path / "old" / content["parts"][0]["docs"]["key"]
    harmed = bytearray(path.read_bytes())
    harmed[20] ^= 1
    path.write_bytes(harmed)
    with pytest.raises(IntegrityError, match="docs-00000"):
        open_run(tmp_path / "old").verify()


@pytest.mark.parametrize("verify", ["jaccard", "containment"])
def test_shingles_of_earlier_documents(tmp_path, verify):
    words = text(3, 1000).split()
    recipe = stages(verify=verify)
    run(tmp_path, "old", {"whole": " ".join(words)}, recipe=recipe)
    run(tmp_path, "new", {"part": " ".join(words[:800]), "other": text(9, 1000)}, [tmp_path / "old"], recipe)
    rows = ledger_of(tmp_path / "new")
    assert rows["part"]["value"] == (round(796 / 996, 6) if verify == "jaccard" else 1)
    assert rows["other"]["outcome"] == "kept"


def run_of_rows(tmp_path, name, texts, against=(), **minhash):
    """Build documents that are texts."""
    path = write_documents(tmp_path / f"{name}.jsonl", [{"text": one} for one in texts])
    return run_of_inputs([path], tmp_path / name, against, **minhash)


def run_of_inputs(inputs, out, against=(), **minhash):
    recipe = {"stages": [{"stage": "minhash", **minhash}]}
    assert build_quietly(job(inputs, out, recipe, against=tuple(map(str, against)))).exit_code == 0
    found = open_run(out)
    found.verify()
    return found


def test_the_first_earlier_run_that_has_a_text_keeps_it_whatever_its_inputs_were(tmp_path):
    one, two, three = (text(number, 100) for number in (1, 2, 3))
    archives, rows = tmp_path / "archives", tmp_path / "rows"
    run(tmp_path, "archives", {"a": one})
    run_of_rows(tmp_path, "rows", [two, one])
    for number, (order, of_both) in enumerate(
        (([archives, rows], "archives.warc.gz"), ([rows, archives], "rows.jsonl"))
    ):
        found = run_of_rows(tmp_path, f"new{number}", [one, edited(one, 0.05), two, three], order, prefer="newest")
        ledger = found.ledger(["outcome", "detail"]).to_pylist()
        assert [row["outcome"] for row in ledger] == ["dropped", "dropped", "dropped", "kept"]
        kept_in = [row["detail"] and row["detail"].split(":")[0] for row in ledger]
        assert kept_in == [of_both, of_both, "rows.jsonl", None]
    run(tmp_path, "later", {"b": three, "c": two, "d": text(4, 100)}, [rows, tmp_path / "new0", archives])
    rows_of_later = {name: row["detail"] for name, row in ledger_of(tmp_path / "later").items()}
    assert [where and where.split(":")[0] for where in rows_of_later.values()] == ["new0.jsonl", "rows.jsonl", None]


def test_a_build_over_runs_keeps_the_text_that_is_preferred(tmp_path):
    """The corpora of runs are documents, whatever the inputs of these runs were."""
    short, other = text(1, 100), text(2, 100)
    run(tmp_path, "archives", {"a": short})
    run_of_rows(tmp_path, "rows", [short + " and more", other])
    runs = [tmp_path / "archives", tmp_path / "rows"]
    for prefer, texts in (("longest", [short + " and more", other]), ("first", [short, other])):
        assert run_of_inputs(runs, tmp_path / prefer, prefer=prefer).corpus(["text"])["text"].to_pylist() == texts
