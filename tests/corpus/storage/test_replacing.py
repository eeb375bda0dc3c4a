"""Files of the user are whole or absent, and no link leads a writer elsewhere."""

import os

import pytest

from corpus.storage.replacing import replacing, write_whole


def test_the_file_takes_its_place_at_the_end(tmp_path):
    path = tmp_path / "list"
    path.write_text("old")
    with replacing(path) as scratch:
        scratch.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["list"]


def test_after_an_exception_all_is_as_before(tmp_path):
    path = tmp_path / "list"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as scratch:
        scratch.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["list"]


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    path = tmp_path / "list"
    path.symlink_to(tmp_path / "precious")
    write_whole(path, b"new")
    assert (path.read_text(), (tmp_path / "precious").read_text()) == ("new", "precious")
    assert not path.is_symlink()


def test_nobody_can_foretell_the_name_of_the_scratch_file(tmp_path):
    names = set()
    for _ in range(9):
        with replacing(tmp_path / "list") as scratch:
            scratch.touch()
            names.add(scratch.name)
    assert len(names) == 9
