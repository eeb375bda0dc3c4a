"""datatrove's FineWeb pipeline over archives, one after another. Runs in the peer's environment:

    python datatrove_fineweb.py JOB      # {"archives": [paths], "lid": path, "scratch": folder, "out": path}

The steps, their order and their arguments are those of examples/fineweb.py of datatrove 0.10.1, with `languages=["en"]`
given (the example intends it, but the default has become "all"). They are chained as the executor chains them, without
its manager process, log files and JSONL writer. Some parts are replaced from outside, which does not change what is
computed:

    language model   lid.176.ftz from a file instead of lid.176.bin from the network
    suffix list      the snapshot in tldextract instead of a download
    timers           their `track_time`, on CPU time of the process and its sandbox instead of the wall clock

One pipeline judges all archives, so that each archive finds everything loaded that the one before it needed. When the
last page of an archive is judged, the documents that are left are signed, and then personal data is removed from them.
In FineWeb a second job does this, which reads the documents again. Reading and writing them is not counted here.
"""

import json
import sys
import warnings
from functools import partial
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

from clock import Lap, tree_cpu

job = json.loads(Path(sys.argv[1]).read_text())

import datatrove.utils.lid as lid  # noqa: E402
import datatrove.utils.stats as stats  # noqa: E402
import tldextract  # noqa: E402
from datatrove.pipeline.dedup import MinhashDedupSignature  # noqa: E402
from datatrove.pipeline.dedup.minhash import MinhashConfig  # noqa: E402
from datatrove.pipeline.extractors import Trafilatura  # noqa: E402
from datatrove.pipeline.filters import (  # noqa: E402
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
    URLFilter,
)
from datatrove.pipeline.formatters import PIIFormatter  # noqa: E402
from datatrove.pipeline.readers import WarcReader  # noqa: E402
from datatrove.utils.hashing import HashConfig  # noqa: E402
from datatrove.utils.logging import logger  # noqa: E402

logger.remove()
warnings.simplefilter("ignore", DeprecationWarning)
stats.time = SimpleNamespace(perf_counter=tree_cpu)
lid.cached_asset_path_or_download = lambda *_, **__: job["lid"]
tldextract.TLDExtract = partial(tldextract.TLDExtract, suffix_list_urls=(), cache_dir=None)

SIGNATURES = MinhashConfig(
    hash_config=HashConfig(hash_fc="sha1", precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5
)


class Reader(WarcReader):
    """Notes where an archive begins and ends: the pipeline asks for the next page when it is done with the last one."""

    def read_file(self, filepath):
        begin()
        yield from super().read_file(filepath)
        end(filepath)


results, kept = {}, []


def begin():
    global lap, timers
    kept.clear()
    timers = [step.stats.time_stats.total for step in steps]
    before.update(counts())
    lap = Lap()


def end(filepath):
    judge = lap.took()
    names = ("read", "url", "extract", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb")
    spent = [step.stats.time_stats.total - start for step, start in zip(steps, timers, strict=True)]
    documents = {name: number - before[name] for name, number in counts().items()}
    ids = [doc.id for doc in kept]
    timed = Lap()
    signatures.run(kept)
    sign = timed.took()
    timed = Lap()
    for _ in personal.run(kept):
        pass
    pii = timed.took()
    results[Path(filepath).name] = {
        "judge": judge["cpu"], "sign": sign["cpu"], "pii": pii["cpu"],
        "wall": judge["wall"] + sign["wall"] + pii["wall"], "since_start": tree_cpu(),
        "stages": dict(zip(names, spent, strict=True)), "kept": ids, **documents,
    }  # fmt: skip


def counts():
    extraction = steps[2].stats.stats
    return {
        "pages": steps[1].stats.stats["total"].total,
        "timeouts": extraction["timeout"].total if "timeout" in extraction else 0,
        "broken": extraction["broken_process"].total if "broken_process" in extraction else 0,
    }


before = {}
scratch = Path(job["scratch"])
(scratch / "paths").write_text("".join(f"{path}\n" for path in job["archives"]))
steps = [
    Reader("/", paths_file=str(scratch / "paths"), default_metadata={"dump": "benchmark"}),
    URLFilter(),
    Trafilatura(favour_precision=True),
    LanguageFilter(languages=["en"]),
    GopherRepetitionFilter(),
    GopherQualityFilter(),
    C4QualityFilter(filter_no_terminal_punct=False),
    FineWebQualityFilter(),
]
signatures = MinhashDedupSignature(str(scratch / "signatures"), config=SIGNATURES)
personal = PIIFormatter()
data = None
for step in steps:
    data = step(data, 0, 1)
for doc in data:
    kept.append(doc)
versions = {name: metadata.version(name) for name in ("datatrove", "trafilatura", "lxml", "spacy")}
Path(job["out"]).write_text(json.dumps({"archives": results, "versions": versions}))
