"""Ledger rows under other limits: rows whose pages are not read again are those that a pass with these limits
writes."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.revise.ledger_replay import READ, STAYS, LedgerReplay
from corpus.run import open_run
from corpus.tables.ledger import ledger_row, ledger_schema
from tests.corpus.revise.test_what_if import OF_LANGUAGES, SETTINGS, pages
from tests.ledgers import REGISTRY, judged, recipe, write_run


@pytest.mark.parametrize("by_language", [False, True])
@pytest.mark.parametrize("measures", ["all", "first"])
@pytest.mark.parametrize("seed", range(10))
def test_rows_are_those_of_a_pass_with_the_new_limits(tmp_path, measures, seed, by_language):
    """This holds for any order of the stages, with gates before and after stages whose drops are measured further."""
    rng = random.Random(seed)
    top = {"stages": [{"stage": name} for name in rng.sample(sorted(REGISTRY), 4)], "measures": measures}
    names = [stage["stage"] for stage in top["stages"]]
    before_door = names[: names.index("door")]
    known = [one for one in OF_LANGUAGES if one.split(".")[0] not in before_door] if by_language else SETTINGS
    settings = ['first.note.one_of=["a", "b"]', *rng.sample(known, rng.choice([1, 1, 2, 3]))]
    measured = pages(300, seed, failing=0.05)
    for page in rng.sample(measured, 60):
        page["first.note"] = ""
    old, new = recipe((), by_language, **top), recipe(settings, by_language, **top)
    run = open_run(write_run(tmp_path / "run", old, judged(old, measured)))
    before = pq.read_table(run.paths("ledger")[0])
    replay = LedgerReplay(run.info, new, True, None)
    actions = replay.actions(before.select)
    rows = [ledger_row(one, "w.warc.gz", number, None) for number, one in enumerate(judged(new, measured))]
    expected = pa.Table.from_pylist(rows, ledger_schema(new.pipeline().columns)).to_pylist()
    for made, row, action in zip(replay.table(before, actions).to_pylist(), expected, actions.action, strict=True):
        assert action == READ or made == row
    assert (actions.action == STAYS).any()
