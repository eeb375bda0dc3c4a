"""What is said of a page that passed a comparison, that ended at one, or that came to none."""

import pytest

from corpus.revise.explain import _compared
from corpus.runs.run_files import RunFiles
from corpus.storage.store import LocalStore


@pytest.mark.parametrize(
    ("outcome", "stage", "compared"),
    [
        ("kept", None, ["pairs", "lines"]),
        ("dropped", "pairs", ["pairs"]),
        ("dropped", "lines", ["pairs", "lines"]),
        ("dropped", "last", []),
        ("dropped", "removed", []),
        ("failed", "first", []),
    ],
)
def test_the_comparisons_that_a_page_came_to(tmp_path, outcome, stage, compared):
    names = ("first", "pairs", "switched_off", "german", "lines", "last")
    info = {
        "recipe": {"stages": [{"name": name, **({"languages": ["de"]} if name == "german" else {})} for name in names]},
        "compared": dict.fromkeys(("pairs", "switched_off", "german", "lines")),
        "comparisons": dict.fromkeys(("pairs", "german", "lines")),
    }
    assert _compared(RunFiles(LocalStore(tmp_path), info), {"outcome": outcome, "stage": stage}) == compared
