"""`serve`: a run in a browser, or models in a browser and by OpenAI's interface."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

import click

from corpus.errors import ConfigError
from corpus.json_data import parse_json
from corpus.net.urls import redact
from corpus.storage.store import Location, open_store
from jobs.runner.terminal import say
from jobs.verbs.assistant import index_option
from jobs.verbs.models import device_option, load_torch, threads_option
from jobs.verbs.options import folder_type, inputs_option, location_type, modules_option

if TYPE_CHECKING:
    from jobs.web.server import Server


@click.command("serve")
@click.argument("place", type=location_type, metavar="RUN|MODEL")
@click.argument("other", type=location_type, required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. Anyone who can reach it "
              "can use models, because there is no password. The address of a run has a token.")  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port. With 0, any free port."
)
@inputs_option
@modules_option
@click.option("--against", multiple=True, type=location_type, help="Earlier run that RUN was compared with.")
@click.option("--labels", type=folder_type, metavar="FILE", help="File for your judgements of pages. Default: beside "
              "the run, RUN.labels.jsonl.")  # fmt: skip
@index_option
@click.option("--votes", type=click.Path(dir_okay=False, path_type=Path), default="votes.jsonl", show_default=True,
              help="File for your votes in comparisons of models.")  # fmt: skip
@device_option
@threads_option
def serve_command(
    place: Location,
    other: Location | None,
    host: str,
    port: int,
    index: Path | None,
    votes: Path,
    **how: Any,
) -> None:
    """Serve a run or models in a browser.

    On the page of a run you can move its limits and see what would change, search and read its pages, compare it with
    another run, and judge pages. The run may still be under way. On the page of models you can continue texts, chat,
    and compare models. OpenAI's interface is under /v1.

    \b
    Example: corpus serve out
    Example: corpus serve out out-30
    Example: corpus serve assistant base --port 8080
    """
    try:
        from jobs.web.server import listen
    except ImportError as error:
        todo = "Run `make setup`, or `pip install '.[serve]'` in the source folder."
        raise ConfigError(f"The server needs {error.name}, which is not installed.", todo) from None
    if is_run(place):
        with listen(host, port) as listening:
            served = _serve_run(place, other, listening, host, how)
    elif not isinstance(place, Path) or not (other is None or isinstance(other, Path)):
        raise ConfigError(f"{redact(str(other))} is a URL, and models are folders.", "Name a folder on this machine.")
    else:
        device = load_torch(how["device"], how["threads"])
        with listen(host, port) as listening:
            folders = [place] if other is None else [place, other]
            served = _serve_models(folders, listening, host, (index, votes, device))
    if served.ended_by:  # uvicorn raises the signal again, but asyncio may miss it when it ends
        sys.exit(128 + served.ended_by)


def is_run(place: Location) -> bool:
    """Return True for a run, finished or under way, and False for a model and everything else."""
    store = open_store(place)
    if store.size("run.json") is not None:
        return True
    try:
        return "inputs" in parse_json(store.get(".work/plan.json") or b"{}")
    except (ValueError, TypeError):
        return False


def _serve_run(
    place: Location, other: Location | None, listening: socket, host: str, given: dict[str, Any]
) -> Server:  # fmt: skip
    from jobs.browse.desk import Given, Served
    from jobs.browse.server import new_token, server
    from jobs.web.server import url_of

    how = tuple(word for one in given["against"] for word in ("--against", str(one)))
    served = Served(Given(place, other, given["inputs"], given["modules"], how, given["labels"]))
    served.state()  # raises an error if there is no run
    token = new_token()
    say(f"Open {url_of(listening)}/{token}/   End: Ctrl-C")
    serving = server(served, host, token)
    serving.run([listening])
    return serving


def _serve_models(
    folders: Sequence[Path], listening: socket, host: str, given: tuple[Path | None, Path, str]
) -> Server:  # fmt: skip
    from jobs.assistant.tools import tools_of
    from jobs.model.generate import Continuer
    from jobs.serve.api import Api
    from jobs.serve.server import server
    from jobs.serve.votes import Votes
    from jobs.serve.worker import Worker
    from jobs.web.server import url_of

    index, votes, device = given
    saved = Votes(votes)
    workers = {name: Worker(name, Continuer(folder, device), lambda: tools_of(index))
               for name, folder in zip(_names(folders), folders, strict=True)}  # fmt: skip
    url = url_of(listening)
    say(f"Open {url}/   OpenAI's interface: {url}/v1   End: Ctrl-C")
    serving = server(Api(workers, [*tools_of(index)], saved), host)
    serving.run([listening])
    return serving


def _names(folders: Sequence[Path]) -> list[str]:
    """Return a name for each model: the name of its folder, with as many parent folders as needed to make names
    different.
    """
    whole = [folder.resolve() for folder in folders]
    if len({*whole}) < len(whole):
        raise ConfigError(f"{folders[0]} is given twice.", "To compare two answers of one model, name it once.")
    depth = 1
    while len({folder.parts[-depth:] for folder in whole}) < len(whole):
        depth += 1
    return ["/".join(folder.parts[-depth:]) for folder in whole]
