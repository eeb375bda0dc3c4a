"""The global shuffle: one order, however rows were sent and files are cut."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.storage.boxes import Outbox
from corpus.storage.store import LocalStore
from corpus.tokens.shuffle import KEY, WEIGHT, box_bits, boxes_of, in_groups, keys_of, plan_cuts, read_cut

SCHEMA = pa.schema([KEY, WEIGHT, pa.field("name", pa.string())])


def shuffled(store, rows, writers, bits, borders):
    """The names in each file, for rows (name, weight) sent by some writers."""
    parts, weights = [], np.zeros(1 << bits, dtype=np.int64)
    for some in np.array_split(np.arange(len(rows)), writers):
        with Outbox(store, "rows", 1 << bits) as out:
            names = [rows[at][0] for at in some]
            sizes = np.array([rows[at][1] for at in some], dtype=np.int64)
            keys = keys_of(names, 0)
            columns = [pa.array(keys), pa.array(sizes), pa.array(names, pa.string())]
            out.scatter(boxes_of(keys, bits), pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
            np.add.at(weights, boxes_of(keys, bits), sizes)
            parts.append(out.finish())
    cuts = plan_cuts(weights.tolist(), borders)
    return [
        [name for batch in read_cut(store, parts, SCHEMA, cut) for name in batch["name"].to_pylist()] for cut in cuts
    ]


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 5), st.integers(0, 5), st.integers(1, 40))
def test_files_do_not_depend_on_writers_and_boxes(tmp_path_factory, seed, count, writers, bits, size):
    rng = random.Random(seed)
    rows = [(f"d{number}", rng.randrange(1, 20)) for number in range(count)]
    total = sum(weight for _, weight in rows)
    borders = [*range(0, total, size), total]
    found = shuffled(LocalStore(tmp_path_factory.mktemp("s")), rows, writers, bits, borders)
    order = [rows[at] for at in np.argsort(keys_of([name for name, _ in rows], 0), kind="stable")]
    expected, before = [[] for _ in borders[1:]], 0
    for name, weight in order:
        expected[before // size].append(name)  # a file holds what begins in it
        before += weight
    assert found == expected


def test_rows_of_one_id_stay_in_the_order_of_input(tmp_path):
    rows = [("same", weight) for weight in (3, 1, 2)] + [("other", 1)]
    store = LocalStore(tmp_path)
    assert sorted(shuffled(store, rows, 2, 1, [0, 7])[0]) == ["other", "same", "same", "same"]


def test_seeds_give_other_orders():
    names = [f"d{number}" for number in range(50)]
    orders = {tuple(np.argsort(keys_of(names, seed)).tolist()) for seed in range(5)}
    assert len(orders) == 5


def test_more_bytes_have_more_boxes():
    assert [box_bits(size << 20) for size in (0, 1, 128, 129, 256, 257, 1 << 20)] == [0, 0, 0, 1, 1, 2, 13]
    assert box_bits(1 << 60) == 16


@pytest.mark.parametrize("sizes", [[], [5], [2, 3, 4], [1] * 9, [0, 7, 0]])
def test_groups_are_full(sizes):
    batches = [pa.RecordBatch.from_pydict({"n": pa.array(range(size), pa.int64())}) for size in sizes]
    groups = list(in_groups(iter(batches), 4))
    assert [group.num_rows for group in groups[:-1]] == [4] * (len(groups) - 1)
    assert [n for group in groups for n in group["n"].to_pylist()] == [n for size in sizes for n in range(size)]
    assert all(0 < group.num_rows <= 4 for group in groups)
