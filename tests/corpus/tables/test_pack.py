"""The pack phase: files and row groups depend on the rows, and not on the units that made them."""

import json

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from corpus.errors import IntegrityError
from corpus.storage.boxes import Outbox
from corpus.storage.commits import Commit, add_part
from corpus.storage.store import LocalStore
from corpus.tables.ledger import CORPUS_SCHEMA
from corpus.tables.pack import PackTask, pack_part, plan_pack
from corpus.tables.verdicts import VERDICT_SCHEMAS, Compared, GroupBoxes, Verdicts


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "out")


def corpus_table(first, rows):
    numbers = range(first, first + rows)
    return pa.Table.from_pylist(
        [{"id": f"a:{n}", "text": f"text {n}", "duplicates": 0, "warc": "a", "offset": n} for n in numbers],
        schema=CORPUS_SCHEMA,
    )


def units(store, sizes, chunk=4):
    """One commit for each unit. The corpus rows of all units are numbered in one series."""
    commits, first = [], 0
    for number, rows in enumerate(sizes):
        scratch = store.scratch()
        with pa.ipc.new_file(scratch, CORPUS_SCHEMA) as writer:
            writer.write_table(corpus_table(first, rows), max_chunksize=chunk)
        commits.append(Commit(str(number), (add_part(store, "corpus", scratch, rows),), {}))
        first += rows
    return commits


def packed(store, tasks):
    return [pq.read_table(store.local(pack_part(store, task, CORPUS_SCHEMA).parts[0].key)) for task in tasks]


@pytest.mark.parametrize("sizes", [[25], [10, 15], [0, 1, 24, 0], [9, 8, 8]])
def test_files_do_not_depend_on_units(store, tmp_path, sizes):
    tasks = [*plan_pack(units(store, sizes), {"corpus": 10})]
    assert [task.rows for task in tasks] == [10, 10, 5]
    made = packed(store, tasks)
    assert [n for table in made for n in table["offset"].to_pylist()] == list(range(25))
    other = LocalStore(tmp_path / "other")
    packed(other, plan_pack(units(other, [25], chunk=25), {"corpus": 10}))
    for task in tasks:
        assert store.get(task.key) == other.get(task.key)


def test_no_rows_are_one_file_with_the_schema(store):
    tasks = [*plan_pack(units(store, [0, 0]), {"corpus": 10})]
    assert [table.schema.names for table in packed(store, tasks)] == [CORPUS_SCHEMA.names]


def test_a_task_survives_its_way_through_json(store):
    for task in plan_pack(units(store, [3, 9]), {"corpus": 5}, [removing(store, [[0], [1, 8]])]):
        assert PackTask.from_stored(store, json.loads(json.dumps(task.stored(store)))) == task


def removing(store, rows):
    """The verdicts of a comparison that removes these corpus rows of each unit."""
    schema = VERDICT_SCHEMAS["documents"]
    with Outbox(store, "verdicts", len(rows)) as out:
        for unit, removed in enumerate(rows):
            verdicts = [{"corpus_row": n, "id": "x", "removed": True, "cluster_size": 1} for n in removed]
            out.put(unit, pa.RecordBatch.from_pylist(verdicts, schema=schema))
        part = out.finish()
    boxes = GroupBoxes("documents", [part], [0, len(rows)])
    return Verdicts(Compared("minhash", "documents", {}), boxes, [len(one) for one in rows], {}, "", {})


def test_removed_rows_leave_no_gap(store):
    tasks = [*plan_pack(units(store, [12, 13]), {"corpus": 10}, [removing(store, [[0, 5, 11], [0, 12]])])]
    assert [task.rows for task in tasks] == [10, 10]
    made = [n for table in packed(store, tasks) for n in table["offset"].to_pylist()]
    assert made == [n for n in range(25) if n not in (0, 5, 11, 12, 24)]


def test_a_wrong_count_is_found(store):
    """The verdicts remove two rows, and the plan expects that they remove one."""
    verdicts = removing(store, [[0, 5]])
    verdicts.removed[0] = 1
    (task,) = plan_pack(units(store, [12]), {"corpus": 20}, [verdicts])
    with pytest.raises(IntegrityError, match="got 10 rows instead of 11"):
        pack_part(store, task, CORPUS_SCHEMA)
    assert store.size(task.key) is None
    assert not any(store.path(".work/tmp").iterdir())


def test_a_packed_file_is_made_again_only_if_it_is_gone(store):
    (task,) = plan_pack(units(store, [12]), {"corpus": 20})
    first = pack_part(store, task, CORPUS_SCHEMA)
    content = store.get(task.key)
    store.path(task.slices[0].part.key).rename(store.root / "aside")
    assert pack_part(store, task, CORPUS_SCHEMA) == first
    store.discard(task.key)
    with pytest.raises(IntegrityError, match="is missing"):
        pack_part(store, task, CORPUS_SCHEMA)
    (store.root / "aside").rename(store.path(task.slices[0].part.key))
    assert pack_part(store, task, CORPUS_SCHEMA) == first
    assert store.get(task.key) == content
