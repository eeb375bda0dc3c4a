"""What the verbs share: the terminal, `--json`, folders as arguments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

_WIDTH = 120  # of tables, where no terminal says otherwise
console = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
folder_type = click.Path(path_type=Path)
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
