"""Files with excerpts of pages are for their owner alone, unless the user shares them."""

import os
import stat

import pytest

from corpus.run import open_run
from corpus.storage.store import LocalStore
from tests.security.test_hostile_folder import run


@pytest.fixture(autouse=True)
def open_umask():
    """The worst umask: it keeps nothing from others."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "s.warc.gz"
    assert run("sample", "-o", path, "--pages", "60")[0] == 0
    return path


def modes(folder):
    """The modes of the private folders of a run and of all that is in them, and the modes of the rest."""
    found = {True: set(), False: set()}
    for path in folder.rglob("*"):
        first = path.relative_to(folder).parts[0]
        kind = "folder" if path.is_dir() else "file"
        found[first in ("samples", "index", "report.html")].add((kind, stat.S_IMODE(path.stat().st_mode)))
    return found[True], found[False]


PRIVATE = {("folder", 0o700), ("file", 0o600)}
ORDINARY = {("folder", 0o777), ("file", 0o666)}


def test_samples_index_and_report_are_private_until_they_are_shared(archive, tmp_path):
    out = tmp_path / "out"
    assert run("build", archive, "-o", out)[0] == 0
    assert run("report", out)[0] == 0
    assert modes(out) == (PRIVATE, ORDINARY)
    (tmp_path / "urls.txt").write_text(open_run(out).corpus(columns=["url"])["url"][0].as_py())
    assert run("remove", out, "--urls", tmp_path / "urls.txt")[0] == 0
    assert modes(out) == (PRIVATE, ORDINARY)
    setting = ("--set", "gopher_quality.words.min=30")
    assert run("tune", out, *setting, "--write", tmp_path / "tuned", "--share")[0] == 0
    assert run("report", tmp_path / "tuned", "--share")[0] == 0
    assert modes(tmp_path / "tuned") == (ORDINARY, ORDINARY)
    assert run("remove", tmp_path / "tuned", "--urls", tmp_path / "urls.txt")[0] in (0, 3)
    assert modes(tmp_path / "tuned") == (ORDINARY, ORDINARY)


@pytest.mark.parametrize("share", [False, True])
def test_intermediate_files_lie_in_a_folder_that_only_the_owner_can_open(tmp_path, share):
    store = LocalStore(tmp_path / "out")
    store.prepare()
    with store.only_run(share):
        assert stat.S_IMODE(store.path(".work").stat().st_mode) == (0o777 if share else 0o700)
        store.put_new("samples/x", b"x")
        assert modes(store.root)[0] == (ORDINARY if share else PRIVATE)


def test_a_shared_folder_obeys_the_umask(tmp_path):
    os.umask(0o027)
    store = LocalStore(tmp_path / "out")
    store.prepare()
    with store.only_run(share=True):
        store.put_new("index/x", b"x")
    assert modes(store.root)[0] == {("folder", 0o750), ("file", 0o640)}


def test_an_attempt_that_comes_late_makes_a_private_folder(tmp_path):
    LocalStore(tmp_path).scratch()
    assert stat.S_IMODE((tmp_path / ".work").stat().st_mode) == 0o700


def test_the_file_of_a_crash_is_private(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("jobs.verbs.look.open_run", lambda folder: 1 / 0)
    code, said = run("verify", tmp_path)
    assert code == 70
    (file,) = tmp_path.glob("corpus-bug-*")
    assert str(file) in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
