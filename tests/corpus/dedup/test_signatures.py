import hashlib
import random

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given
from hypothesis import strategies as st

from corpus.dedup.signatures import BANDS, ROWS, band_keys, estimated_jaccard, permutations, sign, text_hash
from corpus.text.shingles import joined_shingles
from tests.corpus.text.test_shingles import plain_fold, shingles

COUNT = BANDS * ROWS
LENGTHS = [1, 5, 511, 512, 513, 3_000]
SENTENCE = "It was the best of times, it was the worst of times, it was the age of wisdom (1859)."


def some_hashes(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def by_datasketch(hashes, count=COUNT):
    """Return datasketch's own signature. Its tokens are the low halves of the hashes."""
    minhash = MinHash(num_perm=count, hashfunc=int)
    minhash.update_batch(hashes.astype(np.uint32).tolist())
    return minhash


def by_datatrove(hashes):
    """Return what datatrove 0.10.1's get_signature computes before it splits the signature into buckets."""
    prime = np.uint64((1 << 61) - 1)
    random_state = np.random.RandomState(1)
    a = random_state.randint(1, prime, dtype=np.uint64, size=(1, COUNT))
    b = random_state.randint(0, prime, dtype=np.uint64, size=(1, COUNT))
    return np.min((hashes.reshape(-1, 1) * a + b) % prime, axis=0)


@pytest.mark.parametrize("length", LENGTHS)
def test_affine32_is_datasketchs(length):
    hashes = some_hashes(length)
    theirs = by_datasketch(hashes)
    signature = sign(hashes)
    assert signature.dtype == theirs.hashvalues.dtype == np.uint32
    assert signature.tolist() == theirs.hashvalues.tolist()
    assert np.array_equal(permutations(), theirs.permutations)
    assert sign(hashes, count=20).tolist() == by_datasketch(hashes, 20).hashvalues.tolist()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30))
def test_any_hashes_are_signed_as_the_sources_do(values):
    hashes = np.array(values, dtype=np.uint64)
    assert sign(hashes).tolist() == by_datasketch(hashes).hashvalues.tolist()
    assert sign(hashes, scheme="datatrove").tolist() == by_datatrove(hashes).tolist()


@pytest.mark.parametrize("length", LENGTHS)
def test_datatrove_is_datatroves(length):
    hashes = some_hashes(length)
    signature = sign(hashes, scheme="datatrove")
    assert signature.dtype == np.uint64
    assert signature.tolist() == by_datatrove(hashes).tolist()


def test_the_signature_of_a_sentence_is_what_datatrove_computed():
    """The values are from MinhashDedupSignature of datatrove 0.10.1 (with xxhash 3.8.2; it can't use xxhash 4)."""
    signature = sign(joined_shingles(SENTENCE), scheme="datatrove")
    assert signature[[0, -1]].tolist() == [344984562477112918, 121953517678620680]


def test_signatures_load_into_datasketch_and_meet_in_its_index():
    rng = np.random.default_rng(3)
    base = some_hashes(300)
    signatures = []
    for _ in range(80):
        hashes = base.copy()
        changed = rng.random(300) < rng.uniform(0, 0.35)
        hashes[changed] = rng.integers(0, 2**64, changed.sum(), dtype=np.uint64)
        signatures.append(sign(hashes))
    index = MinHashLSH(num_perm=COUNT, params=(BANDS, ROWS))
    loaded = [MinHash(hashvalues=signature, scheme="affine32") for signature in signatures]
    for i, minhash in enumerate(loaded):
        index.insert(i, minhash)
    keys = band_keys(np.array(signatures))
    found = 0
    for i, minhash in enumerate(loaded):
        assert minhash.jaccard(loaded[0]) == estimated_jaccard(signatures[i], signatures[0])
        meets = set(np.flatnonzero((keys == keys[i]).any(axis=1)).tolist())
        assert set(index.query(minhash)) == meets
        found += len(meets) - 1
    assert 100 < found < 80 * 79


def test_a_loaded_signature_goes_on_in_datasketch():
    hashes = some_hashes(100)
    minhash = MinHash(hashvalues=sign(hashes[:60]), scheme="affine32", hashfunc=int)
    minhash.update_batch(hashes[60:].astype(np.uint32).tolist())
    assert minhash.hashvalues.tolist() == sign(hashes).tolist()


@pytest.mark.parametrize("scheme", ["affine32", "datatrove"])
def test_order_and_repetition_of_shingles_don_t_count(scheme):
    hashes = some_hashes(700)
    shuffled = np.random.default_rng(1).permutation(np.concatenate((hashes, hashes[:50])))
    assert sign(hashes, scheme=scheme).tolist() == sign(shuffled, scheme=scheme).tolist()


def test_no_shingles_no_signature():
    assert sign(some_hashes(0)) is None
    assert sign(shingles("four words are few"), scheme="datatrove") is None


@pytest.mark.parametrize(("scheme", "rows"), [("affine32", 8), ("affine32", 7), ("datatrove", 8)])
def test_a_band_key_is_the_fold_of_its_number_and_values(scheme, rows):
    signatures = np.array([sign(some_hashes(50, seed), 14 * rows, scheme) for seed in range(5)])
    keys = band_keys(signatures, rows=rows)
    assert (keys.shape, keys.dtype) == ((5, 14), np.uint64)
    for signature, of_one in zip(signatures, keys, strict=True):
        assert band_keys(signature, rows=rows).tolist() == of_one.tolist()
        for band, key in enumerate(of_one.tolist()):
            values = signature[band * rows : (band + 1) * rows].tolist()
            if scheme == "affine32" and rows == 8:
                values = [low + (high << 32) for low, high in zip(values[::2], values[1::2], strict=True)]
            assert key == plain_fold([band, *values])


def test_keys_of_many_signatures_are_those_of_each():
    signatures = np.random.default_rng(0).integers(0, 2**32, (5_000, COUNT), dtype=np.uint32)
    keys = band_keys(signatures)
    for i in (0, 2_047, 2_048, 4_999):
        assert keys[i].tolist() == band_keys(signatures[i]).tolist()
    assert band_keys(signatures[::2]).tolist() == keys[::2].tolist()
    assert band_keys(signatures[:0]).shape == (0, BANDS)


def test_band_keys_don_t_collide_and_fill_their_range_evenly():
    # the least of many hashes is small, so the high bits of the hashed values are nearly constant
    signatures = np.random.default_rng(0).integers(0, 2**16, (40_000, COUNT), dtype=np.uint32)
    signatures[:, ROWS : 2 * ROWS] = signatures[:, :ROWS]  # the same values in two bands
    keys = band_keys(signatures)
    assert len(np.unique(keys)) == keys.size
    for bits in (keys >> np.uint64(56), keys & np.uint64(255)):
        counts = np.bincount(bits.ravel().astype(np.int64), minlength=256)
        chi_square = ((counts - keys.size / 256) ** 2 / (keys.size / 256)).sum()
        assert 255 - 5 * 22.6 < chi_square < 255 + 5 * 22.6  # its mean and standard deviation


def test_similarity_is_the_share_of_equal_values():
    a, b = np.arange(8, dtype=np.uint32), np.array([0, 1, 2, 9, 4, 9, 9, 9], dtype=np.uint32)
    assert estimated_jaccard(a, b) == 0.5
    assert estimated_jaccard(np.array([a, a]), np.array([b, a])).tolist() == [0.5, 1.0]


def test_text_hashes_are_half_of_sha256():
    assert text_hash("é") == hashlib.sha256("é".encode()).digest()[:16]
    assert len({text_hash(text) for text in ("", " ", "a", "A", "\ud800", "\udfff", "\ufffd")}) == 7


def candidate_probability(s):
    return 1 - (1 - s**ROWS) ** BANDS


def follows_theory(pairs):
    """Assert that the rate of candidates and the mean estimate are as in theory, within four standard errors, over all
    pairs and in each of nine ranges. Pairs are (Jaccard, signature, signature)."""
    s = np.array([pair[0] for pair in pairs])
    ours, theirs = (np.array([pair[side] for pair in pairs]) for side in (1, 2))
    candidate = (band_keys(ours) == band_keys(theirs)).any(axis=1)
    p = candidate_probability(s)
    error = estimated_jaccard(ours, theirs) - s
    report = ["   range  pairs  found  theory      z  mean error"]
    worst = 0.0
    for low, high in [(0.5, 0.95), *((0.5 + 0.05 * i, 0.55 + 0.05 * i) for i in range(9))]:
        within = (s >= low - 1e-9) & (s <= high + 1e-9)
        z = (candidate - p)[within].sum() / np.sqrt((p * (1 - p))[within].sum())
        bias = error[within].sum() / np.sqrt((s * (1 - s))[within].sum() / COUNT)
        worst = max(worst, abs(z), abs(bias))
        report.append(
            f"{low:.2f}-{high:.2f} {within.sum():5} {candidate[within].mean():6.3f} {p[within].mean():7.3f}"
            f" {z:6.2f} {error[within].mean():11.4f}"
        )
    report.append(removals(s, candidate, estimated_jaccard(ours, theirs)))
    print("\n".join(report))
    assert worst < 4, report


def removals(s, candidate, estimate, limit=0.7):
    """Assert that the default limit removes mostly pairs that are as similar as it says, and most of all such pairs.

    The estimate has a standard error of .043 at .7, so pairs just below the limit are removed too; four standard
    errors below it, none may be.
    """
    removed = candidate & (estimate >= limit)
    precision = (s[removed] >= limit).mean()
    recall = removed[s >= limit].mean()
    assert (s[removed] >= limit - 4 * 0.043).all()
    assert precision > 0.9
    assert removed[s >= 0.85].mean() > 0.95
    return f"removed {removed.sum()}: precision {precision:.3f} (true Jaccard >= {limit}), recall {recall:.3f}"


@pytest.mark.parametrize("scheme", ["affine32", "datatrove"])
def test_candidates_of_made_sets_follow_the_s_curve(scheme):
    rng = np.random.default_rng(7)
    pairs = []
    for _ in range(2_700):
        s, size = rng.uniform(0.5, 0.95), int(rng.integers(100, 400))
        common = round(2 * size * s / (1 + s))
        hashes = rng.integers(0, 2**64, 2 * size - common, dtype=np.uint64)
        ours, theirs = hashes[:size], hashes[size - common :]
        pairs.append((common / len(hashes), sign(ours, scheme=scheme), sign(theirs, scheme=scheme)))
    follows_theory(pairs)


def edited(rng, text, others):
    """Return the text with some spans of words replaced by spans of other texts."""
    found = text.split()
    for _ in range(round(rng.uniform(0.005, 0.06) * len(found)) or 1):
        at, length = rng.randrange(len(found)), rng.randint(1, 3)
        other = rng.choice(others).split()
        start = rng.randrange(len(other))
        found[at : at + length] = other[start : start + rng.randint(1, 3)]
    return " ".join(found)


def test_candidates_of_edited_real_pages_follow_the_s_curve(shared_data):
    table = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["final_text"])
    texts = [text for text in table["final_text"].to_pylist() if text and len(text) < 6_000][:700]
    rng = random.Random(11)
    pairs = []
    for text in texts:
        ours, theirs = shingles(text), shingles(edited(rng, text, texts))
        s = len(np.intersect1d(ours, theirs)) / max(len(np.union1d(ours, theirs)), 1)
        if 0.5 <= s <= 0.95:
            pairs.append((s, sign(ours), sign(theirs)))
    assert len(pairs) >= 500
    follows_theory(pairs)
