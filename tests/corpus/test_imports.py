"""Packages that a page worker does not import."""

import importlib.util
import subprocess
import sys

import pytest

from corpus.imports import HEAVY, without_heavy


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed, so nothing can import it"
)
def test_a_whole_recipe_is_ready_without_heavy_packages():
    program = (
        "import sys; from filters import load_recipe; load_recipe('default').pipeline().prepare(); "
        "print([name for name in ('torch', 'transformers', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_in_use_stays_and_the_rest_can_be_imported_later(monkeypatch):
    used = sys.modules["json"]
    monkeypatch.setitem(sys.modules, "torch", used)
    for name in HEAVY[1:]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    with without_heavy():
        assert sys.modules["torch"] is used
        with pytest.raises(ImportError):
            importlib.import_module(HEAVY[1])
    assert HEAVY[1] not in sys.modules


@pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="pandas is not installed")
def test_arrays_are_made_and_copied_without_pandas_until_somebody_asks_for_a_data_frame():
    program = (
        "import sys; import pyarrow as pa; from corpus.imports import leave_out_unused; leave_out_unused(); "
        "made = pa.table({'a': [1, None]}), pa.array([True]).to_numpy(zero_copy_only=False); "
        "print('pandas' in sys.modules, len(made[0].to_pandas()))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "2"]


def test_a_process_of_ours_finds_personal_data_without_spacy_and_can_load_it_later():
    program = (
        "import sys; from corpus.imports import leave_out_unused; leave_out_unused(); "
        "from corpus.text.words import split_words; from filters.pii.personal_data import Pii; "
        "stage = Pii(); stage.prepare(); found = stage.redact('Mail to ann@site.com, or call (212) 555-0143.'); "
        "words = split_words(\"They don't know.\"); print('spacy' in sys.modules, words, found); "
        "print(split_words('これは'), sys.modules['spacy'].__version__ > '3')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "False ['They', 'do', \"n't\", 'know', '.'] Mail to <EMAIL>, or call <PHONE>.",
        "['これは'] True",
    ]


def test_a_process_with_a_plugin_leaves_nothing_out(tmp_path):
    (tmp_path / "own.py").write_text("from corpus import Stage\n\n\nclass Own(Stage):\n    name = 'own'\n")
    program = (
        "import sys; from corpus.imports import leave_out_unused; leave_out_unused(); "
        "from corpus.plugins import read_plugin, stages_of; from filters.pii.personal_data import Pii; "
        f"stages_of([read_plugin({str(tmp_path / 'own.py')!r})]); Pii().prepare(); import presidio_analyzer; "
        "print(presidio_analyzer.nlp_engine.SpacyNlpEngine.__module__)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "presidio_analyzer.nlp_engine.spacy_nlp_engine", done.stderr
