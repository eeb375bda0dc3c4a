"""The layout of rows in files."""

import itertools

import pytest

from corpus.tokens.row_files import FILE_BYTES, GROUP_ROWS, plan_rows


@pytest.mark.parametrize("documents", [2, 3, 7, 100, 2048, 8191, 8192, 8200, 100_000, 3_000_000])
@pytest.mark.parametrize("mean_bytes", [100, 4000])
def test_layouts(documents, mean_bytes):
    layout = plan_rows(documents, documents * mean_bytes)
    sizes = [stop - start for start, stop in itertools.pairwise(layout.borders)]
    assert sum(sizes) == documents
    assert len(sizes) >= 2
    assert all(size and size % layout.group == 0 for size in sizes[:-1])
    assert sizes[-1] >= layout.group
    assert layout.group == GROUP_ROWS or documents < 8 * GROUP_ROWS
    if documents >= 8 * GROUP_ROWS:
        assert sizes[-1] <= max(0.25 * documents, GROUP_ROWS)
        assert max(sizes[:-1]) * mean_bytes < 1.6 * FILE_BYTES
        assert max(sizes[:-1]) - min(sizes[:-1]) <= GROUP_ROWS
    if documents >= 64 * GROUP_ROWS:
        assert layout.val_groups >= 8
