import json

import numpy as np
import pytest

from corpus.errors import ConfigError
from filters.decontaminate.build import build_index
from filters.decontaminate.index import EvalIndex
from tests.filters.decontaminate.items import ITEMS


@pytest.fixture
def folder(tmp_path):
    build_index(ITEMS, tmp_path)
    return tmp_path


def change(folder, name, at, value):
    kind = {"text_needed": "<u2", "text_misses": "u1", "keys": "<u2", "filter": "u1"}.get(name, "<u4")
    array = np.fromfile(folder / f"{name}.bin", kind)
    array[at] = value
    array.tofile(folder / f"{name}.bin")


def change_json(folder, change):
    content = json.loads((folder / "index.json").read_text())
    change(content)
    (folder / "index.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("text_starts", 1, 1 << 31),
        ("text_starts", 0, 1),
        ("text_links", 1, 0),
        ("text_links", -1, 1 << 30),
        ("text_needed", 0, 0),
        ("links", 0, 4),
        ("links", 1, 1 << 20),
        ("partner_starts", 1, 1 << 20),
        ("places", 0, 1 << 31),
        ("buckets", 3, 1 << 31),
        ("buckets", -1, 0),
    ],
)
def test_a_number_that_leads_out_of_its_array_is_refused(folder, name, at, value):
    change(folder, name, at, value)
    with pytest.raises(ConfigError, match="do not fit together"):
        EvalIndex.open(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["arrays"]["words"].update(values=1 << 40),
        lambda content: content["arrays"]["words"].update(values=-1),
        lambda content: content["arrays"].pop("places"),
        lambda content: content.update(format=0),
        lambda content: content["benchmarks"][0].update(name="\x1b[2J"),
        lambda content: content["benchmarks"].append(content["benchmarks"][0]),
        lambda content: content["benchmarks"].clear(),
        lambda content: content.update(benchmarks={}),
    ],
)
def test_an_index_json_that_says_something_else_is_refused(folder, change):
    change_json(folder, change)
    with pytest.raises(ConfigError, match="no index of benchmark items, or is damaged"):
        EvalIndex.open(folder)


def test_a_file_that_is_cut_or_missing_is_refused(folder):
    (folder / "words.bin").write_bytes((folder / "words.bin").read_bytes()[:-1])
    with pytest.raises(ConfigError, match=r"words\.bin has another size"):
        EvalIndex.open(folder)
    (folder / "words.bin").unlink()
    with pytest.raises(ConfigError, match="can't be opened"):
        EvalIndex.open(folder)


def test_a_changed_word_shows_when_all_is_verified(folder):
    change(folder, "words", 0, 7)
    EvalIndex.open(folder)
    with pytest.raises(ConfigError, match="an array has changed"):
        EvalIndex.open(folder, verify=True)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 10_000])
def test_a_folder_without_an_index_is_refused(tmp_path, content):
    (tmp_path / "index.json").write_bytes(content)
    with pytest.raises(ConfigError, match="corpus evals index"):
        EvalIndex.open(tmp_path)


def test_an_interrupted_index_can_not_be_opened(folder, monkeypatch):
    monkeypatch.setattr("filters.decontaminate.index._tables", lambda *grams: {})
    with pytest.raises(KeyError):
        build_index(ITEMS, folder)
    with pytest.raises(ConfigError, match="can't be opened"):
        EvalIndex.open(folder)


def test_an_index_without_items_finds_nothing(tmp_path):
    index = build_index([], tmp_path)
    assert index.benchmarks == ()
    assert [len(one) for one in index.grams(np.arange(100, dtype=np.uint64))] == [0, 0]
