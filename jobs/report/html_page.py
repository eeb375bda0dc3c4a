"""The report as one HTML page that needs nothing else and lets nothing in.

Its policy allows the one style sheet and the one script that are in it, by their digests, and nothing more: no
request, no inline handler, no style attribute. The template escapes whatever it is given.
"""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from corpus.errors import OutputError
from corpus.run import Run
from corpus.tables.samples import EXCERPT_CHARS
from jobs.report import formats
from jobs.report.gather import Report, gather
from jobs.report.scan import Tick


def write_report(run: Run, out: Path, tick: Tick = lambda: None) -> int:
    """Write the report of a run to a file, whole or not at all; its size in bytes. Raises OutputError."""
    data = render(gather(run, tick)).encode()
    scratch = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        scratch.write_bytes(data)
        os.replace(scratch, out)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise OutputError(f"{out} can't be written: {error.strerror}.", "Give another file with --out.") from None
    return len(data)


def render(report: Report) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("crawled", "plain", "count", "percent", "size", "value", "seconds", "limit", "breakable"):
        environment.filters[name] = getattr(formats, name)
    style, script = _template("report.css"), _template("report.js")
    return environment.get_template("report.html").render(
        report=report,
        excerpt_chars=EXCERPT_CHARS,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _template(name: str) -> str:
    return (resources.files("jobs.report") / "templates" / name).read_text(encoding="utf-8")
