"""Names from the files of a run folder: none becomes a path outside of the folder."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import IntegrityError
from corpus.storage.safe_join import safe_join
from corpus.storage.store import LocalStore

LEADS_OUT = ["../victim", "/etc/hostname", "corpus/../../victim", "", ".", "..", "a\0b", "a/./b", "a//b", "x" * 300,
             "é", "a" + "/b" * 600, 7, None, ["corpus"], "a\nb", "C:\\x", "~root"]  # fmt: skip


@pytest.mark.parametrize("name", LEADS_OUT, ids=lambda name: ascii(name)[:20])
def test_a_name_that_leads_out_is_no_path(tmp_path, name):
    with pytest.raises(IntegrityError):
        safe_join(tmp_path, name)


def test_names_of_ours_are_paths(tmp_path):
    for name in ("corpus/part-00000.parquet", ".work/commits/pass/0a.json", "run.json", ".work/tmp/1-2"):
        assert safe_join(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("part", ["corpus", "corpus/part"])
def test_a_link_is_no_part(tmp_path, part):
    (tmp_path / "victim").mkdir()
    link = tmp_path / "run" / part
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "victim")
    with pytest.raises(IntegrityError, match="symbolic link"):
        LocalStore(tmp_path / "run").get("corpus/part")


@given(st.text() | st.lists(st.sampled_from(["..", ".", "a", "corpus", "", "/"])).map("/".join))
def test_no_name_leads_out(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    try:
        path = safe_join(folder, name)
    except IntegrityError:
        return
    assert Path(os.path.normpath(path)) == path
    assert folder in path.parents
