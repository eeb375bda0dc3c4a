"""`corpus ablate` on the command line."""

import json
import subprocess
import sys

import pytest

from tests.jobs.ablate.texts import half_shuffled, texts_of, write_texts
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arms")
    write_texts(folder / "plain", texts_of(0, 150))
    write_texts(folder / "shuffled", half_shuffled(texts_of(1, 150)))
    return folder


SMALL = ("--depth", 1, "--window", 16, "--batch", 4, "--tokens", 16 * 4 * 8, "--val-share", 0.1, "--eval-tokens", 200)


def test_the_plan_is_told_before_anything_is_written(corpus, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = corpus("ablate", folders / "plain", folders / "shuffled", "--plan", "--json")
    plan = json.loads(out)
    assert code == 0
    assert plan["tier"] == "smoke"
    assert plan["trainings"] == 18
    assert plan["hours"] > 0
    assert min(plan["detectable"]) > 0
    assert "Published evidence for transfer to large models: none" in err
    assert "of one CPU" in err
    assert not list(tmp_path.iterdir())
    more = json.loads(corpus("ablate", folders / "plain", folders / "shuffled", "--plan", "--json", "--seeds", 9)[1])
    for few, many in zip(plan["detectable"], more["detectable"], strict=True):
        assert many < 0.6 * few


def test_results_are_told_and_printed_as_json(corpus, folders, tmp_path):
    words = ("ablate", folders / "plain", f"odd={folders}/shuffled", "-o", tmp_path / "out", *SMALL, "--json")
    code, out, err = corpus(*words)
    found = json.loads(out)
    assert code == 0
    assert [one["arm"] for one in found["verdicts"]] == ["null", "odd"] * 2
    assert err.index("Before training") < err.index("Noise on plain") < err.index("verdict")
    assert "same data" in err
    assert corpus(*words)[1] == out


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--seeds", 1), "1 seed can't show what is noise. Give --seeds 3 or more."),
        (("--lm-eval", "arc_easy"), "--lm-eval needs the package lm_eval, which is not installed."),
        (("--tokens", 10**9), "has too few tokens"),
        (("--tokenizer", "nothing"), "There is no tokenizer nothing."),
        (("--held-out", "x=missing.jsonl"), "'x': there is no file missing.jsonl."),
        (("--questions", "missing.jsonl"), "missing.jsonl"),
    ],
)
def test_wrong_options_are_one_sentence(corpus, folders, words, wrong, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    asked = ("-o", tmp_path / "out") if words[0] == "--questions" else ("--plan",)
    code, _, err = corpus("ablate", folders / "plain", folders / "shuffled", *asked, *words)
    assert code in (1, 2)
    assert wrong in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_bytes(folders, tmp_path):
    arms = [str(folders / name) for name in ("plain", "shuffled")]
    names = ("results.json", "results.jsonl", "ablation.html")

    said = tmp_path / "said"

    def command(out):
        words = ["ablate", *arms, "-o", tmp_path / out, *SMALL, "--workers", 2]
        with said.open("w") as file:
            return subprocess.Popen([sys.executable, "-m", "jobs.cli", *map(str, words)], stderr=file)

    assert command("whole").wait() == 0, said.read_text()
    commits = tmp_path / "out" / ".work" / "commits" / "train"
    for least in (1, 5, 9, 13):
        process = command("out")
        wait_until(lambda: len(list(commits.glob("*"))) >= least or process.poll() is not None)  # noqa: B023
        assert process.poll() is None, said.read_text()
        process.kill()
        process.wait()
    assert command("out").wait() == 0, said.read_text()
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
