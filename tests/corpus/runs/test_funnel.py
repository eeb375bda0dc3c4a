"""The funnel of a run: every line takes its records from what was left, down to the kept ones."""

import pytest

from corpus.runs.funnel import FunnelRow, funnel


def info(dropped, kept):
    records = {"in": 20, "kept": kept, "dropped": dropped, "failed": {"damaged": 2, "crash": 1}, "skipped": {}}
    return {"records": records, "recipe": {"stages": [{"name": "first"}, {"name": "second"}]}}


def test_each_line_takes_its_records_from_those_left():
    assert funnel(info({"second": {"words": 4, "ratio": 3}}, kept=10)) == [
        FunnelRow("skipped", "skipped", {}, 0, 20),
        FunnelRow("failed", "failed", {"damaged": 2, "crash": 1}, 3, 17),
        FunnelRow("first", "dropped", {}, 0, 17),
        FunnelRow("second", "dropped", {"words": 4, "ratio": 3}, 7, 10),
    ]


@pytest.mark.parametrize("removed", [{}, {"removed": {"url": 5}}])
def test_pages_taken_down_have_a_line_before_the_stages(removed):
    kept = 16 - sum(sum(rules.values()) for rules in removed.values())
    rows = funnel(info({"first": {"words": 1}, **removed}, kept))
    assert [row.name for row in rows] == ["skipped", "failed", *removed, "first", "second"]
    assert rows[-1].left == kept
