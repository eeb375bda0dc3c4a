"""The report as one HTML page that needs no other file and makes no request.

Its content security policy allows only the one style sheet and the one script in the file, by their digests. The policy
forbids requests, inline handlers and style attributes. The template escapes every value.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from corpus.errors import OutputError
from corpus.run import Run
from corpus.storage.replacing import write_whole
from corpus.tables.samples import EXCERPT_CHARS
from jobs.report import formatting
from jobs.report.gather import Report, gather
from jobs.report.scan import Tick

_FILTERS = ("crawled", "plain", "count", "percent", "size", "value", "seconds", "limit", "limits", "breakable")


def write_report(run: Run, out: Path, tick: Tick = lambda: None, share: bool = False) -> int:
    """Write the report of a run to a file, which is complete or absent. Return its size in bytes.

    Only the owner can read the report, because it has excerpts of pages, unless the run is shared. Raises OutputError.
    """
    data = render(gather(run, tick)).encode()
    try:
        write_whole(out, data, private=not share)
    except OSError as error:
        raise OutputError(f"{out} can't be written: {error.strerror}.", "Name another file with --out.") from None
    return len(data)


def render(report: Report) -> str:
    """Render the page of a run."""
    return render_page("report.html", report=report, excerpt_chars=EXCERPT_CHARS)


def render_page(template: str, **values: Any) -> str:
    """Render a page in the report's style."""
    style, script = _template("report.css"), _template("report.js")
    page = _environment().get_template(template)
    policy = formatting.content_policy(style, script)
    return page.render(**values, style=Markup(style), script=Markup(script), policy=policy)


@cache
def _environment() -> jinja2.Environment:
    """Return the environment, which keeps the compiled templates. Compiling takes a quarter of a second."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({name: getattr(formatting, name) for name in _FILTERS})
    return environment


def _template(name: str) -> str:
    return (resources.files("jobs.report") / "templates" / name).read_text(encoding="utf-8")
