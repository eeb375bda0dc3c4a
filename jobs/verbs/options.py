"""What the verbs share: the terminal, `--json`, folders as arguments, where a job runs."""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from corpus.cpus import usable_cpus
from corpus.net.urls import is_url, is_utf8, redact
from corpus.sandbox.guard import GuardSettings
from corpus.storage.store import Location
from jobs.build.compare import ALARM_RATE

if TYPE_CHECKING:
    from jobs.runner.engine import Engine

_WIDTH = 120  # of tables, where no terminal says otherwise
console = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


class _FolderType(click.ParamType[Path]):
    """A path on this machine."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if isinstance(value, str) and is_url(value):
            self.fail(f"{redact(value)} is a URL; give a path on this machine.", param, ctx)
        path = _path(self, value, param, ctx)
        try:
            path.exists()
        except OSError as error:
            self.fail(f"{path} can't be read: {error.strerror}.", param, ctx)
        return path


class _PlaceType(click.ParamType[Location]):
    """A folder, or the URL of a prefix of a bucket."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Location:
        return value if isinstance(value, str) and is_url(value) else _path(self, value, param, ctx)


def _path(kind: click.ParamType[Any], value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
    path = Path(value).absolute()
    if not is_utf8(str(path)):
        kind.fail(f"The path {str(path)!r} is not UTF-8, as names in outputs are.", param, ctx)
    return Path(value)


class Finite(click.FloatRange):
    """A number within bounds. Of nan click does not see that it is within none, and infinity is no amount."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


folder_type = _FolderType()
SEED = click.IntRange(0, 2**64 - 1)
place_type = _PlaceType()
insecure_option = click.option("--insecure-cluster", "insecure", is_flag=True, help="Join a cluster without a token.")

alarm_option = click.option(
    "--alarm-rate",
    type=Finite(0, 1),
    default=ALARM_RATE,
    show_default=True,
    help="Stop before anything is packed where dedup would remove more than this share of the run or of an archive; "
    "1 switches it off.",
)


@dataclass(frozen=True)
class Where:
    """Where a job runs, as the options of `engine_options` say."""

    workers: int | None
    address: str | None
    insecure: bool
    no_ray: bool

    @property
    def at_once(self) -> int:
        """The number of tasks that run at the same time on this machine."""
        return self.workers or usable_cpus()

    def engine(self, out: Location) -> Engine:
        """The engine for a job that writes to `out`."""
        # Ray is imported only where there is something to do
        from jobs.runner.local_engine import LocalEngine
        from jobs.runner.ray_engine import RayEngine

        if self.no_ray:
            return LocalEngine(self.at_once)
        return RayEngine(self.workers, self.address, out, self.insecure)


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say where a job runs. The command gets them as one argument, `where`."""
    options = (
        click.option(
            "--workers", type=click.IntRange(min=1),
            help="Tasks that run at the same time. By default one per usable CPU: of this machine, or of the cluster.",
        ),
        click.option("--address", help="The address of a Ray cluster; by default Ray runs on this machine."),
        insecure_option,
        click.option("--no-ray", is_flag=True, help="Run on this machine without Ray."),
    )  # fmt: skip

    @functools.wraps(command)
    def called(*, workers: int | None, address: str | None, insecure: bool, no_ray: bool, **others: Any) -> None:
        if no_ray and address:
            raise click.UsageError("--no-ray and --address exclude each other.")
        command(where=Where(workers, address, insecure, no_ray), **others)

    made: Callable[..., None] = called
    for option in reversed(options):
        made = option(made)
    return made


def page_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options for what a page may take."""
    seconds = click.option(
        "--page-seconds", type=Finite(min=0.1), default=GuardSettings.page_cpu_s, show_default=True,
        help="CPU time that a page may take; by the clock ten times that.",
    )  # fmt: skip
    memory = click.option(
        "--page-mb", type=click.IntRange(min=256), default=GuardSettings.memory_bytes >> 20, show_default=True,
        help="MiB that a page may take beyond what the stages hold; tried again alone, four times that and that time.",
    )  # fmt: skip
    return seconds(memory(command))


def guard_of(page_seconds: float, page_mb: int) -> GuardSettings:
    """What these options say."""
    return GuardSettings(page_cpu_s=page_seconds, page_wall_s=10 * page_seconds, memory_bytes=page_mb << 20)


def stdout_console() -> Console:
    """A console on stdout, for what was asked for."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def print_as(data: Any, show: Callable[[Any, Console], None], as_json: bool) -> None:
    """Print data as JSON, or by `show` for people."""
    if as_json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        show(data, stdout_console())
