"""One run replaces another. After a kill at any step, the swap can be finished and the new run is complete."""

import os
import shutil

import pytest

from corpus.errors import IntegrityError
from corpus.storage.store import LocalStore
from corpus.storage.swap import JOURNAL, check_no_swap, finish_swap, swap

FRESH = ".work/takedown-0123456789abcdef"


def write(root, content):
    for name, text in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(root):
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


OLD = {"corpus/1": "a", "corpus/2": "b", "ledger/1": "c", "index/1": "d", "report.html": "e", "run.json": "f"}
NEW = {"corpus/1": "A", "ledger/1": "C", "run.json": "F", "removed.json": "G"}


def prepared(folder):
    write(folder, OLD)
    write(folder / ".work" / "takedown-0123456789abcdef", NEW)
    return LocalStore(folder)


def test_files_are_replaced_and_files_without_a_successor_removed(tmp_path):
    store = prepared(tmp_path)
    swap(store, FRESH)
    assert read(tmp_path) == NEW
    check_no_swap(store)


@pytest.mark.parametrize("call", ["rename", "fsync", "rmtree"])
def test_a_kill_at_any_step(tmp_path, monkeypatch, call):
    steps = 0
    while True:
        folder = tmp_path / f"{steps}"
        store = prepared(folder)
        left = [steps]
        module = shutil if call == "rmtree" else os
        real = getattr(module, call)

        def killed(*args, left=left, real=real, **options):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(*args, **options)

        with monkeypatch.context() as patched:
            patched.setattr(module, call, killed)
            try:
                swap(store, FRESH)
                break
            except KeyboardInterrupt:
                pass
        if store.path(JOURNAL).exists():
            with pytest.raises(IntegrityError, match="was interrupted"):
                check_no_swap(store)
            assert finish_swap(store)
            assert read(folder) == NEW
        else:
            assert read(folder) == {**OLD, **{f"{FRESH}/{name}": text for name, text in NEW.items()}}
        steps += 1
    assert steps >= {"rename": 7, "fsync": 1, "rmtree": 2}[call]


def test_nothing_to_finish(tmp_path):
    assert not finish_swap(LocalStore(tmp_path))
