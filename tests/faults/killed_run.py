"""A job as the command line runs it, with cheap stages and many small tasks, for tests that kill it.

python -m tests.faults.killed_run build|documents|lines|chosen|tokenize|mixture local|ray INPUT OUT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import corpus.tokens.texts
import jobs.build.build
import jobs.build.choose
import jobs.build.packing
from jobs.build.build import build
from jobs.build.choice import Choice
from jobs.build.plan import Job
from jobs.runner.engine import Engine
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from jobs.runner.ray_engine import RayEngine
from jobs.tokens.tokenize import TokenizeJob, tokenize
from tests.bpe import small_tokenizer
from tests.crawls import CRAWL
from tests.stubs import FACTORY, recipe_from_dict

WORKERS = 2
STAGES = {
    "build": ("paragraphs", "minhash"),
    "documents": ("paragraphs", "minhash"),
    "lines": ("paragraphs", "minhash", "lines"),
    "chosen": ("paragraphs", "minhash"),
}


def main(kind: str, where: str, given: Path, out: Path) -> int:
    def make_engine() -> Engine:
        return RayEngine(WORKERS, None, out) if where == "ray" else LocalEngine(WORKERS)

    jobs.build.build.LOOKED_UP, jobs.build.packing.SAMPLED_AT_ONCE = 1, 3
    progress = Progress(quiet=True)
    if kind in ("tokenize", "mixture"):
        corpus.tokens.texts.SLICE_BYTES = 1  # each row group is a task
        job = TokenizeJob(given, out, small_tokenizer(60), val_share=0.1, file_tokens=4_000)
        return tokenize(job, make_engine, progress).exit_code
    recipe = recipe_from_dict({"output": {"rows_per_part": 15}, "stages": [{"stage": name} for name in STAGES[kind]]})
    inputs = [str(given)]
    options: dict[str, Any] = {}
    if kind == "chosen":
        jobs.build.choose.CAPTURES_IN_UNIT = 8
        inputs, options = [CRAWL], {"choice": Choice(languages=("deu",)), "base": str(given)}
    options |= {"unit_bytes": 6_000, "workers": WORKERS, "dedup_memory": 1 << 16, "factory": FACTORY}
    return build(Job(recipe, inputs, out, **options), make_engine, progress).exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3], *map(Path, sys.argv[3:])))
