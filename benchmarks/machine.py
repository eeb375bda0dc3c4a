"""What a benchmark ran on, and where real data is."""

import os
import platform
from pathlib import Path

from corpus.cpus import usable_cpus


def machine_line() -> str:
    """One line: processor, cores, load, Python."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    load = os.getloadavg()[0]
    return f"machine: {model}, {usable_cpus()} cores, load {load:.1f}, Python {platform.python_version()}"


def find_shared_data() -> Path | None:
    """The folder of real data, which is no part of the repository (CORPUS_SHARED_DATA); None where it is absent."""
    folder = Path(os.environ.get("CORPUS_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    return folder if folder.is_dir() else None


def shared_data() -> Path:
    """The folder of real data; ends the program where it is absent."""
    folder = find_shared_data()
    if folder is None:
        raise SystemExit(
            "There is no real data here. Set CORPUS_SHARED_DATA to its folder, or name archives (the peer: and --warm)."
        )
    return folder
