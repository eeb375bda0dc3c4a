"""Ablations of made corpora: what they find, what they do not find, and what training never sees."""

import json

import pytest

from tests.jobs.ablate.texts import half_shuffled, job_of, run, texts_of, verdicts, write_texts


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A corpus, another one like it, and one with shuffled words."""
    folder = tmp_path_factory.mktemp("arms")
    write_texts(folder / "plain", texts_of(0))
    write_texts(folder / "alike", texts_of(1))
    write_texts(folder / "shuffled", half_shuffled(texts_of(2)))
    return folder


@pytest.fixture(scope="module")
def ablation(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("ablation") / "out"
    arms = [folders / name for name in ("plain", "alike", "shuffled")]
    done = run(job_of(out, *arms))
    assert done.exit_code == 0
    return out, done.info


def test_shuffled_words_are_worse(ablation):
    _, results = ablation
    assert verdicts(results, "shuffled")["plain"] == "worse"
    print(json.dumps(results["verdicts"], indent=1))
