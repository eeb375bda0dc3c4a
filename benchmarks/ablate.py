"""Three recipes against each other by training, on real archives: `python -m benchmarks.ablate [--noise]`.

The arms are the recipes `default` and `fineweb`, and no filter: extraction and language alone. All read the same
archives of the real data. The outside set are the main texts of WCXB's development pages, as people marked them. With
`--noise`, the noise of other sizes is measured instead: what `jobs/ablate/forecast.py` says before a training.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean

import zstandard

from benchmarks.machine import adopt_orphans, cpu_of_children, cpu_of_the_rest, machine_line, shared_data

UNFILTERED = """name = "unfiltered"

[[stages]]
stage = "extract"
engine = "blocks"

[[stages]]
stage = "language"
"""
EXAMPLE = ("--depth", 3, "--batch", 16, "--tokens", 700_000, "--eval-tokens", 1 << 14)
QUESTIONS = ("mmlu_validation-1",)
NOISE = tuple(
    ("--depth", 2, "--batch", 8, "--tokens", tokens, "--eval-tokens", 1 << 14) for tokens in (1 << 15, 1 << 17)
)
_PROGRESS = re.compile(r"^\w+ \d+/\d+|…$|^Look at|^Reading|^Interrupted")


def corpus(*words: object) -> list[str]:
    """Run a command, and return what it told people, without progress."""
    adopt_orphans()
    done = subprocess.run([sys.executable, "-m", "jobs.cli", *map(str, words)], stderr=subprocess.PIPE, text=True)
    cpu_of_the_rest()
    if done.returncode:
        raise SystemExit(done.stderr)
    return [line.rstrip() for line in done.stderr.splitlines() if not _PROGRESS.search(line)]


def build(work: Path) -> list[str]:
    """Build the runs, and return the arms."""
    recipe = work / "unfiltered.toml"
    recipe.write_text(UNFILTERED)
    archives = sorted((shared_data() / "warc").glob("*.warc.gz"))
    for name in ("default", "fineweb", recipe):
        corpus("build", *archives, "-o", work / Path(name).stem, "--recipe", name, "--workers", 1)
    return [str(work / name) for name in ("default", "fineweb", "unfiltered")]


def outside(work: Path) -> Path:
    """Write the marked main texts of WCXB's development pages as JSON Lines."""
    pages = (shared_data() / "wcxb" / "dev.jsonl.zst").open("rb")
    stream = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(pages)
    made = work / "wcxb.jsonl"
    with made.open("w") as file:
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            page = json.loads(line)
            if page["main_content"]:
                file.write(json.dumps({"text": page["main_content"], "url": page["url"]}) + "\n")
    return made


def example(work: Path, arms: list[str]) -> None:
    before = cpu_of_children()
    evals = [shared_data() / "evals" / f"{name}.jsonl.gz" for name in QUESTIONS]
    asked = [word for file in evals for word in ("--questions", file)]
    told = corpus("ablate", *arms, "-o", work / "ablation", "--held-out", outside(work), *asked, *EXAMPLE)
    seconds = json.loads((work / "ablation" / "timings.json").read_text())["seconds"]
    print("corpus ablate default fineweb unfiltered --held-out wcxb.jsonl", " ".join(map(str, EXAMPLE)))
    print("\n".join(told))
    minutes = (cpu_of_children() - before) / 60
    print(f"It took {minutes:.0f} CPU minutes, and {seconds / 60:.0f} minutes on a shared machine.")


def noise(work: Path, arms: list[str]) -> None:
    """Print the noise of several sizes: the mean over sets of the standard deviation of a difference for one seed. The
    last row is the example, if it is there."""
    for number, options in enumerate(NOISE):
        corpus("ablate", arms[0], arms[2], "-o", work / f"noise-{number}", *options)
    print("weights    tokens  noise at the usual rate, and at 1/30 of it")
    for out in (*(work / f"noise-{number}" for number in range(len(NOISE))), work / "ablation"):
        if (out / "results.json").exists():
            found = json.loads((out / "results.json").read_text())
            usual, small = (fmean(values) for values in zip(*found["noise"].values(), strict=True))
            print(f"{found['weights']:>7,}  {found['tokens']:>8,}  {usual:.4f} {small:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, help="Folder for runs and results, to continue or to look at.")
    parser.add_argument("--noise", action="store_true")
    options = parser.parse_args()
    os.environ["CORPUS_PROGRESS_S"] = "60"
    with tempfile.TemporaryDirectory() as folder:
        work = (options.work or Path(folder)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        print(machine_line(), flush=True)
        (noise if options.noise else example)(work, build(work))


if __name__ == "__main__":
    main()
