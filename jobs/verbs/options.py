"""Parts that several verbs share: consoles, `--json`, types of arguments, and options."""

from __future__ import annotations

import csv
import functools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.cpus import usable_cpus
from corpus.documents.columns import USUAL
from corpus.errors import ConfigError
from corpus.imports import leave_out_unused
from corpus.net.urls import is_url, is_utf8, redact
from corpus.sandbox.guard import GuardSettings
from corpus.storage.store import Location
from jobs.build.compare import ALARM_RATE
from jobs.runner.console import make_console
from jobs.runner.local_engine import LocalEngine
from jobs.runner.terminal import say, show_json

if TYPE_CHECKING:
    from rich.console import Console

    from jobs.runner.engine import Engine

console = make_console(stderr=True)

Command = Callable[..., None]


class _NameType(click.ParamType[str]):
    """A text that is copied into outputs."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_utf8(value):
            self.fail(f"{value!r} is not UTF-8. Names in outputs must be.", param, ctx)
        return str(value)


class _LocationType(click.ParamType[Location]):
    """A folder, or the URL of a prefix in a bucket."""

    name = "location"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Location:
        if isinstance(value, str) and is_url(value):
            return value
        for path in (os.path.abspath(value), os.path.realpath(value)):
            name_type.convert(path, param, ctx)
        return Path(value)


class _TextType(click.ParamType[str]):
    """A text. Bytes that are not UTF-8 are read as Latin-1, as in a WARC header."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        data = os.fsencode(value)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")


class _FolderType(_LocationType):
    """A path on this machine."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        if not isinstance(path, Path):
            self.fail(f"{redact(path)} is a URL. Give a path on this machine.", param, ctx)
        try:
            path.exists()
        except OSError as error:
            self.fail(f"{path} can't be read: {error.strerror}.", param, ctx)
        return path


class Finite(click.FloatRange):
    """A finite number within bounds. Click's own type accepts nan and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


folder_type = _FolderType()
location_type = _LocationType()
name_type = _NameType()
text_type = _TextType()
SEED = click.IntRange(0, 2**64 - 1)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
inputs_option = click.option(
    "--inputs", multiple=True, metavar="PLACE", help="Where the archives are now, if they have moved. Repeatable."
)
modules_option = click.option(
    "--allow-module", "modules", type=name_type, multiple=True, metavar="FILE", help="Python module of the run."
)
address_option = click.option(
    "--address", help="Join the Ray cluster at this address. Default: RAY_ADDRESS, if it is set."
)
insecure_option = click.option(
    "--insecure-cluster", "insecure", is_flag=True, help="Join a Ray cluster that has no token."
)
share_option = click.option(
    "--share",
    is_flag=True,
    help="Let others read files with excerpts of pages, as the umask allows. By default, only you can read them.",
)
alarm_option = click.option(
    "--alarm-rate", type=Finite(0, 1), default=ALARM_RATE, show_default=True,
    help="Stop before packing if deduplication would remove more than this share of the run or of an archive. 1 turns "
    "the alarm off.",
)  # fmt: skip


def with_options(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    """Add options to a command, in this order."""
    return functools.reduce(lambda made, option: option(made), reversed(options), command)


@dataclass(frozen=True)
class Where:
    """The values of `engine_options`: where a job runs."""

    workers: int | None
    ray: bool
    address: str | None
    insecure: bool

    @property
    def at_once(self) -> int:
        """The number of tasks that run at the same time on this machine."""
        return self.workers or usable_cpus()

    def engine_here(self) -> Engine:
        """Start the engine for a job whose files are on this machine alone."""
        return LocalEngine(self.at_once)

    def engine(self, out: Location) -> Engine:
        """Start the engine for a job that writes to `out`."""
        if not self.ray and not self.address:
            return self.engine_here()
        # imported here, because Ray's files should be read only if Ray is used
        from jobs.runner.ray_engine import RayEngine

        return RayEngine(self.workers, self.address, out, self.insecure)


def engine_options(command: Command) -> Command:
    """Add the options for where a job runs. The command gets their values as one argument, `where`."""
    options = (
        click.option(
            "--workers", type=click.IntRange(min=1),
            help="Tasks that run at the same time. Default: one per usable CPU of this machine or of the cluster.",
        ),
        click.option("--ray", is_flag=True, help="Start Ray on this machine, and run on it."),
        address_option,
        insecure_option,
    )  # fmt: skip

    @functools.wraps(command)
    def called(*, workers: int | None, ray: bool, address: str | None, insecure: bool, **others: Any) -> None:
        if ray and address:
            raise click.UsageError("--ray starts Ray here, --address joins a cluster. Leave one of them out.")
        if not ray:
            address = address or address_of_environment()
        if click.get_current_context().obj:  # this process runs nothing else
            leave_out_unused()
        command(where=Where(workers, ray, address, insecure), **others)

    return with_options(options, called)


def need_torch() -> None:
    """Raise ConfigError if torch is missing."""
    try:
        import torch  # noqa: F401
    except ImportError:
        todo = "Run `make setup-train`, or `pip install '.[train]'` in the source folder."
        raise ConfigError("Models need torch, which is not installed.", todo) from None


def address_of_environment() -> str | None:
    """Return the address of the Ray cluster that the environment names, or None.

    If there is one, print it on stderr.
    """
    if address := os.environ.get("RAY_ADDRESS"):
        say(f"RAY_ADDRESS is set, so this runs on Ray, at {address}. Unset it to run on this machine alone.")
        return address
    if _RAY_JOB & os.environ.keys():
        say("This is part of a Ray job, so it runs on the cluster of the job.")
        return "auto"
    return None


_RAY_JOB = {"RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_JOB_ID"}
"""The variables that Ray sets for the command of a submitted job, and for its own workers."""


def page_options(command: Command) -> Command:
    """Add the options for the limits of a page. The command gets their values as one argument, `guard`."""
    options = (
        click.option(
            "--page-seconds", type=Finite(min=0.1), default=GuardSettings.page_cpu_s, show_default=True,
            help="CPU seconds per page. The limit by the clock is ten times as long.",
        ),
        click.option(
            "--page-mb", type=click.IntRange(min=256), default=GuardSettings.memory_bytes >> 20, show_default=True,
            help="MiB per page, beyond the memory of the stages. A page that exceeds its time or memory is tried once "
            "more, alone, with four times both.",
        ),
    )  # fmt: skip

    @functools.wraps(command)
    def called(*, page_seconds: float, page_mb: int, **others: Any) -> None:
        guard = GuardSettings(page_cpu_s=page_seconds, page_wall_s=10 * page_seconds, memory_bytes=page_mb << 20)
        command(guard=guard, **others)

    return with_options(options, called)


_PARTS = {"text": "text", "html": "HTML", "id": "id", "url": "URL", "date": "date", "language": "language"}
"""The parts of a document, in words."""


def column_options(command: Command) -> Command:
    """The options that name the columns of documents. The command gets those that were given as one argument,
    `columns`."""
    options = [
        click.option(
            f"--{part}", f"{part}_column", type=name_type, metavar="COLUMN",
            help=f"Column with the {words} of documents. Usual: {', '.join(USUAL[part][:3])}.",
        )
        for part, words in _PARTS.items()
    ]  # fmt: skip
    options.append(
        click.option(
            "--keep-columns", "keep", type=name_type, multiple=True, metavar="NAME,…",
            help="Columns that travel along to the corpus, as JSON in its column `metadata`. Repeatable.",
        )
    )  # fmt: skip

    @functools.wraps(command)
    def called(*, keep: tuple[str, ...], **given: Any) -> None:
        columns = {part: name for part in _PARTS if (name := given.pop(f"{part}_column"))}
        command(columns=columns, keep_columns=_split_names(keep), **given)

    return with_options(options, called)


def _split_names(given: Sequence[str]) -> tuple[str, ...]:
    """Return the names in lists like `a,b`. A name with a comma is written as in CSV: `"a,b"`."""
    return tuple(name for row in csv.reader(given) for name in row if name)


def print_as(data: Any, show: Callable[[Any, Console], None], as_json: bool) -> None:
    """Print data on stdout: as JSON, or with `show` for people."""
    if as_json:
        show_json(data)
    else:
        show(data, make_console())
