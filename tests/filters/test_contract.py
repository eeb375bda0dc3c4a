"""The promises of every registered stage, checked on texts that break careless code."""

import importlib
import inspect
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.collective import Collective
from corpus.document import Document
from corpus.pipeline import Pipeline
from corpus.recipes import RESERVED
from corpus.stage import BoundStage, Limit, param_names
from corpus.warc.record import Record
from filters import STAGES, load_recipe, recipe_names
from tests.warcs import WORDS, http, page

TEXTS = {
    "empty": "",
    "one char": "a",
    "space": " \n\t \n",
    "one long line": "word " * 200_000,
    "no spaces": "x" * 1_000_000,
    "NUL": "a\0b\0\0 c",
    "lone surrogate": "caf\udce9 \ud800 end",
    "right to left": "שלום עולם. זה טקסט\nمرحبا بالعالم\n",
    "bidi controls": "\u202eevil\u202c \u2066x\u2069",
    "symbols": "#… • - { } [1] [edit] ...\n" * 20,
    "astral": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 😀 " * 50,
    "prose": WORDS,
    "repeated": (WORDS + "\n\n") * 20,
}
URLS = [
    "",
    "http://a.example/x?y=1",
    "not a url",
    "http://[::1",
    "http://user:pw@\0/%zz",
    "ht\ud800tp://\u202e.x/" + "a" * 5000,
]


@pytest.fixture(params=sorted(STAGES), scope="module")
def stage(request):
    made = STAGES[request.param]()
    made.prepare()
    return made


def measure(stage, doc):
    return [(name, value) for name, value, *_ in stage.apply(doc)]


def documents(text):
    """A bare text, and a page that holds it."""
    yield lambda: Document(text=text, url="http://a.example/")
    block = http(
        page("A town", text).decode("utf-8", "surrogatepass").encode("utf-8", "surrogatepass")
        if text.isascii()
        else b""
    )
    headers = {"warc-target-uri": "http://a.example/", "content-type": "application/http; msgtype=response"}
    yield lambda: Document.of(Record("w", 0, "response", headers, block, len(block)))


def test_a_stage_that_measures_texts_says_so(stage):
    """Recipes are checked by `reads`: a stage that reads texts and does not say so may stand before extraction."""
    found = [measure(stage, Document(text=text, url="http://a.example/")) for text in TEXTS.values()]
    if any(measures != found[0] for measures in found):
        assert "text" in (*stage.reads, *stage.sets)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_total_and_deterministic(stage, text):
    for make in documents(text):
        once, again = make(), make()
        measures = measure(stage, once)
        assert measures == measure(stage, again)
        assert once.text == again.text
        for name, value in measures:
            limit = type(stage).limits[name]
            assert value is None or type(value) is limit.of, name
            assert not isinstance(value, float) or math.isfinite(value), name


@pytest.mark.parametrize("url", URLS)
def test_any_url(stage, url):
    measure(stage, Document(url=url, text=WORDS))


def test_a_batch_gives_the_measures_of_single_documents(stage):
    """So a verdict does not depend on the documents that happen to be judged together."""
    if isinstance(stage, Collective):
        return
    made = [make for text in TEXTS.values() for make in documents(text)]
    together = [[(name, value) for name, value, *_ in one] for one in stage.apply_batch([make() for make in made])]
    assert together == [measure(stage, make()) for make in made]


def test_measures_come_once_and_in_the_order_declared(stage):
    declared = list(type(stage).limits)
    for text in TEXTS.values():
        for make in documents(text):
            names = [name for name, _ in measure(stage, make())]
            assert names == [name for name in declared if name in names]


def test_all_measures_are_reached_by_some_document(stage):
    reached = {name for text in TEXTS.values() for make in documents(text) for name, _ in measure(stage, make())}
    # a collective stage measures all documents together
    assert reached == (set() if isinstance(stage, Collective) else set(type(stage).limits))


def test_pickles_without_what_it_loaded(stage):
    again = pickle.loads(pickle.dumps(stage))  # noqa: S301
    assert vars(again) == stage.__getstate__()
    again.prepare()
    assert measure(again, Document(text=WORDS, url="http://a.example/")) == measure(
        stage, Document(text=WORDS, url="http://a.example/")
    )


def test_constructors_only_store(stage):
    cls = type(stage)
    made = cls()
    assert set(vars(made)) == set(param_names(cls))
    assert repr(made) == repr(cls(**made.params))


def test_names_of_measures_and_parameters_differ(stage):
    cls = type(stage)
    assert not set(cls.limits) & set(param_names(cls))
    assert not RESERVED & {*cls.limits, *param_names(cls)}


def test_resources_are_digests(stage):
    for name, digest in stage.resources().items():
        assert len(digest) == 64, name
        int(digest, 16)


def test_documented_tested_and_sourced(stage):
    cls = type(stage)
    assert STAGES[cls.name] is cls
    summary = (inspect.getdoc(cls) or "").split("\n")[0]
    assert summary.endswith(".")
    assert len(summary) > 20
    assert cls.source
    *package, module = cls.__module__.split(".")[1:]
    assert Path(__file__).parent.joinpath(*package, f"test_{module}.py").exists()


def test_a_shared_view_is_not_changed(stage):
    doc = Document(text=WORDS, url="http://a.example/")
    words, lines = doc.words().strings, list(doc.lines)
    measure(stage, doc)
    if doc.text == WORDS:
        assert doc.words().strings == words
        assert doc.lines == lines


@pytest.mark.parametrize("name", recipe_names())
def test_named_recipes_load_and_say_what_they_are(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    plain = ["url", "screen", "extract"]
    first = {"text": [], "fineweb": plain, "many": ["url", "extract"]}.get(name, ["url", "rights", "extract"])
    assert [bound.name for bound in recipe.stages][: len(first) + 2] == [*first, "language", "gopher_repetition"]


def test_importing_filters_loads_no_ray_and_no_torch():
    code = "import sys, filters; sys.exit(any(name in sys.modules for name in ('ray', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_stage_works_without_ray():
    code = (
        "import sys; sys.modules['ray'] = None; from filters import STAGES; "
        "[stage().check('One.', url='http://a.example/', html='<p>One.') for stage in STAGES.values()]"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_supervisor_imports_no_page_library():
    code = (
        "import sys, jobs.runner.task_functions; "
        "bad = {'trafilatura', 'lxml', 'spacy', 'fasttext', 'resiliparse', 'filters'}; "
        "print(bad & set(sys.modules)); sys.exit(bool(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_stage_file_has_a_registered_stage():
    folder = Path(importlib.import_module("filters").__file__).parent
    stage = re.compile(r"^class \w+\((\w*Stage|DocumentComparison|LineComparison)\)", re.MULTILINE)
    with_stage = {path for path in folder.rglob("*.py") if stage.search(path.read_text())}
    assert with_stage == {Path(importlib.import_module(cls.__module__).__file__) for cls in STAGES.values()}


def test_limits_of_a_pipeline_are_bound_not_shared():
    first = next(iter(STAGES.values()))
    bound = BoundStage("x", first(), {**first.limits})
    assert Pipeline([bound]).columns == {f"x.{name}": limit.of for name, limit in first.limits.items()}
    assert isinstance(next(iter(bound.limits.values())), Limit)
