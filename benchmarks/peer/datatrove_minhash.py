"""datatrove's stages 2 and 3 over signatures in its own format: run by the peer's Python, not by ours.

python datatrove_minhash.py SIGNATURES OUT → one JSON line: CPU seconds of each stage, and what it removed
"""

import json
import resource
import sys
import time
from pathlib import Path

from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster
from datatrove.pipeline.dedup.minhash import MinhashConfig
from loguru import logger


def main(signatures: str, out: str) -> None:
    logger.remove()
    config = MinhashConfig()
    costs = {}
    started = time.process_time()
    for rank in range(config.num_buckets):
        MinhashDedupBuckets(signatures, f"{out}/buckets", config=config, lines_to_buffer=1000).run(
            None, rank, config.num_buckets
        )
    costs["buckets"] = time.process_time() - started
    started = time.process_time()
    MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config).run(None, 0, 1)
    costs["cluster"] = time.process_time() - started
    removed = sum(path.stat().st_size // 4 for path in Path(out, "remove").rglob("*.remove"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    print(json.dumps({"cpu": costs, "removed": removed, "peak": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
