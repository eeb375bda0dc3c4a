"""What units have seen of an archive, one by one and together."""

import os
from itertools import pairwise

import pytest

from corpus.sandbox.seen import is_unchanged, see, seen_together
from corpus.sandbox.unit import Unit

ENDS = (0, 1000, 1001, 4096, 5000)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(os.urandom(5000))
    return path


def seen_of(path, ends=ENDS):
    return [
        see(Unit(path.name, str(path), "x", "members", "gzip", "warc", start, end)) for start, end in pairwise(ends)
    ]


def test_units_in_a_row_are_one_record(archive, tmp_path):
    (one,) = seen_together(seen_of(archive))
    assert (one["start"], one["ends"]) == (0, [1000, 1001, 4096, 5000])
    assert [*seen_together(seen_of(archive, (0, 5000)))] == seen_of(archive, (0, 5000))
    copy = tmp_path / "copy"
    copy.write_bytes(archive.read_bytes())
    assert is_unchanged(one, str(archive), "")
    assert is_unchanged(one, str(copy), "")


@pytest.mark.parametrize("at", [0, 999, 1000, 1001, 4999])
def test_a_change_in_any_unit_is_noticed(archive, at):
    (one,) = seen_together(seen_of(archive))
    content = bytearray(archive.read_bytes())
    content[at] ^= 1
    archive.write_bytes(content)
    assert not is_unchanged(one, str(archive), "")


def test_units_with_a_gap_or_of_other_files_are_apart(archive, tmp_path):
    """A unit that was given up leaves a gap."""
    seen = seen_of(archive)
    assert [len(one["ends"]) for one in seen_together([seen[0], *seen[2:]])] == [1, 2]
    other = tmp_path / "b.warc.gz"
    other.write_bytes(b"x" * 5000)
    assert len(seen_together([*seen, *seen_of(other)])) == 2
    assert seen_together([]) == []


def test_behind_a_url_the_tag_decides(archive):
    seen = [{**one, "location": "https://a.example/a", "stamp": '5000 "e"', "sha256": ""} for one in seen_of(archive)]
    (one,) = seen_together(seen)
    assert one["sha256"] == ""
    assert is_unchanged(one, "https://a.example/a", '5000 "e"')
    assert not is_unchanged(one, "https://a.example/a", '5000 "f"')
