"""Builds with stages of the user's own."""

import json
from pathlib import Path

import pytest

from corpus.plugins import Plugin, read_plugin
from corpus.revise.explain import explain
from corpus.run import open_run
from filters import load_recipe
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.runner.progress import Progress
from tests.engines import InProcess
from tests.jobs.build.test_build import tree
from tests.warcs import WORDS, page, write_warc

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    code = "<pre>" + "\n".join(f"int x{n} = {n};" for n in range(40)) + "</pre>" + WORDS
    return write_warc(folder / "w.warc.gz", {"http://a.example/": page(), "http://b.example/": page(body=code)})


@pytest.mark.parametrize("ray", [False, pytest.param(True, marks=pytest.mark.ray)])
def test_the_example_stage_gets_everything(archive, tmp_path, ray, request):
    module = read_plugin(str(EXAMPLES / "code_share.py"))
    recipe = load_recipe(str(EXAMPLES / "code_share.toml"), modules=[module])
    job = Job(recipe, [str(archive)], tmp_path / "out", modules=(module,))
    make = request.getfixturevalue("ray_engine") if ray else lambda: InProcess()
    build(job, make, Progress(quiet=True))
    run = open_run(tmp_path / "out")
    assert run.info["records"]["dropped"] == {"code_share": {"code_ratio": 1}}
    assert run.info["resources"]["module.code_share"] == module.digest
    (row,) = explain(run, "http://b.example/")
    measures = {m["measure"]: m for stage in row["stages"] if stage["stage"] == "code_share" for m in stage["measures"]}
    assert measures["code_ratio"]["ended_here"]
    assert measures["code_ratio"]["limit"] == {"max": 0.1}
    assert measures["code_lines"]["value"] >= 40


def test_a_changed_module_is_another_recipe(archive, tmp_path):
    source = (EXAMPLES / "code_share.py").read_text()
    for number, text in enumerate((source, source.replace("=>", "==>"))):
        module = Plugin("code_share", text)
        recipe = load_recipe(str(EXAMPLES / "code_share.toml"), modules=[module])
        build(
            Job(recipe, [str(archive)], tmp_path / str(number), modules=(module,)),
            lambda: InProcess(),
            Progress(quiet=True),
        )
    infos = [json.loads((tmp_path / name / "run.json").read_text()) for name in "01"]
    assert infos[0]["fingerprint"] != infos[1]["fingerprint"]
    assert tree(tmp_path / "0") != tree(tmp_path / "1")
