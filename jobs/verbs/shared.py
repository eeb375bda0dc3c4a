"""What the verbs share: the terminal, `--json`, folders as arguments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from corpus.store import Location
from corpus.urls import is_url

_WIDTH = 120  # of tables, where no terminal says otherwise
console = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
folder_type = click.Path(path_type=Path)


class _PlaceType(click.ParamType[Location]):
    """A folder, or the URL of a prefix of a bucket."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Location:
        return value if isinstance(value, str) and is_url(value) else Path(value)


place_type = _PlaceType()
insecure_option = click.option("--insecure-cluster", "insecure", is_flag=True, help="Join a cluster without a token.")


def stdout_console() -> Console:
    """A console on stdout, for what was asked for."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def print_as(data: Any, show: Callable[[Any, Console], None], as_json: bool) -> None:
    """Print data as JSON, or by `show` for people."""
    if as_json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        show(data, stdout_console())
