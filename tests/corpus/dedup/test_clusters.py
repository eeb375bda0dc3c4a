from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.dedup.clusters import (
    candidate_edges,
    leaders,
    signature_similarity,
    transitive,
    verify,
)
from corpus.dedup.signatures import BANDS, ROWS, band_keys
from tests.growth import assert_linear
from tests.reference.clusters import THRESHOLD, compare, components

COUNT = BANDS * ROWS


def random_signatures(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**32, (count, COUNT), dtype=np.uint32)


def distinct_texts(count):
    return np.arange(2 * count, dtype=np.uint64).reshape(count, 2)


def plain_components(count, pairs):
    root = list(range(count))
    for a, b in pairs:
        a, b = root[a], root[b]
        root = [min(a, b) if r in (a, b) else r for r in root]
    return root


def plain_compare(texts, signatures, signed, rank, bands, rows, threshold):
    """Apply the rules document by document. Return kept_doc, similarity and exact."""
    count = len(texts)
    same_key = [
        (a, b)
        for a in range(count)
        for b in range(a)
        if signed[a]
        and signed[b]
        and any(
            (signatures[a, k : k + rows] == signatures[b, k : k + rows]).all() for k in range(0, bands * rows, rows)
        )
    ]
    root = plain_components(count, same_key + [(a, b) for a in range(count) for b in range(a) if texts[a] == texts[b]])
    kept_doc, similarity, exact = list(range(count)), [1.0] * count, [False] * count
    keepers = defaultdict(list)
    for doc in sorted(range(count), key=lambda doc: (rank[doc], doc)):
        for keeper in keepers[root[doc]]:
            equal = texts[doc] == texts[keeper]
            alike = (signatures[doc] == signatures[keeper]).sum() / (bands * rows)
            if equal or (signed[doc] and signed[keeper] and (threshold is None or alike >= threshold)):
                kept_doc[doc], similarity[doc], exact[doc] = keeper, 1.0 if equal else alike, equal
                break
        else:
            keepers[root[doc]].append(doc)
    return kept_doc, similarity, exact


@st.composite
def collections(draw):
    """Documents with few distinct signatures of two bands of two values, so that many share a band, and equal texts."""
    count = draw(st.integers(0, 14))
    pool = draw(st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=8))
    texts = draw(st.lists(st.integers(0, 12), min_size=count, max_size=count))
    of_text = {text: (pool[draw(st.integers(0, len(pool) - 1))], draw(st.integers(0, 7)) > 0) for text in set(texts)}
    signatures = np.array([of_text[text][0] for text in texts], dtype=np.uint32).reshape(count, 4)
    signed = np.array([of_text[text][1] for text in texts], dtype=np.bool_)
    rank = np.array(draw(st.lists(st.integers(-3, 3), min_size=count, max_size=count)), dtype=np.int64)
    return np.array(texts, dtype=np.int64), signatures, signed, rank


def hashes_of(texts):
    """Return 16 bytes for each number of a text. Some are equal in one half."""
    return np.stack((texts // 2, texts), axis=1).astype(np.uint64)


@settings(max_examples=400)
@given(collections(), st.sampled_from([0.25, 0.5, 0.75, 1.0, None]))
def test_verdicts_are_those_of_the_rules_document_by_document(collection, threshold):
    texts, signatures, signed, rank = collection
    verdicts = compare(hashes_of(texts), signatures, signed=signed, rank=rank, bands=2, rows=2, threshold=threshold)
    kept_doc, similarity, exact = plain_compare(texts.tolist(), signatures, signed, rank, 2, 2, threshold)
    assert verdicts.kept_doc.tolist() == kept_doc
    assert verdicts.similarity.tolist() == similarity
    assert verdicts.exact.tolist() == exact
    sizes = Counter(kept_doc)
    assert verdicts.cluster_size.tolist() == [sizes[keeper] for keeper in kept_doc]
    assert verdicts.removed.tolist() == [doc for doc, keeper in enumerate(kept_doc) if doc != keeper]
    assert verdicts.unverified == 0


@settings(max_examples=100)
@given(collections(), st.randoms(use_true_random=False), st.sampled_from([0.5, None]))
def test_the_order_of_documents_does_not_matter(collection, random, threshold):
    texts, signatures, signed, _ = collection
    count = len(texts)
    position = np.array(random.sample(range(count), count), dtype=np.int64)
    options = {"bands": 2, "rows": 2, "threshold": threshold}
    one = compare(hashes_of(texts), signatures, signed=signed, rank=np.arange(count), **options)
    # document i has the new number position[i], and the keeper order is as before
    order = np.argsort(position)
    two = compare(hashes_of(texts)[order], signatures[order], signed=signed[order], rank=order, **options)
    assert position[one.kept_doc].tolist() == two.kept_doc[position].tolist()
    for name in ("similarity", "cluster_size", "exact"):
        assert getattr(one, name).tolist() == getattr(two, name)[position].tolist()


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), max_size=40), st.randoms(use_true_random=False))
def test_candidate_edges_join_each_key_to_its_first_document_in_any_order(pairs, random):
    by_key = defaultdict(set)
    for key, doc in pairs:
        by_key[key].add(doc)
    expected = sorted((min(docs), doc) for docs in by_key.values() for doc in docs if doc != min(docs))
    unique = [(key, doc) for key, docs in by_key.items() for doc in docs]
    random.shuffle(unique)
    keys = np.array([key << 60 | key for key, _ in unique], dtype=np.uint64)
    firsts, others = candidate_edges(keys, np.array([doc for _, doc in unique], dtype=np.int64))
    assert sorted(zip(firsts.tolist(), others.tolist(), strict=True)) == expected


def test_edges_of_a_key_range_at_a_time_are_the_edges_of_all():
    keys = np.random.default_rng(0).integers(0, 2**64, 50_000, dtype=np.uint64)
    keys = keys[np.random.default_rng(1).integers(0, 50_000, 60_000)]
    docs = np.arange(60_000)
    whole = set(zip(*map(np.ndarray.tolist, candidate_edges(keys, docs)), strict=True))
    parts = set()
    for part in range(8):
        within = keys >> np.uint64(61) == part  # the high bits are equal in a part
        parts |= set(zip(*map(np.ndarray.tolist, candidate_edges(keys[within], docs[within])), strict=True))
    assert parts == whole


def test_a_key_of_very_many_documents_gives_an_edge_for_each_but_one():
    firsts, others = assert_linear(
        lambda count: (np.full(count, 2**63, np.uint64), np.arange(count)[::-1]),
        lambda made: candidate_edges(*made),
        200_000,
    )
    assert not firsts.any()
    assert np.array_equal(np.sort(others), np.arange(1, 200_000))


edges_of_30 = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40)


@given(st.lists(edges_of_30, max_size=4))
def test_components_are_those_of_all_batches_in_any_order(batches):
    arrays = [
        (np.array([a for a, _ in batch], np.int64), np.array([b for _, b in batch], np.int64)) for batch in batches
    ]
    expected = plain_components(30, [edge for batch in batches for edge in batch])
    assert components(30, arrays).tolist() == expected
    assert components(30, arrays[::-1]).tolist() == expected
    # the components of each batch, as edges, give the components of all
    assert components(30, [(components(30, [array]), np.arange(30)) for array in arrays]).tolist() == expected


@pytest.mark.parametrize("shape", ["path", "shuffled path", "star around the last", "random tree", "zigzag"])
def test_components_of_long_paths_stars_and_trees_take_few_rounds(shape):
    def edges(count):
        if shape == "path":
            return np.arange(count - 1), np.arange(1, count)
        if shape == "star around the last":
            return np.full(count - 1, count - 1), np.arange(count - 1)
        rng = np.random.default_rng(0)
        order = rng.permutation(count)
        if shape == "random tree":
            return order[(rng.random(count - 1) * np.arange(1, count)).astype(np.int64)], order[1:]
        if shape == "zigzag":
            order = np.stack((np.arange(count // 2), np.arange(count // 2, count)), axis=1).ravel()
        return order[:-1], order[1:]

    assert not assert_linear(edges, lambda made: components(len(made[0]) + 1, [made]), 100_000).any()


def test_texts_whose_hashes_share_a_half_are_not_equal():
    hashes = np.array([[5, 1], [5, 2], [5, 1], [6, 1], [5, 2], [5, 1]], dtype=np.uint64)
    assert leaders(hashes, np.zeros(6, np.int64)).tolist() == [0, 1, 0, 3, 1, 0]
    assert leaders(hashes, np.array([3, 0, 2, 0, -1, 2])).tolist() == [2, 4, 2, 3, 4, 2]


def chain():
    """A, B, C: neighbors agree in 80% of their values, A and C in 60%."""
    a, other_b, other_c = random_signatures(3)
    b, c = a.copy(), a.copy()
    b[:22] = other_b[:22]
    c[:22] = other_b[:22]
    c[22:44] = other_c[22:44]
    return np.array([a, b, c])


def test_no_document_is_removed_through_a_chain():
    verdicts = compare(distinct_texts(3), chain())
    assert verdicts.kept_doc.tolist() == [0, 0, 2]
    assert verdicts.similarity.tolist() == [1, 90 / 112, 1]
    assert verdicts.cluster_size.tolist() == [2, 2, 1]


def test_both_ends_of_a_chain_go_where_its_middle_is_preferred():
    verdicts = compare(distinct_texts(3), chain(), rank=np.array([1, 0, 1]))
    assert verdicts.kept_doc.tolist() == [1, 1, 1]
    assert verdicts.cluster_size.tolist() == [3, 3, 3]


def test_the_classic_way_removes_through_a_chain_and_says_how_unlike():
    verdicts = compare(distinct_texts(3), chain(), threshold=None)
    assert verdicts.kept_doc.tolist() == [0, 0, 0]
    assert verdicts.similarity.tolist() == [1, 90 / 112, 68 / 112]
    assert verdicts.cluster_size.tolist() == [3, 3, 3]


def test_a_long_chain_keeps_every_document_that_is_unlike_those_kept():
    count = 2_000
    signatures = random_signatures(count)
    for i in range(1, count):  # each has 28 new values and the rest of the one before it
        kept = np.setdiff1d(np.arange(COUNT), np.arange(28 * i, 28 * i + 28) % COUNT)
        signatures[i, kept] = signatures[i - 1, kept]
    classic = compare(distinct_texts(count), signatures, threshold=None)
    assert len(classic.removed) == count - 1
    verdicts = compare(distinct_texts(count), signatures, rounds=count)
    assert verdicts.kept_doc.tolist() == [doc - doc % 2 for doc in range(count)]
    assert (verdicts.similarity[1::2] == 84 / 112).all()


def test_an_equal_of_a_removed_document_repeats_the_kept_one():
    signatures = chain()[[0, 1, 1, 2, 2]]
    texts = hashes_of(np.array([0, 1, 1, 2, 2]))
    verdicts = compare(texts, signatures)
    assert verdicts.kept_doc.tolist() == [0, 0, 0, 3, 3]
    assert verdicts.exact.tolist() == [False, False, False, False, True]
    assert verdicts.similarity.tolist() == [1, 90 / 112, 90 / 112, 1, 1]
    assert verdicts.cluster_size.tolist() == [3, 3, 3, 2, 2]


def test_texts_without_signature_are_compared_by_their_hash_only():
    signatures = np.full((4, COUNT), 2**32 - 1, np.uint32)
    verdicts = compare(hashes_of(np.array([0, 1, 2, 1])), signatures, signed=np.zeros(4, np.bool_))
    assert verdicts.kept_doc.tolist() == [0, 1, 2, 1]
    assert verdicts.exact.tolist() == [False, False, False, True]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_documents_that_have_nothing_in_common_are_kept(count):
    for threshold in (0.7, None):
        verdicts = compare(distinct_texts(count), random_signatures(count), threshold=threshold)
        assert verdicts.kept_doc.tolist() == list(range(count))
        assert np.array_equal(verdicts.kept_doc, np.arange(count))
        assert verdicts.cluster_size.tolist() == [1] * count


@pytest.mark.parametrize("texts", ["equal", "different"])
def test_very_many_documents_of_one_signature_end_with_one_in_linear_time(texts):
    count = 300_000

    def made(count):
        hashes = np.broadcast_to(np.uint64(7), (count, 2)) if texts == "equal" else distinct_texts(count)
        rank = np.ones(count, np.int64)
        rank[count // 3] = 0
        return hashes, np.broadcast_to(random_signatures(1)[0], (count, COUNT)), rank

    verdicts = assert_linear(made, lambda given: compare(given[0], given[1], rank=given[2]), count)
    assert (verdicts.kept_doc == count // 3).all()
    assert (verdicts.similarity == 1).all()
    assert (verdicts.cluster_size == count).all()
    assert verdicts.exact.sum() == (count - 1 if texts == "equal" else 0)


def test_a_band_that_a_hundred_thousand_unlike_documents_share_costs_a_bounded_number_of_comparisons():
    count, rounds = 100_000, 5
    signatures = random_signatures(count)
    signatures[:, :ROWS] = 1
    comparisons = 0
    similarity = signature_similarity(signatures)

    def counted(docs, keepers):
        nonlocal comparisons
        comparisons += len(docs)
        return similarity(docs, keepers)

    component = components(count, [candidate_edges(band_keys(signatures)[:, 0], np.arange(count))])
    verdicts = verify(component, np.zeros(count, np.int64), counted, THRESHOLD, rounds)
    assert np.array_equal(verdicts.kept_doc, np.arange(count))
    assert verdicts.unverified == count - rounds - 1
    assert comparisons == sum(count - i for i in range(1, rounds + 1))


def test_a_component_within_the_rounds_is_verified_to_its_end():
    signatures = random_signatures(6)
    signatures[:, :ROWS] = 1
    signatures[5, ROWS:] = signatures[4, ROWS:]
    arguments = np.zeros(6, np.int64), np.zeros(6, np.int64), signature_similarity(signatures)
    complete = verify(*arguments, THRESHOLD, rounds=5)
    assert (complete.kept_doc.tolist(), complete.unverified) == ([0, 1, 2, 3, 4, 4], 0)
    cut_off = verify(*arguments, THRESHOLD, rounds=4)
    assert (cut_off.kept_doc.tolist(), cut_off.unverified) == ([0, 1, 2, 3, 4, 5], 1)


def test_any_measure_of_similarity_can_verify():
    component = np.zeros(4, np.int64)
    length = np.array([9, 3, 4, 8])
    verdicts = verify(component, -length, lambda docs, keepers: length[docs] / length[keepers], threshold=0.8)
    assert verdicts.kept_doc.tolist() == [0, 1, 2, 0]
    assert transitive(component, -length, lambda docs, keepers: length[docs] / 9).similarity[1] == 3 / 9


def made_clusters(count, seed):
    """Signatures of documents, a third of them in clusters of any size."""
    rng = np.random.default_rng(seed)
    signatures = random_signatures(count, seed)
    order, at = rng.permutation(count), 0
    while at < count // 3:
        members = order[at : at + int(min(rng.zipf(2.0) + 1, count // 50))]
        at += len(members)
        alike = rng.random((len(members), COUNT)) < rng.uniform(0.7, 1, (len(members), 1))
        signatures[members] = np.where(alike, signatures[members[0]], signatures[members])
    return signatures


def test_every_removal_has_a_kept_document_before_it_that_is_as_similar_as_it_says(tmp_path):
    count = 30_000
    signatures = made_clusters(count, 1)
    rank = np.random.default_rng(2).integers(0, 50, count)
    verdicts = compare(distinct_texts(count), signatures, rank=rank)
    removed, keepers = verdicts.removed, verdicts.kept_doc[verdicts.removed]
    assert 2_000 < len(removed) < 10_000
    assert np.array_equal(verdicts.kept_doc[keepers], keepers)
    before = (rank[keepers] < rank[removed]) | ((rank[keepers] == rank[removed]) & (keepers < removed))
    assert before.all()
    assert np.array_equal(
        verdicts.similarity[removed], (signatures[removed] == signatures[keepers]).sum(axis=1) / COUNT
    )
    assert verdicts.similarity.min() >= 0.7
    np.save(tmp_path / "signatures.npy", signatures)
    mapped = compare(distinct_texts(count), np.load(tmp_path / "signatures.npy", mmap_mode="r"), rank=rank)
    assert np.array_equal(mapped.kept_doc, verdicts.kept_doc)


def test_no_kept_document_of_a_component_could_be_removed_for_another():
    count = 3_000
    signatures = made_clusters(count, 3)
    verdicts = compare(distinct_texts(count), signatures)
    keys = band_keys(signatures)
    component = components(count, (candidate_edges(band, np.arange(count)) for band in keys.T))
    kept = np.flatnonzero(verdicts.kept_doc == np.arange(count))
    assert verdicts.unverified == 0
    for doc in kept:
        others = kept[(component[kept] == component[doc]) & (kept > doc)]
        assert not ((signatures[others] == signatures[doc]).sum(axis=1) / COUNT >= 0.7).any()


def test_similarities_are_the_same_in_any_blocks():
    signatures = made_clusters(5_000, 4)
    rng = np.random.default_rng(0)
    docs, keepers = rng.integers(0, 5_000, 3_000), rng.integers(0, 5_000, 3_000)
    values = signature_similarity(signatures)(docs, keepers)
    assert values.tolist() == ((signatures[docs] == signatures[keepers]).sum(axis=1) / COUNT).tolist()
