"""A unit in this process: the same rows however its records are divided into batches, and records it must not touch."""

import json

import pyarrow as pa
import pytest

from corpus.outcome import REMOVED
from corpus.sandbox import unit as units
from corpus.sandbox.unit import Unit, UnitOptions, run_unit
from corpus.tables.takedown import Takedown
from corpus.warc.source import LocalSource
from tests.stubs import Hostile, recipe_from_dict
from tests.warcs import page, write_warc

STAGES = {"stages": [{"stage": "hostile"}, {"stage": "paragraphs", "chars": {"min": 200}}]}


@pytest.fixture
def archive(tmp_path):
    """An archive of ten pages, of which every third is too short."""
    pages = {
        f"http://s{n}.example/": page(f"{n}", "short" if n % 3 == 0 else f"A sentence {n}. " * 40) for n in range(10)
    }
    return write_warc(tmp_path / "w.warc.gz", pages)


def whole(archive):
    return Unit(archive.name, str(archive), "x", "members", "gzip", "warc", 0, archive.stat().st_size)


def batches(archive, options=None, unit=None, **calls):
    source = LocalSource(archive)
    return list(run_unit(recipe_from_dict(STAGES).pipeline(), source, unit or whole(archive), options, **calls))


def rows(found, kind="ledger"):
    return pa.concat_tables([batch.tables[kind] for batch in found]).to_pylist()


def places(archive):
    return [(row["offset"], 0) for row in rows(batches(archive))]


def test_a_unit_is_one_batch_with_all_that_it_found(archive):
    (batch,) = batches(archive)
    assert batch.done
    assert batch.next == (archive.stat().st_size, 0)
    assert batch.counts == {"in": 10, "kept": 6, "dropped": {"paragraphs": {"chars": 4}}, "failed": {}, "skipped": {}}
    assert batch.other_records == {"request": 10}
    assert batch.tables["corpus"].num_rows == 6
    assert {row["rule"] for row in rows([batch], "samples")} == {"kept", "paragraphs.chars"}
    assert set(batch.seconds) == {"hostile", "paragraphs"}


@pytest.mark.parametrize(
    ("name", "value"), [("RECORDS_PER_BATCH", 1), ("RECORDS_PER_BATCH", 7), ("BYTES_PER_BATCH", 1)]
)
def test_the_size_of_a_batch_changes_no_row(archive, monkeypatch, name, value):
    expected = rows(batches(archive))
    monkeypatch.setattr(units, name, value)
    found = batches(archive)
    assert len(found) > 2
    assert rows(found) == expected
    assert [batch.done for batch in found] == [False] * (len(found) - 1) + [True]


def test_it_goes_on_after_any_batch(archive, monkeypatch):
    monkeypatch.setattr(units, "RECORDS_PER_BATCH", 3)
    found = batches(archive)
    for number in range(len(found) - 1):
        rest = batches(archive, UnitOptions(resume=found[number].next))
        assert rows([*found[: number + 1], *rest]) == rows(found)


def test_each_record_is_announced_before_it_is_touched(archive):
    seen = []
    batches(archive, announce=seen.append)
    assert set(places(archive)) <= set(seen)
    assert seen[0] == (0, 0)


def test_a_failed_record_is_not_touched(archive):
    bad = places(archive)[4]
    found = rows(batches(archive, UnitOptions(failed={bad: "timeout"})))
    assert [(row["outcome"], row["rule"]) for row in found if (row["offset"], 0) == bad] == [("failed", "timeout")]
    assert [row for row in found if (row["offset"], 0) != bad] == [
        row for row in rows(batches(archive)) if (row["offset"], 0) != bad
    ]


def test_a_record_that_stopped_a_worker_is_a_batch_of_its_own_and_listed(archive):
    suspect = places(archive)[4]
    before, own, after = batches(archive, UnitOptions(alone={suspect: "crash"}))
    assert before.next == suspect
    assert [(row["offset"], 0) for row in rows([own])] == [suspect]
    assert own.exceptions == [{"id": f"w.warc.gz:{suspect[0]}", "stopped_by": "crash"}]
    assert before.exceptions == after.exceptions == []
    assert rows([before, own, after]) == rows(batches(archive))


def test_a_record_whose_worker_was_killed_from_outside_is_not_listed(archive):
    found = batches(archive, UnitOptions(alone={places(archive)[4]: "killed"}))
    assert [batch.exceptions for batch in found] == [[], [], []]


def test_only_some_records_are_read(archive):
    wanted = places(archive)[2::3]
    found = batches(archive, UnitOptions(only=wanted))
    assert [(row["offset"], 0) for row in rows(found)] == wanted
    assert found[-1].other_records == {}
    rest = batches(archive, UnitOptions(only=wanted, resume=wanted[1]))
    assert [(row["offset"], 0) for row in rows(rest)] == wanted[1:]


def test_pages_on_a_takedown_list_reach_no_stage(archive, tmp_path):
    (tmp_path / "removed.json").write_bytes(Takedown.of(["http://s4.example/"]).as_json())
    found = batches(archive, UnitOptions(takedown=str(tmp_path / "removed.json")))
    (row,) = [row for row in rows(found) if row["url"] == "http://s4.example/"]
    assert (row["outcome"], row["stage"], row["rule"]) == ("dropped", REMOVED, "url")
    assert row["hostile.survived"] is None
    assert found[0].counts["dropped"][REMOVED] == {"url": 1}
    assert all(sample["url"] != "http://s4.example/" for sample in rows(found, "samples"))


def test_a_page_without_memory_gets_more_and_is_listed(archive, monkeypatch):
    granted = []

    def hungry(stage, doc):
        if doc.url == "http://s4.example/" and granted[-1:] != [True]:
            raise MemoryError
        yield "survived", 1

    monkeypatch.setattr(Hostile, "apply", hungry)
    (batch,) = batches(archive, grant=granted.append)
    assert granted == [True, False]
    assert batch.counts["failed"] == {}
    assert [one["stopped_by"] for one in batch.exceptions] == ["memory"]


def test_a_file_that_is_no_archive_is_one_damage(tmp_path):
    path = tmp_path / "w.warc.gz"
    path.write_bytes(b"not an archive")
    (batch,) = batches(path, unit=Unit(path.name, str(path), "x", "junk", "plain", "warc", 0, 14))
    (row,) = rows([batch])
    assert (row["outcome"], row["rule"], row["length"]) == ("failed", "damaged", 14)


def test_options_come_back_from_json():
    options = UnitOptions(
        [(1, 0), (5, 2)], "list", "print", resume=(1, 0), failed={(5, 2): "crash"}, alone={(1, 0): "x"}
    )
    assert UnitOptions.from_dict(json.loads(json.dumps(options.as_dict()))) == options
    assert UnitOptions.from_dict(UnitOptions(wall_s=1.0).as_dict()) == UnitOptions()


def test_the_content_of_a_unit_has_no_location():
    unit = Unit("w.warc.gz", "https://key@host/w.warc.gz", "x", "members", "gzip", "warc", 0, 9, tag="9 etag")
    assert "host" not in json.dumps(unit.content())
    assert unit.content() == Unit("w.warc.gz", "/data/w.warc.gz", "x", "members", "gzip", "warc", 0, 9).content()
