"""`serve`: models in a browser, and by OpenAI's interface."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from corpus.errors import ConfigError
from jobs.runner.terminal import say
from jobs.verbs.assistant import index_option
from jobs.verbs.models import device_option, load_torch, threads_option
from jobs.verbs.options import folder_type


@click.command("serve")
@click.argument("model", type=folder_type)
@click.argument("other", type=folder_type, required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. Anyone who can reach it "
              "can use the models, because there is no password.")  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port. With 0, any free port."
)
@index_option
@click.option("--votes", type=click.Path(dir_okay=False, path_type=Path), default="votes.jsonl", show_default=True,
              help="File for your votes in comparisons.")  # fmt: skip
@device_option
@threads_option
def serve_command(
    model: Path,
    other: Path | None,
    host: str,
    port: int,
    index: Path | None,
    votes: Path,
    device: str,
    threads: int | None,
) -> None:
    """Serve models in a browser, and by OpenAI's interface.

    On the page you can continue texts, chat, and compare models. OpenAI's interface is under /v1.

    \b
    Example: corpus serve assistant
    Example: corpus serve assistant base --port 8080
    """
    device = load_torch(device, threads)
    try:
        from jobs.serve.server import listen, server
    except ImportError as error:
        todo = "Run `make setup`, or `pip install '.[serve]'` in the source folder."
        raise ConfigError(f"The server needs {error.name}, which is not installed.", todo) from None
    from jobs.assistant.tools import tools_of
    from jobs.model.generate import Continuer
    from jobs.serve.api import Api
    from jobs.serve.votes import Votes
    from jobs.serve.worker import Worker

    folders = [model] if other is None else [model, other]
    saved = Votes(votes)
    with listen(host, port) as listening:
        workers = {name: Worker(name, Continuer(folder, device), lambda: tools_of(index))
                   for name, folder in zip(_names(folders), folders, strict=True)}  # fmt: skip
        address, port = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        say(f"Open http://{shown}:{port}/   OpenAI's interface: http://{shown}:{port}/v1   End: Ctrl-C")
        serving = server(Api(workers, [*tools_of(index)], saved), host)
        serving.run([listening])
    if serving.ended_by:  # uvicorn raises the signal again, but asyncio may miss it when it ends
        sys.exit(128 + serving.ended_by)


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
