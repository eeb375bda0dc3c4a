"""`report`: a run as one page to look at."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from corpus.run import open_run
from corpus.storage.store import Location
from jobs.runner.progress import Progress
from jobs.verbs.options import folder_type, json_option, place_type


@click.command("report")
@click.argument("folder", type=place_type)
@click.option("-o", "--out", type=folder_type, help="The file to write; by default report.html in FOLDER.")
@json_option
def report_command(folder: Location, out: Path | None, as_json: bool) -> None:
    """Write a run's report: one HTML file with what was kept and dropped, and why, that needs nothing else.

    \b
    Example: corpus report out
    """
    from jobs.report.render import write_report
    from jobs.report.scan import batches_of

    run = open_run(folder)
    if out is None and not isinstance(folder, Path):
        raise click.UsageError("Say with -o which file to write: the run is not on this machine.")
    path = out or Path(folder) / "report.html"
    progress = Progress()
    progress.start("report", batches_of(run), 0, done=0)
    size = write_report(run, path, lambda: progress.unit_done(0, {}))
    progress.end()
    if as_json:
        print(json.dumps({"report": str(path), "bytes": size}))
    print(f"{path}: {size:,} bytes. Open it in a browser.", file=sys.stderr)
