"""datatrove's quality filters over JSON Lines and parquet, one file after another. Runs in the peer's environment:

    python datatrove_documents.py JOB      # {"files": [paths], "lid": path, "out": path}

The filters, their order and their arguments are those of examples/fineweb.py of datatrove 0.10.1, without the ones that
need a page. As in `datatrove_fineweb.py`, the language model comes from a file, and timers read the CPU clock.
"""

import json
import sys
import warnings
from importlib import metadata
from pathlib import Path

from clock import Lap

job = json.loads(Path(sys.argv[1]).read_text())

import datatrove.utils.lid as lid  # noqa: E402
from datatrove.pipeline.filters import (  # noqa: E402
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.readers import JsonlReader, ParquetReader  # noqa: E402
from datatrove.utils.logging import logger  # noqa: E402

logger.remove()
warnings.simplefilter("ignore", DeprecationWarning)
lid.cached_asset_path_or_download = lambda *_, **__: job["lid"]

filters = [
    LanguageFilter(languages=["en"]),
    GopherRepetitionFilter(),
    GopherQualityFilter(),
    C4QualityFilter(filter_no_terminal_punct=False),
    FineWebQualityFilter(),
]
results = {}
for file in map(Path, job["files"]):
    kind = ParquetReader if file.suffix == ".parquet" else JsonlReader
    lap = Lap()
    data = kind(str(file.parent), glob_pattern=file.name)(None, 0, 1)
    for step in filters:
        data = step(data, 0, 1)
    kept = [doc.id for doc in data]
    reading = Lap()
    read = sum(1 for _ in kind(str(file.parent), glob_pattern=file.name)(None, 0, 1))
    results[file.name] = {"cpu": lap.took()["cpu"] - reading.took()["cpu"], "read": reading.took()["cpu"],
                          "documents": read, "kept": kept}  # fmt: skip
Path(job["out"]).write_text(json.dumps({"files": results, "versions": {"datatrove": metadata.version("datatrove")}}))
