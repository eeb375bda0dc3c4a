"""`corpus tune` on the terminal."""

from click.testing import CliRunner

from jobs.cli import cli
from tests.corpus.revise.test_what_if import pages
from tests.ledgers import judged, recipe, write_run


def test_each_column_has_its_own_name_and_is_explained(tmp_path):
    folder = str(write_run(tmp_path / "run", recipe(), judged(recipe(), pages(40, 1))))
    shown = CliRunner().invoke(cli, ["tune", folder, "--set", "first.words.min=1"]).stdout
    lines = [line.strip() for line in shown.splitlines()]
    head = next(line for line in lines if line.startswith("rule ")).split()
    assert len(set(head)) == len(head)
    legend = " ".join(lines[lines.index(next(line for line in lines if line.startswith("lost, gained:"))) :])
    assert all(f"{name}:" in legend or f"{name}," in legend for name in head if name not in ("rule", "text"))
    rule = next(line for line in lines if line.startswith("first.words ")).split()
    assert rule[1].isdecimal()


def test_an_open_answer_is_two_numbers_and_where_the_exact_one_comes_from(tmp_path):
    folder = str(write_run(tmp_path / "run", recipe(), judged(recipe(), pages(40, 1))))
    answers = {
        setting: next(line for line in CliRunner().invoke(cli, ["tune", folder, "--set", setting]).stdout.splitlines()
                      if line.startswith("kept "))
        for setting in ("first.words.min=1000", "door.score=off")
    }  # fmt: skip
    assert "--write" not in answers["first.words.min=1000"]
    assert answers["door.score=off"].endswith("`--write` gives the exact number.")


def test_sizes_have_a_fitting_unit():
    from jobs.show.steering import _size

    assert [_size(one) for one in (0, -400, 12_345, 2_500_000)] == ["0", "-0.4 kB", "+12.3 kB", "+2.50 MB"]
