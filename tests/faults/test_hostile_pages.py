"""Hostile pages in the page worker with the default recipe. Each costs one row, within the limits of a page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from corpus.sandbox.guard import GuardSettings
from filters.extract import Extract
from tests.faults.pages import ANY, KINDS, around, nested
from tests.faults.workers import PageWorker, fate
from tests.warcs import http, page

CPU_S = 20.0
"""The guard stops a page after 30 s. Deterministic limits must end a hostile page earlier."""
PEAK_BYTES = 2 << 30

SLOW = {
    "100 MB of text", "100 MB without a tag", "5 MB of JSON-LD", "two million words", "one word of 3 MB",
    "addresses, half a million", "a million lines", "NULs, 4 MB", "brackets, a million", "an unclosed script of 4 MB",
    "14,900 table rows, at the cap", "29,900 tiny paragraphs, at the cap", "20,000 links", "misnested formatting",
    "5,000 attributes, at the cap", "60,000 open formatting tags", "bomb in a bomb", "zstd bomb",
    "folded headers, 4 MB", "e-mail addresses, 50,000", "phone numbers, 60,000", "card numbers, 50,000",
    "entities, cut short", "digits that nearly are phone numbers", "interim answers, 1 MB",
}  # fmt: skip


@pytest.fixture(scope="module")
def worker(tmp_path_factory) -> Iterator[PageWorker]:
    made = PageWorker(tmp_path_factory.mktemp("hostile"))
    made.run(http(page()))  # a first page, because loading models is no page's cost
    yield made
    made.close()


def check(worker: PageWorker, kind: str) -> tuple[str, float, int]:
    hostile = KINDS[kind]
    row, cost = worker.run(hostile.block())
    end = fate(row)
    if hostile.ends == ANY:
        assert end == "kept" or row["outcome"] in ANY
    else:
        assert end in hostile.ends or row["stage"] in hostile.ends, end
    assert row["outcome"] != "failed" or row["rule"] in ("error", "memory"), "only the clock or a crash ended it"
    assert not cost.restarted
    assert cost.peak < PEAK_BYTES, f"{cost.peak >> 20} MB"
    return end, cost.cpu, cost.peak


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SLOW])
def test_a_hostile_page_costs_one_row(worker, kind: str) -> None:
    check(worker, kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_page_stays_within_its_caps(worker, record_result, kind: str) -> None:
    end, cpu, peak = check(worker, kind)
    assert cpu < CPU_S
    record_result(
        f"page: {kind}",
        tried=1,
        measured=f"{end}; {cpu:.1f} s CPU, {peak / (1 << 20):,.0f} MB",
        limit=f"{CPU_S:.0f} s, {PEAK_BYTES >> 20:,} MB",
    )


def sentence(depth: int) -> bytes:
    return (
        b"<p>The words at depth %d are as good as any others, and nobody should lose them, said the mayor.</p>" % depth
    )


@pytest.mark.parametrize("depth", [200, 256, 300, 500, 900])
def test_text_below_depth_256_is_kept(worker, depth: int) -> None:
    """libxml2 alone would drop this text and everything after it."""
    inside = b"<div>" * depth + sentence(depth) + b"</div>" * depth + sentence(0)
    row, _ = worker.run(around(inside))
    assert fate(row) == "kept"
    text = worker.texts["http://hostile.example/"]
    assert f"words at depth {depth} are" in text
    assert "words at depth 0 are" in text


def test_a_page_nested_too_deep_is_named(worker) -> None:
    limit = Extract.depth.max
    row, _ = worker.run(nested(int(limit) + 1))
    assert (fate(row), row["limit"]) == ("extract.depth", limit)
    assert limit < row["value"] <= limit + 3  # html and body count too


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "kind"),
    [("segfault", "crash"), ("abort", "crash"), ("exit", "crash"), ("allocate", "memory"), ("loop", "timeout")],
)
def test_native_crash_and_allocator(tmp_path, record_result, act: str, kind: str) -> None:
    """A page crashes native code under the default recipe. The pages before and after it are untouched."""
    worker = PageWorker(tmp_path, GuardSettings(page_cpu_s=5, alone=2))
    try:
        row, _ = worker.run(http(page()), f"http://hostile.example/?{act}")
        assert (row["outcome"], row["rule"]) == ("failed", kind)
        assert worker.counts["failed"] == {kind: 1}
    finally:
        worker.close()
    record_result(
        f"page that makes native code do: {act}", tried=1, measured=f"failed ({kind}), 2 pages beside it kept"
    )
