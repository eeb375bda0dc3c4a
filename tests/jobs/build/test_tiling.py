"""Ranges that do not tile: a false start is merged into the unit before it, and a unit that ends early is an error."""

import pytest

from corpus.errors import IntegrityError
from corpus.sandbox.unit import Unit
from jobs.build.volumes import merge, untiled


def unit(start, end, warc="w"):
    return Unit(warc, "/p", "x", "members", "gzip", "warc", start, end)


def test_units_that_tile_are_left_alone():
    units = [unit(0, 10), unit(10, 20), unit(0, 5, "v")]
    done = {units[0]: 10, units[1]: 20, units[2]: 5}
    assert untiled(units, done) == set()
    assert merge(units, set()) == units


def test_a_start_inside_a_member_is_merged_away():
    units = [unit(0, 10), unit(10, 20), unit(20, 30)]
    done = {units[0]: 13, units[1]: 20, units[2]: 30}
    assert untiled(units, done) == {units[1]}
    assert merge(units, {units[1]}) == [unit(0, 20), unit(20, 30)]


def test_several_false_starts_in_a_row():
    units = [unit(0, 10), unit(10, 20), unit(20, 30), unit(30, 40)]
    assert merge(units, {units[1], units[2]}) == [unit(0, 30), unit(30, 40)]


def test_an_archive_that_was_not_read_to_its_end():
    units = [unit(0, 10), unit(10, 20)]
    with pytest.raises(IntegrityError, match="up to byte 18 of 20"):
        untiled(units, {units[0]: 10, units[1]: 18})


def test_a_unit_that_was_given_up_says_nothing_of_the_next():
    units = [unit(0, 10), unit(10, 20)]
    assert untiled(units, {units[1]: 20}) == set()
