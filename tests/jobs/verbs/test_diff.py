"""`corpus diff` on the command line."""

import json

from click.testing import CliRunner

from jobs.cli import cli
from tests.corpus.revise.test_what_if import pages
from tests.ledgers import judged, recipe, write_run


def test_runs_with_no_place_in_common_can_be_compared_by_url(tmp_path):
    folders = []
    for name, shift in (("before", 0), ("after", 5000)):
        outcomes = judged(recipe(), pages(40, 1))
        for number, one in enumerate(outcomes):
            one.doc.id = f"w.warc.gz:{number + shift}"
        folders.append(str(write_run(tmp_path / name, recipe(), outcomes)))
    by_place = CliRunner().invoke(cli, ["diff", *folders, "--json"])
    assert "--by url compares them by URL" in by_place.stderr
    assert json.loads(by_place.stdout)["same"] == 0
    by_url = CliRunner().invoke(cli, ["diff", *folders, "--by", "url", "--json"])
    assert by_url.stderr == ""
    found = json.loads(by_url.stdout)
    assert (found["same"], found["moves"], found["texts"]["other"]) == (40, [], 0)


def test_moves_are_shown_under_the_names_of_the_runs_with_whole_urls(tmp_path):
    url = f"http://a.example/{'long' * 60}"
    folders = []
    for name, words in (("before/out", 5), ("after/out", 100)):
        (one,) = judged(recipe(), [{**pages(1, 1)[0], "door.score": 0.9, "first.words": words}])
        one.doc.url = url
        folders.append(str(write_run(tmp_path / name, recipe(), [one])))
    shown = CliRunner().invoke(cli, ["diff", *folders]).stdout
    assert f"{folders[0]}  {folders[1]}  records\n" in shown  # the last parts of the paths are equal
    assert f"   for example {url}\n" in shown
    (tmp_path / "before" / "out").rename(tmp_path / "older")
    shown = CliRunner().invoke(cli, ["diff", str(tmp_path / "older"), folders[1]]).stdout
    assert " older " in shown
    assert str(tmp_path) not in shown
