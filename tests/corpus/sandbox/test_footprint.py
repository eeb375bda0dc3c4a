"""The file that names the record at work."""

from corpus.sandbox.footprint import Footprint, read_footprint


def test_the_last_place_is_read_back(tmp_path) -> None:
    path = str(tmp_path / "footprint")
    assert read_footprint(path) is None
    trace = Footprint(path)
    trace.leave((2**63, 123_456))
    trace.leave((7, 0))  # shorter than the place before it
    trace.close()
    assert read_footprint(path) == (7, 0)


def test_no_path_means_no_footprint() -> None:
    trace = Footprint("")
    trace.leave((1, 2))
    trace.close()
    assert read_footprint("") is None


def test_a_file_with_anything_else_names_no_record(tmp_path) -> None:
    for content in (b"", b"12", b"1 2 3", b"one two", b"\0" * 48):
        (tmp_path / "x").write_bytes(content)
        assert read_footprint(str(tmp_path / "x")) is None


def test_a_footprint_that_can_not_be_written_is_no_failure(tmp_path) -> None:
    trace = Footprint(str(tmp_path / "no" / "such" / "folder"))
    trace.leave((1, 2))
    trace.close()
