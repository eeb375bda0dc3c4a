import random

import pytest

from jobs.build.build import build
from jobs.build.plan import Job
from jobs.runner.progress import Progress
from tests.engines import InProcess
from tests.stubs import FACTORY, recipe_from_dict
from tests.warcs import WORDS, page, write_warc


@pytest.fixture(scope="session")
def corpus_run(tmp_path_factory):
    """A finished run with pages that were dropped and duplicates that were removed, and a measure
    `paragraphs.chars`."""
    folder = tmp_path_factory.mktemp("run")
    draw = random.Random(1)
    pages = {}
    for n in range(60):
        words = "short" if n % 5 == 0 else " ".join(draw.choices(WORDS.split(), k=70 + n))
        pages[f"http://site{n}.example/"] = page(f"Page {n}", words)
        if n % 7 == 1:
            pages[f"http://copy{n}.example/"] = page(f"Page {n}", words)
    write_warc(folder / "w.warc.gz", pages)
    stages = [{"stage": "url"}, {"stage": "paragraphs", "chars": {"min": 300}}, {"stage": "minhash"}]
    recipe = recipe_from_dict({"output": {"rows_per_part": 25}, "stages": stages})
    job = Job(recipe, [str(folder / "w.warc.gz")], folder / "out", factory=FACTORY)
    assert build(job, lambda: InProcess(), Progress(quiet=True)).exit_code == 0
    return folder / "out"
